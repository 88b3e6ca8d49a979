"""Opening either kind of run store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fastcam
from fastcam.errors import InputError
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore
from fastcam.store.patches import open_store as open_patches

from ..sample_runs import make_case, make_store
from .sample_maps import new_store


def test_each_kind_opens_as_what_it_is(tmp_path: Path) -> None:
    patches = make_store(tmp_path, make_case(1, "a", [0, 1]), name="patches.zarr")
    maps = new_store(tmp_path)
    assert fastcam.open_store is open_store
    assert isinstance(open_store(patches.path), RunStore)
    assert isinstance(open_store(str(maps.path)), MapStore)
    with pytest.raises(InputError, match="kind 'maps', not of patch-attention"):
        open_patches(maps.path)
    with pytest.raises(InputError, match="kind 'patch-attention', which holds no maps"):
        MapStore.open(patches.path)


def test_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_store(tmp_path / "none")
    with pytest.raises(InputError, match="is not a run store"):
        open_store(tmp_path)
    (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {"schema": 1, "kind": "film"}}))
    with pytest.raises(InputError, match="of kind 'film', which this fastcam does not know"):
        open_store(tmp_path)

"""Stores hold evidence raw; the sign says what is shown of it when it is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastcam.errors import InputError
from fastcam.options import MapChoice
from fastcam.store.evidence import shown_evidence
from fastcam.store.map_rows import choose_rows
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps
from tests import sample_map_stores

RAW = np.array([[[-2.0, 0.5], [0.0, 3.0]]], np.float32)
SHOWN = {
    "positive": [[0.0, 0.5], [0.0, 3.0]],
    "negative": [[2.0, 0.0], [0.0, 0.0]],
    "both": [[-2.0, 0.5], [0.0, 3.0]],
}
EIGEN = -RAW


def store_of(folder: Path, sign: str, signed: bool = True) -> MapStore:
    """One image with evidence "gradcam/a" and a map "eigencam/a" that is none."""
    root = folder / "images"
    root.mkdir()
    sample_map_stores.make_image(root / "a.png", 8, 8, seed=0)
    item = sample_map_stores.Item("a", "", root / "a.png", None, "1")
    store = create_maps(folder / "run.zarr", sample_map_stores.attrs_of(root, sign=sign), [item], 1)
    maps = {"gradcam/a": RAW, "eigencam/a": EIGEN}
    rows = sample_map_stores.answers(1, maps, (1, 8, 8))
    store.append(0, replace(rows, signed=("gradcam/a",) if signed else ()))
    return MapStore.open(store.path)


@pytest.mark.parametrize("sign", SHOWN)
def test_what_a_sign_shows(sign: Any) -> None:
    with_nan = np.array([np.nan, -1.0, 2.0], np.float16)
    kept = {"positive": [np.nan, 0, 2], "negative": [np.nan, 1, 0], "both": [np.nan, -1, 2]}[sign]
    found = shown_evidence(with_nan, sign)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, kept)
    of_torch = shown_evidence(torch.from_numpy(with_nan), sign)
    np.testing.assert_array_equal(of_torch.numpy(), kept)


@pytest.mark.parametrize("sign", SHOWN)
def test_raw_in_the_store(tmp_path: Path, sign: str) -> None:
    store = store_of(tmp_path, sign)
    assert store.is_signed("gradcam/a")
    assert not store.is_signed("eigencam/a")
    np.testing.assert_array_equal(store.map("gradcam/a", 0), RAW[0])
    np.testing.assert_array_equal(store.shown_map("gradcam/a", 0), SHOWN[sign])
    np.testing.assert_array_equal(store.shown_map("eigencam/a", 0), EIGEN[0])
    for other, values in SHOWN.items():
        row, eigen = choose_rows(store, MapChoice(sign=other))  # type: ignore[arg-type]
        np.testing.assert_array_equal(row.read(store, 0), values)
        np.testing.assert_array_equal(eigen.read(store, 0), EIGEN[0])
        assert row.signed == (other == "both")
    own, _ = choose_rows(store, MapChoice())
    np.testing.assert_array_equal(own.read(store, 0), SHOWN[sign])
    assert own.signed == (sign == "both")


@pytest.mark.parametrize("sign", SHOWN)
def test_stores_of_schema_1(tmp_path: Path, sign: Any) -> None:
    """They hold what was shown: nothing is rectified again, least of all evidence against."""
    store = store_of(tmp_path, sign)
    for file in store.path.glob("maps/*/*/zarr.json"):
        node = json.loads(file.read_text())
        del node["attributes"]["signed"]
        file.write_text(json.dumps(node))
    root = store.path / "zarr.json"
    node = json.loads(root.read_text())
    node["attributes"]["schema"] = 1
    root.write_text(json.dumps(node))
    old = MapStore.open(store.path)
    for row, values in zip(choose_rows(old, MapChoice()), (RAW, EIGEN), strict=True):
        np.testing.assert_array_equal(row.read(old, 0), values[0])
        assert row.signed == (sign == "both")
    assert choose_rows(old, MapChoice(sign=sign))
    with pytest.raises(InputError, match=r"--sign .* is of an earlier fastcam"):
        choose_rows(old, MapChoice(sign="negative" if sign == "positive" else "positive"))


def test_an_unknown_sign() -> None:
    with pytest.raises(InputError, match="--sign 'up'"):
        MapChoice(sign="up")  # type: ignore[arg-type]

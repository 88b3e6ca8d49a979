"""Arrays of a store have folders of their own, whatever the layers of a model are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.store.folder_names import folder_name, folder_of
from fastcam.store.map_batch import BatchRows
from fastcam.store.maps import MapStore

from .sample_maps import new_store

AWKWARD = ("c", "zarr.json", "..", ".", "a/b", "__x", "blocks.0#1", "50%", "名", "x" * 400, "a b.")


def test_maps_of_awkward_layers_come_back(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    maps = {
        f"gradcam/{layer}": np.full((2, 3, 4), number, np.float32)
        for number, layer in enumerate(AWKWARD)
    }
    gates = {layer: np.full((2, 5), number, np.float32) for number, layer in enumerate(AWKWARD)}
    rows = BatchRows(
        reasons=("", ""),
        maps=maps,
        output=np.zeros((2, 3), np.float32),
        shape=np.ones((2, 3), np.int32),
        gates=gates,
    )
    store.append(0, rows)
    again = MapStore.open(store.path)
    assert again.map_names == tuple(maps)
    assert again.gate_names == AWKWARD
    for name, values in maps.items():
        np.testing.assert_array_equal(again.map(name, 1), values[1])
    for name, gate in gates.items():
        np.testing.assert_array_equal(again.gate(name, 1), gate[1])
    # Nothing is outside of its group, and Zarr can read all of it.
    group = zarr.open_group(store.path / "maps" / "gradcam", mode="r")
    assert len(list(group.array_keys())) == len(AWKWARD)
    assert {path.name for path in tmp_path.iterdir()} == {store.path.name}


@pytest.mark.parametrize("name", ["layer4.1", "backbone.layer4#1", "model", "conv_2-x"])
def test_usual_names_stay_as_they_are(name: str) -> None:
    assert folder_name(name) == name
    assert folder_of(f"maps/gradcam/{name}") == f"maps/gradcam/{name}"
    assert folder_of("maps/attention") == "maps/attention"


_NAMES = st.text(st.characters(blacklist_categories=["Cs"]) | st.sampled_from("./%c_#"), min_size=1)


@settings(deadline=None, max_examples=300)
@given(first=_NAMES, second=_NAMES)
def test_names_are_safe_and_stay_different(first: str, second: str) -> None:
    folder = folder_name(first)
    assert (folder == folder_name(second)) == (first == second)
    assert "/" not in folder
    assert folder.strip(". ") == folder
    assert len(folder.encode()) <= 220
    assert folder not in ("", "c", "zarr.json")
    assert not folder.startswith("__")


def test_what_looks_escaped_is_another_name() -> None:
    assert folder_name("a%2Fb") != folder_name("a/b")

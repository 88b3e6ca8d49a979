"""A store of slices: its arrays as Zarr reads them, its cases, and what damages it."""

from __future__ import annotations

import itertools
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import CaseError, InputError
from fastcam.read.inputs.slicing import SliceTable
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.slice_axis import grid_along, grid_back, slices_first, voxels_back
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps
from tests.store.sample_maps import CAM, LAST, attrs, items, rows

# Three volumes: slices 0 to 2, slice 5, slices 1 and 4.
TABLE = SliceTable(
    np.array([0, 3, 4, 6]), np.array([0, 2, 1], np.int32), np.array([0, 1, 2, 5, 1, 4], np.int32)
)


def new_store(folder: Path, batch: int = 4, pool: str = "mean") -> MapStore:
    known = {"sign": "positive", "pool": pool, "slicing": {"axis": "", "slices": "all"}}
    given_attrs = attrs(folder, dims=3, settings=known)
    return create_maps(folder / "run.zarr", given_attrs, items(folder, 3), batch, TABLE)


def batch_rows(count: int, seed: int, reasons: tuple[str, ...] = ()):
    shape = np.tile([9, 40, 50], (count, 1))
    affine = np.tile(np.eye(4), (count, 1, 1))
    return rows(count, seed, reasons, shape=shape, affine=affine)


def test_rows_are_slices_and_cases_are_volumes(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    first, second = batch_rows(4, 0), batch_rows(1, 1, ("", "slice 4 is odd"))
    store.append(0, first)
    assert [header.status for header in MapStore.open(store.path).headers] == [
        "done",
        "done",
        "open",
    ]
    with pytest.raises(CaseError, match="no map yet"):
        store.map(CAM, 2)
    store.append(1, second)
    store = MapStore.open(store.path)
    assert (len(store), store.row_count, store.batches, store.unfinished()) == (3, 6, 2, [])
    assert [header.status for header in store.headers] == ["done"] * 3
    np.testing.assert_array_equal(store.map(CAM, 0), first.maps[CAM][:3])
    np.testing.assert_array_equal(store.map(LAST, 1), first.maps[LAST][3:])
    np.testing.assert_array_equal(store.map(CAM, 2), second.maps[CAM])
    answers = store.headers[2].slices
    assert answers is not None
    assert answers.index.tolist() == [1]
    assert (answers.row(1), answers.row(4)) == (0, None)
    assert [(f.case, f.slice, f.rows, f.reason) for f in store.failures] == [
        (2, 4, 1, "slice 4 is odd")
    ]
    assert [store.axis(index) for index in range(3)] == [0, 2, 1]
    assert [store.case_of(row) for row in range(6)] == [0, 0, 0, 1, 2, 2]
    assert (store.done_rows(), store.open_rows()) == (5, 0)
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.map(CAM, 0), store.map(CAM, 0))


def test_zarr_reads_the_same(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.append(0, batch_rows(4, 0))
    store.append(1, batch_rows(2, 1))
    group = zarr.open_group(store.path, mode="r")
    for name, values in (("case_offset", TABLE.offset), ("case_axis", TABLE.axis)):
        np.testing.assert_array_equal(np.asarray(group[f"slices/{name}"]), values)
    np.testing.assert_array_equal(np.asarray(group["slices/index"]), TABLE.index)
    assert np.asarray(group["slices/output"]).shape == (6, 3)
    assert np.asarray(group["cases/id"]).shape == (3,)
    assert np.asarray(group[f"maps/{LAST}"]).shape == (6, 2, 3)


def test_an_attention_map_has_its_slices_before_its_picture(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    values = np.random.default_rng(0).random((6, 2, 3, 4, 5), dtype=np.float32)
    for number, part in ((0, slice(0, 4)), (1, slice(4, 6))):
        count = part.stop - part.start
        given_rows = batch_rows(count, number)
        store.append(
            number,
            rows(
                count,
                maps={"attention": values[part]},
                layer_names={"attention": ["a", "b"]},
                shape=given_rows.shape,
                affine=given_rows.affine,
            ),
        )
    found = MapStore.open(store.path).map("attention", 0)
    assert found.shape == (2, 3, 3, 4, 5)
    for z, layer, head in itertools.product(range(3), range(2), range(3)):
        np.testing.assert_array_equal(found[layer, head, z], values[z, layer, head])


def test_a_volume_that_fails_as_a_whole_is_one_failure(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.append(0, batch_rows(1, 0, ("bad", "bad", "bad", "")))
    store.append(1, batch_rows(1, 1, ("", "odd")))
    store = MapStore.open(store.path)
    assert [header.status for header in store.headers] == ["failed", "done", "done"]
    assert [(f.case, f.slice, f.rows) for f in store.failures] == [(0, None, 3), (2, 4, 1)]
    with pytest.raises(CaseError, match="has no map: bad"):
        store.map(CAM, 0)


@pytest.mark.parametrize("name", ["index", "case_offset", "prediction", "output"])
def test_a_damaged_store_is_an_error(tmp_path: Path, name: str) -> None:
    store = new_store(tmp_path)
    store.append(0, batch_rows(4, 0))
    store.append(1, batch_rows(2, 1))
    shutil.rmtree(store.path / "slices" / name)
    with pytest.raises(InputError, match="damaged"):
        MapStore.open(store.path)


@settings(deadline=None)
@given(st.integers(0, 2), st.integers(0, 2**31))
def test_a_grid_cut_along_an_axis_keeps_its_voxels_in_place(axis: int, seed: int) -> None:
    """A voxel of the view lies where its own affine puts the voxel of the file."""
    rng = np.random.default_rng(seed)
    lengths = [int(length) for length in rng.integers(1, 6, 3)]
    shape = (lengths[0], lengths[1], lengths[2])
    affine = np.eye(4)
    affine[:3] = rng.normal(size=(3, 4))
    grid = Grid(shape, affine)
    view = grid_along(grid, axis)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    turned = places.transpose((*slices_first(axis), 3))
    assert view.affine is not None
    for z, y, x in itertools.product(*map(range, view.shape)):
        own = turned[z, y, x]
        np.testing.assert_allclose(
            view.affine @ [x, y, z, 1], affine @ [own[2], own[1], own[0], 1], atol=1e-9
        )
    back = grid_back(view, axis)
    assert back.shape == shape
    np.testing.assert_array_equal(back.affine, affine)
    values = rng.random(shape)
    np.testing.assert_array_equal(voxels_back(values.transpose(slices_first(axis)), axis), values)

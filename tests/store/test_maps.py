"""The store of maps gives back what was appended, from any thread or process."""

from __future__ import annotations

import multiprocessing
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from fastcam.errors import CaseError, InputError, OutputError
from fastcam.store.map_batch import BatchRows
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps

from . import sample_maps
from .sample_maps import CAM, LAST, full_store, new_store, rows


@pytest.fixture
def full(tmp_path: Path) -> MapStore:
    return full_store(tmp_path)


def test_what_goes_in_comes_out(full: MapStore, tmp_path: Path) -> None:
    store = MapStore.open(full.path)
    assert store.unfinished() == []
    assert store.map_names == (CAM, LAST)
    assert store.axes(CAM) == ("y", "x")
    assert store.layer_names(CAM) == ()
    assert (len(store), store.batch, store.batches) == (5, 2, 3)
    for batch, first, count in ((0, 0, 2), (1, 2, 1), (2, 4, 1)):
        given = rows(count, batch)
        for row in range(count):
            header = store.headers[first + row]
            for name, values in given.maps.items():
                found = store.map(name, first + row)
                assert found.dtype == np.float32
                np.testing.assert_array_equal(found, values[row])
            np.testing.assert_array_equal(header.output, given.output[row])
            np.testing.assert_array_equal(header.probabilities, given.probability[row])
            np.testing.assert_array_equal(header.targets, given.target[row])
            assert header.prediction == given.prediction[row]
            assert header.confidence == given.confidence[row]
            assert header.shape == (1, 40, 50)
            assert header.affine is None
            assert (header.status, header.reason) == ("done", "")
    header = store.headers[1]
    assert (header.place, header.id, header.group, header.label) == (2, "图1", "g", "1")
    assert header.source == tmp_path / "g" / "图1.png"
    assert header.mask_source == tmp_path / "m1.png"
    assert store.headers[0].mask_source is None
    np.testing.assert_array_equal(store.map(CAM, -1), rows(1, 2).maps[CAM][0])
    copy = store.map(CAM, 0)
    copy[:] = 9
    assert store.map(CAM, 0).max() < 9


def test_a_failed_row_has_a_reason_and_no_map(full: MapStore) -> None:
    header = full.headers[3]
    assert (header.status, header.reason) == ("failed", "b.png: is damaged")
    assert header.prediction is None
    assert len(header.output) == len(header.probabilities) == len(header.targets) == 0
    assert np.isnan(header.confidence)
    with pytest.raises(CaseError, match=r"图3: has no map: b\.png: is damaged"):
        full.map(CAM, 3)
    stored = zarr.open_array(full.path / "maps" / CAM, mode="r")
    assert np.isnan(stored[3]).all()


def test_zarr_reads_the_same(full: MapStore) -> None:
    root = zarr.open_group(full.path, mode="r", zarr_format=3)
    assert root.attrs["kind"] == "maps"
    assert {name: array.dtype for name, array in root["cases"].arrays()} == {
        "shape": np.int32,
        "affine": np.float64,
        "prediction": np.int32,
        "confidence": np.float32,
        "output": np.float32,
        "probability": np.float32,
        "target": np.int32,
        **dict.fromkeys(("id", "group", "source", "mask_source", "label"), root["cases/id"].dtype),
    }
    assert root["done/status"][:].tolist() == [1, 1, 1, 2, 1]
    assert list(root["done/reason"][:]) == ["", "", "", "b.png: is damaged", ""]  # type: ignore[arg-type]
    assert list(root["cases/source"][:])[1] == "g/图1.png"  # type: ignore[arg-type]
    found = root[f"maps/{CAM}"]
    assert found.chunks == (2, 4, 5)
    assert found.attrs["axes"] == ["n", "y", "x"]
    np.testing.assert_array_equal(found[:2], rows(2, 0).maps[CAM])
    np.testing.assert_array_equal(found[4:], rows(1, 2).maps[CAM])


def test_attributes_are_kept(full: MapStore, tmp_path: Path) -> None:
    found = MapStore.open(full.path).attrs
    assert (found.model, found.sha256, found.dims) == ("resnet18", "ab" * 32, 2)
    assert (found.methods, found.layers) == (("gradcam",), ("layer4.1", "layer4"))
    assert found.preprocessing["size"] == [32, 32]
    assert (found.kind, found.schema) == ("maps", 2)
    assert found.created.endswith("+00:00")
    moved = MapStore.open(full.path, Path("/else"))
    assert moved.headers[0].source == Path("/else/g/图0.png")
    assert pickle.loads(pickle.dumps(moved)).root == Path("/else")


@pytest.mark.parametrize(
    ("dims", "shape", "axes"),
    [
        (2, (3, 4, 5), ("target", "y", "x")),
        (2, (2, 3, 4, 5), ("layer", "head", "y", "x")),
        (3, (2, 4, 5), ("z", "y", "x")),
        (3, (3, 2, 4, 5), ("target", "z", "y", "x")),
    ],
)
@pytest.mark.parametrize("half", [True, False])
def test_every_kind_of_map(
    tmp_path: Path, dims: int, shape: tuple[int, ...], axes: tuple[str, ...], half: bool
) -> None:
    store = new_store(tmp_path, 3, 2, dims=dims)
    values = np.random.default_rng(0).random((2, *shape)).astype(np.float16 if half else np.float32)
    affine = np.stack([np.eye(4), np.full((4, 4), np.nan)])
    made = rows(2, maps={"attention": values}, affine=affine, layer_names={"attention": ("a", "b")})
    store.append(0, made)
    assert store.axes("attention") == axes
    assert store.layer_names("attention") == (("a", "b") if "layer" in axes else ())
    assert zarr.open_array(store.path / "maps/attention", mode="r").dtype == values.dtype
    found = store.map("attention", 1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values[1].astype(np.float32))
    if dims == 3:
        np.testing.assert_array_equal(store.headers[0].affine, np.eye(4))
    assert store.headers[1].affine is None


def test_regression_has_no_class(tmp_path: Path) -> None:
    store = new_store(tmp_path, 2)
    none: dict[str, Any] = {
        "prediction": None,
        "confidence": None,
        "probability": None,
        "target": None,
    }
    store.append(0, rows(2, **none))
    header = MapStore.open(store.path).headers[0]
    assert header.prediction is None
    assert len(header.probabilities) == len(header.targets) == 0
    assert len(header.output) == 3


def test_batches_may_come_in_any_order_and_wholly_fail(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    assert store.unfinished() == [0, 1, 2]
    assert store.map_names == ()
    store.append(1, BatchRows.failed(("a", "b\ud800")))
    assert store.map_names == ()
    store.append(2, rows(1, 2))
    assert store.unfinished() == MapStore.open(store.path).unfinished() == [0]
    assert store.headers[3].reason == "b\\ud800"
    with pytest.raises(CaseError, match="has no map yet; run fastcam infer again"):
        store.map(CAM, 0)
    with pytest.raises(InputError, match=r"has no map 'rollout'; there are: gradcam/layer4\.1"):
        store.map("rollout", 0)
    with pytest.raises(IndexError):
        store.map(CAM, 5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_maps_that_are_not_finite_fail(tmp_path: Path, bad: float) -> None:
    store = new_store(tmp_path, 4, 4)
    made = rows(3, 0, ("", "gone", "", ""))
    made.maps[LAST][1, 0, 0] = bad
    made.output[2, 0] = bad
    store.append(0, made)
    assert [header.status for header in store.headers] == ["done", "failed", "failed", "failed"]
    assert store.headers[2].reason == f"{LAST} has values that are no finite numbers"
    assert store.headers[3].reason == "output has values that are no finite numbers"
    np.testing.assert_array_equal(store.map(LAST, 0), made.maps[LAST][0])
    assert np.isnan(zarr.open_array(store.path / "maps" / LAST, mode="r")[1:]).all()


def test_another_process_goes_on(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.append(0, rows(2, 0))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(MapStore.append, store, 1, rows(2, 8)).result()
        np.testing.assert_array_equal(other.submit(store.map, CAM, 1).result(), store.map(CAM, 1))
    finished = MapStore.open(store.path)
    assert finished.unfinished() == [2]
    np.testing.assert_array_equal(finished.map(CAM, 3), rows(2, 8).maps[CAM][1])


def test_threads_append_and_read(tmp_path: Path) -> None:
    store = new_store(tmp_path, 41, 4)

    def work(index: int) -> None:
        count = len(store.rows(index))
        store.append(index, rows(count, index))
        for row in range(count):
            expected = rows(count, index).maps[CAM][row]
            np.testing.assert_array_equal(store.map(CAM, 4 * index + row), expected)
        assert store.headers[4 * index].status == "done"

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(store.batches)))
    assert MapStore.open(store.path).unfinished() == []
    assert {header.status for header in store.headers} == {"done"}


def test_maps_of_another_run_are_refused(full: MapStore, tmp_path: Path) -> None:
    other = {CAM: np.zeros((2, 7, 7), np.float32), LAST: np.zeros((2, 2, 3), np.float32)}
    with pytest.raises(InputError, match=r"has shape \(4, 5\) for each image, but this run makes"):
        full.append(0, rows(2, maps=other))
    with pytest.raises(
        InputError, match=r"holds the maps gradcam/layer4.*, this run makes rollout"
    ):
        full.append(0, rows(2, maps={"rollout": np.zeros((2, 7, 7))}))
    for name in ("", "gradcam/", "/x"):
        with pytest.raises(InputError, match="can't be called"):
            full.append(0, rows(2, maps={name: np.zeros((2, 7, 7))}))


def test_wrong_numbers_of_rows_are_mistakes_of_the_caller(full: MapStore) -> None:
    with pytest.raises(ValueError, match="batch 2 has 1 rows, not 2"):
        full.append(2, rows(2))
    with pytest.raises(ValueError, match="2 rows for 1"):
        full.append(1, rows(2, reasons=("", "why")))
    with pytest.raises(IndexError, match="batch 3 of 3"):
        full.append(3, rows(1))


def test_a_batch_made_again_replaces_the_first(full: MapStore) -> None:
    np.testing.assert_array_equal(full.map(CAM, 4), rows(1, 2).maps[CAM][0])
    full.append(2, rows(1, 3))
    np.testing.assert_array_equal(full.map(CAM, 4), rows(1, 3).maps[CAM][0])
    full.append(2, BatchRows.failed(("gone",)))
    assert full.headers[4].reason == "gone"
    with pytest.raises(CaseError, match="gone"):
        full.map(CAM, 4)


def test_pickles_as_its_path(full: MapStore) -> None:
    copy = pickle.loads(pickle.dumps(full))
    assert copy.path == full.path
    assert len(pickle.dumps(full)) < 500


def test_what_can_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="at least one image"):
        new_store(tmp_path, 0)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be written"):
        create_maps(
            tmp_path / "file" / "r.zarr",
            sample_maps.attrs(tmp_path),
            sample_maps.items(tmp_path, 2),
            2,
        )

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("fastcam.run.files._write_all", full)
        with pytest.raises(OutputError, match="disk is full"):
            new_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    new_store(tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        new_store(tmp_path)


def test_nothing_warns(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = new_store(tmp_path)
        store.append(0, rows(2))
        MapStore.open(store.path).map(CAM, 0)


def test_gates_and_notes(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    assert store.gate_names == ()
    gates: dict[str, np.ndarray] = {
        "b.se": np.full((2, 3), 0.5, np.float32),
        "": np.ones((2, 4)),
        "a": np.zeros((2, 2)),
    }
    gates["a"][1] = 0.25
    store.append(0, rows(2, gates=gates, notes={CAM: "windows überlappen"}))
    bad = {name: values.copy() for name, values in gates.items()}
    bad["b.se"][0, 0] = np.nan
    store.append(1, rows(2, 1, gates=bad))
    again = MapStore.open(store.path)
    assert again.gate_names == ("b.se", "model", "a")
    assert (again.note(CAM), again.note(LAST)) == ("windows überlappen", "")
    np.testing.assert_array_equal(again.gate("a", 1), [0.25, 0.25])
    assert again.gate("model", 0).tolist() == [1.0] * 4
    assert again.headers[2].reason == "b.se has values that are no finite numbers"
    assert again.map_names == (CAM, LAST)
    with pytest.raises(InputError, match="has no channel gates 'se'"):
        again.gate("se", 0)
    with pytest.raises(CaseError, match=r"has no map: b\.se"):
        again.gate("a", 2)
    (store.path / "gates" / "a" / "c.0.0").unlink()
    with pytest.raises(CaseError, match=r"its map a in .* is damaged or gone"):
        MapStore.open(store.path).gate("a", 0)

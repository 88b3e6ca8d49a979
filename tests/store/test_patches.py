"""The run store gives back what was put in, one case at a time, and notices damage."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError, OutputError
from fastcam.read.results.case import Case
from fastcam.read.results.results import CaseWarning, RejectedCase, Results
from fastcam.store.patches import RunStore, create_from_results, open_store
from fastcam.store.root import SCHEMA_VERSION


def make_case(place: int, name: str, count: int, classes: int = 2) -> Case:
    rng = np.random.default_rng(place)
    corner = rng.integers(-50, 500, (count, 2))
    return Case(
        place=place,
        name=name,
        true_label=place % 3 - 1,
        predicted_label=place % 2,
        correct=bool(place % 2),
        confidence=float(rng.random()),
        probabilities=tuple(rng.random(classes).tolist()),
        weights=rng.random(count, np.float32),
        boxes=np.hstack([corner, corner + rng.integers(1, 60, (count, 2))]).astype(np.int32),
        slices=rng.integers(0, 99, count).astype(np.int32),
        roi=rng.integers(-1, 4, count).astype(np.int32),
        mask_ratio=np.where(rng.random(count) < 0.2, np.nan, 0.5).astype(np.float32),
    )


def results(*cases: Case) -> Results:
    return Results(
        source=Path("folder/results.pkl"),
        sha256="ab" * 32,
        cases=cases,
        rejected=(RejectedCase(7, "bad\ud800", "case 7: why"),),
        warnings=(CaseWarning(1, "颈", "odd"),),
    )


def assert_same(left: Case, right: Case) -> None:
    for key in Case.__dataclass_fields__:
        a, b = vars(left)[key], vars(right)[key]
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b
            assert type(a) is type(b)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    cases = [make_case(1, "颈", 5), make_case(3, "a/..", 70_000, 3), make_case(4, "c", 1)]
    return create_from_results(tmp_path / "out" / "run.zarr", results(*cases))


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.integers(1, 40),
            st.integers(1, 4),
        ),
        max_size=6,
    )
)
def test_what_goes_in_comes_out(made: list[tuple[str, int, int]]) -> None:
    cases = [make_case(i, *row) for i, row in enumerate(made, start=2)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.zarr")
        create_from_results(path, results(*cases))
        store = open_store(path)
        assert len(store.cases) == len(cases)
        for index, case in enumerate(cases):
            assert_same(store.case(index), case)
            header = store.cases[index]
            assert header.patches == len(case.weights)
            for key in ("place", "name", "true_label", "predicted_label", "correct", "confidence"):
                assert getattr(header, key) == getattr(case, key)
            assert header.probabilities == case.probabilities
        assert [p.name for p in Path(folder).iterdir()] == ["run.zarr"]


def test_cases_longer_than_a_chunk_and_from_the_end(store: RunStore) -> None:
    assert_same(store.case(1), make_case(3, "a/..", 70_000, 3))
    assert_same(store.case(-1), make_case(4, "c", 1))
    with pytest.raises(IndexError):
        store.case(3)


def test_origin_and_findings_are_kept(store: RunStore) -> None:
    assert store.attrs.schema == SCHEMA_VERSION == 2
    assert (store.attrs.source, store.attrs.sha256) == ("results.pkl", "ab" * 32)
    assert store.attrs.kind == "patch-attention"
    assert store.attrs.created.endswith("+00:00")
    assert store.rejected == (RejectedCase(7, "bad\\ud800", "case 7: why"),)
    assert store.warnings == (CaseWarning(1, "颈", "odd"),)


def test_layout_is_the_published_one(store: RunStore) -> None:
    root = zarr.open_group(store.path, mode="r", zarr_format=3)
    shapes = {name: array.shape for name, array in root["patches"].arrays()}
    assert shapes == {
        "weight": (70_006,),
        "box": (70_006, 4),
        "slice": (70_006,),
        "roi": (70_006,),
        "mask_ratio": (70_006,),
        "case_offset": (4,),
    }
    assert root["patches/case_offset"][:].tolist() == [0, 5, 70_005, 70_006]
    assert np.asarray(root["cases/id"][:]).tolist() == ["颈", "a/..", "c"]


def test_nothing_warns(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_from_results(tmp_path / "a.zarr", results(make_case(1, "a", 3))).case(0)


def first_weight(store: RunStore, index: int) -> float:
    return float(store.case(index).weights[0])


def test_other_processes_and_threads_read_the_same(store: RunStore) -> None:
    expected = [first_weight(store, i) for i in range(3)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(first_weight, [store] * 30, [0, 1, 2] * 10)) == expected * 10
    copy = pickle.loads(pickle.dumps(store))
    assert copy.path == store.path
    assert len(pickle.dumps(store)) < 1000
    # An opened store is sent; the other process opens its own arrays. Spawning is what Dask does.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        assert processes.submit(RunStore.case, store, 1).result().weights[0] == expected[1]


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    path.mkdir()
    (path / "mine").touch()
    with pytest.raises(OutputError, match="exists already"):
        create_from_results(path, results(make_case(1, "a", 3)))
    assert [entry.name for entry in path.iterdir()] == ["mine"]


def test_a_store_that_can_not_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be written"):
        create_from_results(tmp_path / "file" / "run.zarr", results(make_case(1, "a", 3)))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fastcam.store.patches.write_patches", full)
    with pytest.raises(OutputError, match="No space left"):
        create_from_results(tmp_path / "run.zarr", results(make_case(1, "a", 3)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_store(tmp_path / "none.zarr")
    with pytest.raises(InputError, match="is not a run store"):
        open_store(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a run store"):
        open_store(tmp_path / "file")
    for text in ("", "[1]", "{}", '{"attributes": {}}', "\xff"):
        (tmp_path / "zarr.json").write_text(text, encoding="latin1")
        with pytest.raises(InputError, match="is not a run store of fastcam"):
            open_store(tmp_path)


def change_attrs(path: Path, **changes: object) -> None:
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"] = {k: v for k, v in (root["attributes"] | changes).items() if v is not ...}
    (path / "zarr.json").write_text(json.dumps(root))


def test_another_schema_is_refused(store: RunStore) -> None:
    change_attrs(store.path, schema=3)
    with pytest.raises(InputError, match="has schema 3, this fastcam reads schema 1 and 2"):
        open_store(store.path)


def test_a_lost_attribute_is_noticed(store: RunStore) -> None:
    change_attrs(store.path, sha256=...)
    with pytest.raises(InputError, match="attribute 'sha256' is missing"):
        open_store(store.path)


@pytest.mark.parametrize(
    "name",
    [
        "cases/id/zarr.json",
        "patches/weight/zarr.json",
        "patches/case_offset/c/0",
        "cases/place/c/0",
        "cases/id/c/0",
    ],
)
@pytest.mark.parametrize("cut", [True, False])
def test_half_written_stores_do_not_open(store: RunStore, name: str, cut: bool) -> None:
    file = store.path / name
    if cut:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    with pytest.raises(InputError, match="damaged"):
        open_store(store.path)


@pytest.mark.parametrize("name", ["patches/weight/c/1", "patches/box/c/1/0"])
@pytest.mark.parametrize("cut", [True, False])
def test_lost_patches_cost_the_cases_that_had_them(store: RunStore, name: str, cut: bool) -> None:
    file = store.path / name
    if cut:
        file.write_bytes(file.read_bytes()[:20])
    else:
        file.unlink()
    opened = open_store(store.path)
    assert_same(opened.case(0), make_case(1, "颈", 5))
    with pytest.raises(InputError, match="damaged"):
        opened.case(1)

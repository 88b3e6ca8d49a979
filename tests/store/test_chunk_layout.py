"""How large the chunks of stores are, whatever the number of cases and classes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastcam.read.results.results import Results
from fastcam.store import lazy_columns
from fastcam.store.chunk_files import batch_chunk_rows, chunk_rows
from fastcam.store.maps import MapStore
from fastcam.store.patches import create_from_results, open_store
from tests.sample_runs import make_case
from tests.store.sample_maps import CAM, new_store, rows

MIB = 1 << 20


@given(st.integers(1, 10**9), st.integers(1, 1 << 31))
def test_a_chunk_is_small_or_one_row(count: int, row_bytes: int) -> None:
    length = chunk_rows(count, row_bytes)
    assert 1 <= length <= count
    assert length == 1 or length * row_bytes <= 8 * MIB
    # Nor smaller than need be: half of 4 MiB, all rows, or the 65536 rows of a chunk of texts.
    assert length in (count, 65536, 1) or length * row_bytes >= 2 * MIB


@given(st.integers(1, 512), st.integers(1, 1 << 31))
def test_a_batch_is_cut_into_equal_chunks(batch: int, row_bytes: int) -> None:
    length = batch_chunk_rows(batch, row_bytes)
    assert batch % length == 0
    assert length == 1 or length * row_bytes <= 64 * MIB


def test_imagenet_21k_of_a_million_images() -> None:
    length = chunk_rows(1_000_000, 21843 * 8)
    assert length * 21843 * 8 <= 8 * MIB
    assert math.ceil(1_000_000 / length) < 50_000  # files
    assert batch_chunk_rows(64, 21843 * 4) == 64


def test_many_classes_of_few_cases(tmp_path: Path) -> None:
    """The rows of a chunk are those of the cases: 5,000 classes of 6 cases are 240 kB."""
    cases = []
    for place in range(1, 7):
        case = make_case(place, f"p{place}", [0, 1])
        shares = np.random.default_rng(place).dirichlet(np.ones(5000))
        object.__setattr__(case, "probabilities", tuple(shares.tolist()))
        cases.append(case)
    store = create_from_results(
        tmp_path / "run.zarr", Results(Path("r.pkl"), "f" * 64, tuple(cases), (), ())
    )
    node = json.loads((store.path / "cases/probability/zarr.json").read_text())
    assert node["chunk_grid"]["configuration"]["chunk_shape"] == [6, 5000]
    assert [case.probabilities for case in store.cases] == [case.probabilities for case in cases]


def test_large_columns_are_read_when_used(tmp_path: Path, monkeypatch) -> None:
    maps = new_store(tmp_path, 5, 2)
    batches = [rows(2, 0), rows(2, 1), rows(1, 2)]
    for number, batch in enumerate(batches):
        maps.append(number, batch)
    case = make_case(1, "p", [0])
    patches = create_from_results(
        tmp_path / "p.zarr", Results(Path("r.pkl"), "f" * 64, (case,), (), ())
    )
    monkeypatch.setattr("fastcam.store.row_arrays.LAZY_BYTES", 0)
    monkeypatch.setattr("fastcam.store.patches.LAZY_BYTES", 0)
    assert lazy_columns.LAZY_BYTES > 0
    again = MapStore.open(maps.path)
    for index, header in enumerate(again.headers):
        batch, row = batches[index // 2], index % 2
        np.testing.assert_array_equal(header.output, batch.output[row])
        np.testing.assert_array_equal(header.probabilities, batch.probability[row])
    assert open_store(patches.path).cases[0].probabilities == case.probabilities


def test_a_batch_in_several_chunks_reads_as_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("fastcam.store.chunk_files._BATCH_CHUNK_BYTES", 100)
    store = new_store(tmp_path, 5, 4)
    batches = [rows(4, 0), rows(1, 1)]
    for number, batch in enumerate(batches):
        store.append(number, batch)
    files = sorted(path.name for path in (store.path / "maps/gradcam/layer4.1").glob("c.*"))
    assert files == [f"c.{number}.0.0" for number in range(5)]
    again = MapStore.open(store.path)
    for index in range(5):
        expected = batches[index // 4].maps[CAM][index % 4]
        np.testing.assert_array_equal(again.map(CAM, index), expected)

"""Chunk files are Zarr's: what one writes the other reads, for every kind and edge."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.store.chunk_files import TEXT, Chunks, create_array


def make(
    folder: Path, shape: tuple[int, ...], dtype: Any, fill: float | None, chunk: int
) -> Chunks:
    group = zarr.open_group(folder / "a.zarr", mode="a", zarr_format=3)
    create_array(group, "x", shape, dtype, fill=fill, chunk=chunk, attributes={"axes": ["n"]})
    return Chunks(folder / "a.zarr" / "x")


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 5),
    st.lists(st.integers(1, 4), max_size=3),
    st.sampled_from([("float32", np.nan), ("float16", np.nan), ("int32", -7), ("int8", 0)]),
    st.booleans(),
)
def test_zarr_and_the_files_agree(
    count: int, chunk: int, tail: list[int], kind: tuple[str, float], by_zarr: bool
) -> None:
    dtype, fill = kind
    values = np.random.default_rng(count).integers(-99, 99, (count, *tail)).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        chunks = make(Path(folder), values.shape, dtype, fill, chunk)
        stored = zarr.open_array(Path(folder) / "a.zarr" / "x", mode="r+")
        expected = values.copy()
        for index, start in enumerate(range(0, count, chunk)):
            if index % 3 == 1:  # never written
                expected[start : start + chunk] = fill
            elif by_zarr:
                stored[start : start + chunk] = values[start : start + chunk]
            else:
                chunks.write(index, values[start : start + chunk])
        np.testing.assert_array_equal(chunks.read_all(), expected)
        np.testing.assert_array_equal(stored[:], expected)
        assert chunks.read_all().dtype == stored.dtype


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 9),
    st.integers(1, 5),
    st.lists(st.integers(1, 4), max_size=2),
    st.sampled_from(["float32", "int64", "bool", "float64"]),
    st.data(),
)
def test_arrays_of_zarr_s_defaults(
    count: int, chunk: int, tail: list[int], dtype: str, data: st.DataObject
) -> None:
    values = np.random.default_rng(count).integers(-9, 9, (count, *tail)).astype(dtype)
    texts = np.array([f"颈{number}" * (number + 1) for number in range(count)], dtype=object)
    with tempfile.TemporaryDirectory() as folder:
        group = zarr.create_group(Path(folder), zarr_format=3)
        how: dict[str, Any] = {"compressors": zarr.codecs.BloscCodec(cname="zstd")}
        numbers = group.create_array(
            "x", shape=values.shape, chunks=(chunk, *tail), dtype=dtype, **how
        )
        numbers[:] = values
        group.create_array("t", shape=(count,), chunks=(chunk,), dtype="string")[:] = texts
        start = data.draw(st.integers(0, count))
        stop = data.draw(st.integers(start, count))
        for name, expected in (("x", values), ("t", texts)):
            chunks = Chunks(Path(folder) / name)
            np.testing.assert_array_equal(chunks.read_rows(start, stop), expected[start:stop])
            np.testing.assert_array_equal(chunks.read_all(), expected)
            assert chunks.read_all().dtype == expected.dtype
        if count:
            Chunks(Path(folder) / "t").write(0, texts[:chunk][::-1])
            written = zarr.open_array(Path(folder) / "t", mode="r")[:]
            assert np.asarray(written).tolist() == [*texts[:chunk][::-1], *texts[chunk:]]


def test_text(tmp_path: Path) -> None:
    chunks = make(tmp_path, (5,), TEXT, None, 2)
    texts = np.array(["", "颈\n", "x" * 999, "d", "e"], dtype=object)
    chunks.write(0, texts[:2])
    chunks.write(2, texts[4:])
    assert chunks.read_all().tolist() == ["", "颈\n", "", "", "e"]
    stored = zarr.open_array(tmp_path / "a.zarr" / "x", mode="r+")
    assert list(stored[:]) == ["", "颈\n", "", "", "e"]  # type: ignore[arg-type]
    stored[2:4] = texts[2:4]
    assert chunks.read_all().tolist() == texts.tolist()


def test_a_chunk_is_replaced_whole(tmp_path: Path) -> None:
    chunks = make(tmp_path, (4, 2), np.float32, np.nan, 4)
    chunks.write(0, np.ones((4, 2)))
    chunks.write(0, np.full((1, 2), 2.0))
    assert chunks.read(0)[:, 0].tolist()[:1] == [2.0]
    assert np.isnan(chunks.read(0)[1:]).all()
    assert sorted(path.name for path in (tmp_path / "a.zarr" / "x").iterdir()) == [
        "c.0.0",
        "zarr.json",
    ]
    for values in (np.ones((5, 2)), np.ones((4, 3)), np.ones(4)):
        with pytest.raises(ValueError, match="rows of shape"):
            chunks.write(0, values)


@pytest.mark.parametrize("cut", [0, 5, 15, 16, 40, -1])
def test_a_cut_chunk_is_noticed(tmp_path: Path, cut: int) -> None:
    chunks = make(tmp_path, (64, 8), np.float32, np.nan, 64)
    chunks.write(0, np.random.default_rng(0).random((64, 8)))
    file = tmp_path / "a.zarr" / "x" / "c.0.0"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match="not whole"):
        chunks.read(0)


@pytest.mark.parametrize(
    "how",
    [
        {"compressors": None},
        {"chunks": (2, 1)},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
        {"dtype": "uint64"},
    ],
)
def test_arrays_cut_or_packed_otherwise_are_refused(tmp_path: Path, how: dict[str, Any]) -> None:
    plain: dict[str, Any] = {
        "chunks": (2, 4),
        "dtype": "float32",
        "compressors": zarr.codecs.BloscCodec(),
        "chunk_key_encoding": {"name": "default", "separator": "."},
    }
    zarr.create_array(tmp_path / "x", shape=(4, 4), **plain)
    Chunks(tmp_path / "x")
    zarr.create_array(tmp_path / "x", shape=(4, 4), overwrite=True, **plain | how)
    with pytest.raises(ValueError, match="in a way that fastcam doesn't"):
        Chunks(tmp_path / "x")

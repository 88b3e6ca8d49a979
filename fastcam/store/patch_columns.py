"""The arrays of a run store of patch attention: what they are called, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.results.case import Case
from fastcam.store.chunk_files import chunk_rows

if TYPE_CHECKING:
    import zarr

# One case of 2400 patches is read in 2.2 ms from chunks of 65536 patches packed by blosc-lz4, the
# same as from chunks of 8192, in an eighth of the files; zstd takes 3.3 ms. Zarr's
# async.concurrency and threading.max_workers made no difference (2.0 against 2.2 ms) and are left
# alone.

# A name has about so many.
_TEXT_BYTES = 64

# Fill of integers that can be any number but this one, so that a missing chunk shows. As a label
# it stands for one that is not known.
MISSING = -(2**31)

# Array in the store: attribute of Case, dtype, fill value.
CASE_COLUMNS: dict[str, tuple[str, Any, float]] = {
    "place": ("place", np.int32, MISSING),
    "label": ("true_label", np.int32, MISSING),
    "prediction": ("predicted_label", np.int32, MISSING),
    "correct": ("correct", np.bool_, False),
    "confidence": ("confidence", np.float64, np.nan),
}
PATCH_COLUMNS: dict[str, tuple[str, Any, float]] = {
    "weight": ("weights", np.float32, np.nan),
    "box": ("boxes", np.int32, 0),
    "slice": ("slices", np.int32, 0),
    "roi": ("roi", np.int32, -1),
    "mask_ratio": ("mask_ratio", np.float32, np.nan),
}


def write_cases(group: zarr.Group, cases: Sequence[Case]) -> None:
    """Write what is known of each case, an array a column."""
    # Text of variable length, which the core of Zarr format 3 knows as "string".
    rows = chunk_rows(len(cases), _TEXT_BYTES)
    ids = group.create_array("id", shape=(len(cases),), chunks=(rows,), dtype="string")
    ids[:] = np.array([case.name for case in cases], dtype=object)
    for name, (attribute, dtype, fill) in CASE_COLUMNS.items():
        values = [getattr(case, attribute) for case in cases]
        _write_array(group, name, np.array([fill if v is None else v for v in values], dtype), fill)
    classes = max((len(case.probabilities) for case in cases), default=1)
    array = _create_array(group, "probability", (len(cases), classes), np.float64, np.nan)
    rows = array.chunks[0]
    # Chunk by chunk: all of them may be more than fits into memory.
    for start in range(0, len(cases), rows):
        part = cases[start : start + rows]
        probability = np.full((len(part), classes), np.nan)
        for row, case in zip(probability, part, strict=True):
            row[: len(case.probabilities)] = case.probabilities
        array[start : start + rows] = probability


def write_patches(group: zarr.Group, cases: Sequence[Case]) -> None:
    """Write the patches of all cases, an array a column, and where those of each case begin."""
    offsets = np.cumsum([0, *(len(case.weights) for case in cases)], dtype=np.int64)
    _write_array(group, "case_offset", offsets, -1)
    for name, (attribute, dtype, fill) in PATCH_COLUMNS.items():
        shape = (int(offsets[-1]), 4) if name == "box" else (int(offsets[-1]),)
        array = _create_array(group, name, shape, dtype, fill)
        rows = array.chunks[0]
        # Chunk by chunk: all of them together would be there twice.
        for start in range(0, shape[0], rows):
            stop = min(start + rows, shape[0])
            first = int(np.searchsorted(offsets, start, side="right")) - 1
            behind = int(np.searchsorted(offsets, stop))
            array[start:stop] = np.concatenate(
                [
                    getattr(case, attribute)[max(0, start - offset) : stop - offset]
                    for case, offset in zip(
                        cases[first:behind], offsets[first:behind].tolist(), strict=True
                    )
                ]
            )


def _write_array(group: zarr.Group, name: str, values: NDArray[Any], fill: float) -> None:
    array = _create_array(group, name, values.shape, values.dtype, fill)
    array[...] = values


def _create_array(
    group: zarr.Group, name: str, shape: tuple[int, ...], dtype: Any, fill: float
) -> zarr.Array[Any]:
    from zarr.codecs import BloscCodec

    row_bytes = math.prod(shape[1:]) * np.dtype(dtype).itemsize
    return group.create_array(
        name,
        shape=shape,
        chunks=(chunk_rows(shape[0], row_bytes), *shape[1:]),
        dtype=dtype,
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
        fill_value=fill,
    )

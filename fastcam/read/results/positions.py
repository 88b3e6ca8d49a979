"""The ``positions`` of a case: N dicts to columns, each value checked, the bad one named.

Columns are made and checked by NumPy; only when something is wrong does a slow walk look for
the position to name. 100 cases of 2400 patches take 0.3 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.results.case import Patches
from fastcam.read.results.scalars import INT_LIMIT, printable

REQUIRED = ("bbox", "slice_idx")
OPTIONAL = ("center_x", "center_y", "roi_id", "mask_ratio")


@dataclass(frozen=True)
class Column:
    """One key of those positions that have it.

    - ``values``: M of them, each a number or a box
    - ``rows``: the index of each of the M positions
    """

    values: Sequence[object] | NDArray[Any]
    rows: Sequence[int] | range


def columns_of(positions: object, where: str) -> tuple[int, dict[str, Column]]:
    """N and the columns of a list of N dicts.

    ``where`` names the case at the start of each message. Raises CaseError.
    """
    if not isinstance(positions, list | tuple):
        raise CaseError(
            f"{where}: positions is a {type(positions).__name__}, must be a list of dicts"
        )
    if not all(type(position) is dict for position in positions):
        row = next(i for i, position in enumerate(positions) if type(position) is not dict)
        raise CaseError(
            f"{where}: positions[{row}] is {printable(positions[row])}, must be a dict with the "
            "keys bbox and slice_idx"
        )
    columns = {}
    everything = range(len(positions))
    for key in REQUIRED + OPTIONAL:
        rows: Sequence[int] | range = everything
        try:
            values = [position[key] for position in positions]
        except KeyError:
            rows = [row for row in everything if key in positions[row]]
            values = [positions[row][key] for row in rows]
            if key in REQUIRED:
                row = next(row for row in everything if key not in positions[row])
                raise CaseError(f"{where}: positions[{row}] has no key {key!r}") from None
        if rows:
            columns[key] = Column(values, rows)
    return len(positions), columns


def check_patches(count: int, columns: dict[str, Column], where: str) -> Patches:
    """The arrays of ``count`` patches.

    Raises CaseError that names the first bad position, its key and value.
    """
    boxes = _whole(columns["bbox"], "bbox", where, (4,))
    _demand(
        (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]),
        columns["bbox"],
        f"{where}: positions[%d]: bbox",
        "must be x1, y1, x2, y2 with x2 > x1 and y2 > y1",
    )
    slices = _whole(columns["slice_idx"], "slice_idx", where)
    _demand(
        slices >= 0,
        columns["slice_idx"],
        f"{where}: positions[%d]: slice_idx",
        "must be 0 or more",
    )
    for key in ("center_x", "center_y"):
        if key in columns:
            _finite(columns[key], key, where)
    roi = np.full(count, -1, np.int32)
    if "roi_id" in columns:
        roi[_index(columns["roi_id"])] = _whole(columns["roi_id"], "roi_id", where)
    ratio = np.full(count, np.nan, np.float32)
    if "mask_ratio" in columns:
        column = columns["mask_ratio"]
        shares = _finite(column, "mask_ratio", where)
        inside = (shares >= 0) & (shares <= 1 + 1e-5)
        _demand(inside, column, f"{where}: positions[%d]: mask_ratio", "must be from 0 to 1")
        ratio[_index(column)] = np.minimum(shares, 1)
    return Patches(boxes, slices, roi, ratio)


def _index(column: Column) -> slice | list[int]:
    return slice(None) if isinstance(column.rows, range) else list(column.rows)


def _whole(column: Column, key: str, where: str, shape: tuple[int, ...] = ()) -> NDArray[np.int32]:
    values = _finite(column, key, where, shape)
    fits = (np.abs(values) < INT_LIMIT) & (values == np.rint(values))
    each = fits.reshape(len(fits), -1).all(axis=1)
    requirement = "must be four whole numbers x1, y1, x2, y2" if shape else "must be a whole number"
    _demand(each, column, f"{where}: positions[%d]: {key}", f"{requirement} of less than 32 bits")
    return values.astype(np.int32)


def _finite(
    column: Column, key: str, where: str, shape: tuple[int, ...] = ()
) -> NDArray[np.float64]:
    """The column as float64, which holds every int32 exactly; each value finite."""
    requirement = "must be four numbers x1, y1, x2, y2" if shape else "must be a number"
    start = f"{where}: positions[%d]: {key}"
    array = _as_numbers(column.values)
    if array is None or array.shape[1:] != shape:
        good = [_is_number_of(value, shape) for value in column.values]
        _demand(np.array(good, bool), column, start, requirement)
        raise CaseError(f"{where}: positions: {key} can't be read as numbers")
    values = array.astype(np.float64)
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    _demand(finite, column, start, requirement + " and finite")
    return values


def _as_numbers(values: object) -> NDArray[Any] | None:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.dtype.kind in "iuf" else None


def _is_number_of(value: object, shape: tuple[int, ...]) -> bool:
    array = _as_numbers(value)
    return array is not None and array.shape == shape


def _demand(
    good: NDArray[np.bool_] | np.bool_, column: Column, start: str, requirement: str
) -> None:
    if not good.all():
        index = int(np.argmin(good))
        value = column.values[index]
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        raise CaseError(f"{start % column.rows[index]} is {printable(plain)}, {requirement}")

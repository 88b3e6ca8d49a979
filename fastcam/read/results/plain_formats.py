"""The results file without pickle: the same fields as JSON, or as flat arrays in an ``.npz``.

The ``.npz`` holds, for n cases with P patches in all, in case order:

- ``patient_name`` (n,) text · ``true_label``, ``predicted_label``, ``num_patches`` (n,) integers
- ``is_correct`` (n,) bool · ``confidence`` (n,) float · ``prob`` (n, classes) float, NaN where a
  case has fewer classes
- ``attention_weights`` (P,) float32 · ``bbox`` (P, 4) int32 · ``slice_idx`` (P,) int32
- optional: ``center_x``, ``center_y`` (P,) float · ``roi_id`` (P,) int, -1 where not recorded ·
  ``mask_ratio`` (P,) float, NaN where not recorded

The JSON is the pickled list of dicts, with lists for arrays.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.read.archive_limits import check_member, excess
from fastcam.read.results.positions import OPTIONAL, REQUIRED, Column

_PER_CASE = {
    "patient_name": "US",
    "true_label": "iuf",
    "predicted_label": "iuf",
    "is_correct": "biuf",
    "prob": "f",
    "confidence": "f",
    "num_patches": "iu",
}
_PER_PATCH = ("attention_weights", *REQUIRED, *OPTIONAL)
# Real files compress ten times; more than this is a bomb.
_LEAST, _PER_BYTE = 64 << 20, 200
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    TypeError,
    SyntaxError,
    EOFError,
    KeyError,
    MemoryError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def read_json(path: Path) -> object:
    """A results file in JSON as Python lists and dicts; InputError when it is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not a complete JSON file: {error}") from error


def read_npz(path: Path) -> list[dict[str, object]]:
    """A results file in ``.npz`` as one dict per case whose ``positions`` are columns.

    Raises InputError when it is damaged, lacks an array, or the arrays' lengths disagree.
    """
    arrays = _load_arrays(path)
    counts = arrays["num_patches"]
    cases, patches = len(counts), len(arrays["attention_weights"])
    for name in _PER_CASE:
        if len(arrays[name]) != cases:
            raise InputError(f"{path}: {name} has {len(arrays[name])} entries for {cases} cases")
    for name in _PER_PATCH:
        if name in arrays and len(arrays[name]) != patches:
            raise InputError(
                f"{path}: {name} has {len(arrays[name])} entries, attention_weights {patches}; "
                "there must be one for each patch"
            )
    if cases == 0:
        raise InputError(f"{path}: has no cases, so there is nothing to draw")
    if (counts < 0).any() or int(counts.astype(object).sum()) != patches:
        raise InputError(
            f"{path}: num_patches doesn't add up to the {patches} patches of attention_weights"
        )
    ends = np.cumsum(counts.astype(np.int64))
    return [
        _record(arrays, case, slice(end - int(count), end))
        for case, (end, count) in enumerate(zip(ends.tolist(), counts, strict=True))
    ]


def _load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as members:
            if reason := excess(members, path.stat().st_size, _LEAST, _PER_BYTE):
                raise InputError(f"{path}: {reason}")
            for member in members.infolist():
                check_member(members, member)
        with np.load(path, allow_pickle=False) as archive:
            names = [*_PER_CASE, *_PER_PATCH]
            missing = [n for n in names if n not in archive.files and n not in OPTIONAL]
            if missing:
                raise InputError(
                    f"{path}: is not a results file: the array {missing[0]!r} is missing "
                    f"(it holds {', '.join(archive.files[:8]) or 'nothing'})"
                )
            arrays = {name: archive[name] for name in names if name in archive.files}
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise InputError(f"{path}: is damaged ({error}). Copy or write it again") from error
    for name, array in arrays.items():
        shape = {"prob": ("n", "classes"), "bbox": ("P", 4)}.get(
            name, ("n" if name in _PER_CASE else "P",)
        )
        kinds = _PER_CASE.get(name, "iuf")
        if (
            array.ndim != len(shape)
            or array.dtype.kind not in kinds
            or (name == "bbox" and array.shape[1] != 4)
        ):
            raise InputError(
                f"{path}: {name} is {array.dtype} of shape {array.shape}, must be "
                f"{'text' if kinds == 'US' else 'numbers'} of shape "
                f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
            )
    return arrays


def _record(arrays: dict[str, NDArray[Any]], case: int, part: slice) -> dict[str, object]:
    name = arrays["patient_name"][case]
    record: dict[str, object] = {
        "patient_name": name.decode("latin1") if isinstance(name, bytes) else str(name),
        "attention_weights": arrays["attention_weights"][part],
    }
    for key in ("true_label", "predicted_label", "is_correct", "confidence", "num_patches"):
        record[key] = arrays[key][case].item()
    for number, value in enumerate(arrays["prob"][case].tolist()):
        if value == value or number == 0:
            record[f"prob_class_{number}"] = value
    record["positions"] = _columns(arrays, part)
    return record


def _columns(arrays: dict[str, NDArray[Any]], part: slice) -> dict[str, Column]:
    columns = {}
    for key in (*REQUIRED, *OPTIONAL):
        if key not in arrays:
            continue
        values = arrays[key][part]
        rows: Sequence[int] | range = range(len(values))
        if key == "mask_ratio" and np.isnan(values).any():
            rows = np.flatnonzero(~np.isnan(values)).tolist()
            values = values[rows]
        if len(rows):
            columns[key] = Column(values, rows)
    return columns

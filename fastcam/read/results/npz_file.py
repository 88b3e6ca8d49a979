"""The results file as flat arrays in an ``.npz``.

It holds, for n cases with P patches in all, in case order:

- ``patient_name`` (n,) text · ``true_label``, ``predicted_label``, ``num_patches`` (n,) integers
- ``is_correct`` (n,) bool · ``confidence`` (n,) float · ``prob`` (n, classes) float, NaN where a
  case has fewer classes
- ``attention_weights`` (P,) float32 · ``bbox`` (P, 4) int32 · ``slice_idx`` (P,) int32
- optional: ``center_x``, ``center_y`` (P,) float · ``roi_id`` (P,) int, -1 where not recorded ·
  ``mask_ratio`` (P,) float, NaN where not recorded
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.read.archive_limits import check_member, excess
from fastcam.read.results.array_rows import ArrayRows
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


def read_npz(path: Path) -> Iterator[dict[str, object]]:
    """A results file in ``.npz`` as one dict per case whose ``positions`` are columns.

    The arrays of patches are read case by case. Raises InputError when it is damaged, perhaps
    behind some cases, lacks an array, or the arrays' lengths disagree.
    """
    with _named_errors(path), ExitStack() as opened:
        archive = opened.enter_context(zipfile.ZipFile(opened.enter_context(path.open("rb"))))
        _check_members(path, archive)
        of_cases = _load_arrays(path)
        of_patches = {
            name: opened.enter_context(ArrayRows(archive, f"{name}.npy"))
            for name in _PER_PATCH
            if f"{name}.npy" in archive.namelist()
        }
        for name, array in (of_cases | of_patches).items():
            _check_kind(path, name, array)
        _check_lengths(path, of_cases, of_patches)
        counts = of_cases["num_patches"].tolist()
        for case, count in enumerate(counts):
            rows = {name: array.take(count) for name, array in of_patches.items()}
            yield _record(of_cases, case, rows)
        for array in of_patches.values():
            array.check_end()


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """What goes wrong with an archive as an InputError that names the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise InputError(f"{path}: is damaged ({error}). Copy or write it again") from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    if reason := excess(archive, path.stat().st_size, _LEAST, _PER_BYTE):
        raise InputError(f"{path}: {reason}")
    for member in archive.infolist():
        check_member(archive, member)
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    missing = [n for n in (*_PER_CASE, *_PER_PATCH) if n not in names and n not in OPTIONAL]
    if missing:
        raise InputError(
            f"{path}: is not a results file: the array {missing[0]!r} is missing "
            f"(it holds {', '.join(names[:8]) or 'nothing'})"
        )


def _load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in _PER_CASE}


def _check_kind(path: Path, name: str, array: NDArray[Any] | ArrayRows) -> None:
    axes = {"prob": ("n", "classes"), "bbox": ("P", 4)}.get(
        name, ("n" if name in _PER_CASE else "P",)
    )
    kinds = _PER_CASE.get(name, "iuf")
    if (
        len(array.shape) != len(axes)
        or array.dtype.kind not in kinds
        or (name == "bbox" and array.shape[1] != 4)
    ):
        raise InputError(
            f"{path}: {name} is {array.dtype} of shape {array.shape}, must be "
            f"{'text' if kinds == 'US' else 'numbers'} of shape "
            f"({', '.join(map(str, axes))}{',' if len(axes) == 1 else ''})"
        )


def _check_lengths(
    path: Path, of_cases: dict[str, NDArray[Any]], of_patches: dict[str, ArrayRows]
) -> None:
    counts = of_cases["num_patches"]
    cases, patches = len(counts), of_patches["attention_weights"].shape[0]
    for name, array in of_cases.items():
        if len(array) != cases:
            raise InputError(f"{path}: {name} has {len(array)} entries for {cases} cases")
    for name, rows in of_patches.items():
        if rows.shape[0] != patches:
            raise InputError(
                f"{path}: {name} has {rows.shape[0]} entries, attention_weights {patches}; "
                "there must be one for each patch"
            )
    if cases == 0:
        raise InputError(f"{path}: has no cases, so there is nothing to draw")
    if (counts < 0).any() or int(counts.astype(object).sum()) != patches:
        raise InputError(
            f"{path}: num_patches doesn't add up to the {patches} patches of attention_weights"
        )


def _record(
    of_cases: dict[str, NDArray[Any]], case: int, rows: dict[str, NDArray[Any]]
) -> dict[str, object]:
    name = of_cases["patient_name"][case]
    record: dict[str, object] = {
        "patient_name": name.decode("latin1") if isinstance(name, bytes) else str(name),
        "attention_weights": rows["attention_weights"],
    }
    for key in ("true_label", "predicted_label", "is_correct", "confidence", "num_patches"):
        record[key] = of_cases[key][case].item()
    for number, value in enumerate(of_cases["prob"][case].tolist()):
        if value == value or number == 0:
            record[f"prob_class_{number}"] = value
    record["positions"] = _columns(rows)
    return record


def _columns(arrays: dict[str, NDArray[Any]]) -> dict[str, Column]:
    columns = {}
    for key in (*REQUIRED, *OPTIONAL):
        if key not in arrays:
            continue
        values = arrays[key]
        rows: Sequence[int] | range = range(len(values))
        if key == "mask_ratio" and np.isnan(values).any():
            rows = np.flatnonzero(~np.isnan(values)).tolist()
            values = values[rows]
        if len(rows):
            columns[key] = Column(values, rows)
    return columns

"""Read a results file, whichever of its three forms, into checked cases.

What makes the whole file unusable is an InputError. What makes one case unusable costs that
case: it is listed in ``Results.rejected`` with its reason. What is odd but can be drawn is a
warning.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastcam.errors import CaseError, InputError
from fastcam.read.regular_files import check_regular
from fastcam.read.results import pickle_reader, plain_formats
from fastcam.read.results.case import Case
from fastcam.read.results.case_checks import check_case, name_of
from fastcam.read.results.scalars import printable

PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth")


@dataclass(frozen=True)
class CaseFinding:
    """Something wrong with a case.

    - ``place``: 1-based position of the case in the results file
    - ``name``: the case's name, "" where it has none
    - ``reason``: what is wrong, as one line
    """

    place: int
    name: str
    reason: str


class RejectedCase(CaseFinding):
    """A case that can't be used."""


class CaseWarning(CaseFinding):
    """A case that is used although something in it is odd."""


@dataclass(frozen=True)
class Results:
    """A results file, read and checked.

    - ``source``: the file
    - ``sha256``: its checksum in hexadecimal
    - ``cases``: those that can be used, in the file's order
    - ``rejected``: those that can't, in the file's order
    - ``warnings``: what is odd about cases that are used, in the file's order
    """

    source: Path
    sha256: str
    cases: tuple[Case, ...]
    rejected: tuple[RejectedCase, ...]
    warnings: tuple[CaseWarning, ...]


def read_results(path: Path) -> Results:
    """Read and check ``path``: a list of dicts, pickled or as JSON, or flat arrays in an ``.npz``.

    Raises InputError naming the file when it can't be read as any of them. Nothing in the file
    is run.
    """
    records = _read_records(path)
    cases: list[Case] = []
    rejected: list[RejectedCase] = []
    warnings: list[CaseWarning] = []
    numbers: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        name = ""
        try:
            if not isinstance(record, dict):
                raise CaseError(f"case {number} is {printable(record)}, must be a dict")
            name = name_of(number, record)
            if name in numbers:
                raise CaseError(
                    f"case {number} {printable(name)}: case {numbers[name]} has the same "
                    "patient_name and is kept; names must differ"
                )
            case, oddities = check_case(number, record)
        except CaseError as error:
            rejected.append(RejectedCase(number, name, str(error)))
        else:
            numbers[name] = number
            cases.append(case)
            warnings += [CaseWarning(number, name, reason) for reason in oddities]
        records[number - 1] = None  # a checked case is a hundredth of its dicts' size
    return Results(path, file_sha256(path), tuple(cases), tuple(rejected), tuple(warnings))


def _read_records(path: Path) -> list[object]:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the results file in it, or a .zarr run store")
    check_regular(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return list(plain_formats.read_npz(path))
    if suffix == ".json":
        loaded = plain_formats.read_json(path)
    elif suffix in PICKLE_SUFFIXES:
        loaded = pickle_reader.load(path)
    else:
        raise InputError(
            f"{path}: '{suffix}' is not a results file; give .pkl, .npz or .json (a pickle under "
            "another name: rename it to .pkl)"
        )
    if isinstance(loaded, tuple):
        loaded = list(loaded)
    if not isinstance(loaded, list):
        kind = type(loaded).__name__
        keys = f" with the keys {printable(list(loaded)[:5])}" if isinstance(loaded, dict) else ""
        raise InputError(
            f"{path}: holds a {kind}{keys}, but a results file is a list with one dict per case"
        )
    if not loaded:
        raise InputError(f"{path}: the list of cases is empty, so there is nothing to draw")
    if not any(isinstance(record, dict) for record in loaded):
        raise InputError(
            f"{path}: is a list of {type(loaded[0]).__name__}, but a results file is a list with "
            "one dict per case"
        )
    return loaded


def file_sha256(path: Path) -> str:
    """The SHA-256 checksum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

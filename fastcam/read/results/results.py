"""Read a results file, whichever of its three forms, into checked cases.

What makes the whole file unusable is an InputError. What makes one case unusable costs that
case: it is listed in ``Results.rejected`` with its reason. What is odd but can be drawn is a
warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fastcam.errors import CaseError, InputError
from fastcam.read.regular_files import check_regular
from fastcam.read.results import json_file, large_files, npz_file
from fastcam.read.results.case import Case
from fastcam.read.results.case_checks import check_case, name_of
from fastcam.read.results.scalars import printable
from fastcam.storage.local_copy import local_copy
from fastcam.storage.object_path import ObjectPath

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
    if not isinstance(path, ObjectPath) or not path.is_file():
        return _read(path)
    try:
        with local_copy(path) as file:
            return replace(_read(file), source=path)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def _read(path: Path) -> Results:
    cases: list[Case] = []
    rejected: list[RejectedCase] = []
    warnings: list[CaseWarning] = []
    numbers: dict[str, int] = {}
    for number, record in enumerate(_records(path), start=1):
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
    return Results(path, file_sha256(path), tuple(cases), tuple(rejected), tuple(warnings))


def _records(path: Path) -> Iterator[object]:
    """What the file holds of each case. InputError, perhaps behind some, where it is none."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the results file in it, or a .zarr run store")
    check_regular(path)
    suffix = path.suffix.lower()
    parts: Iterable[object]
    if suffix == ".npz":
        parts = ([record] for record in npz_file.read_npz(path))
    elif suffix == ".json":
        parts = json_file.load_parts(path)
    elif suffix in PICKLE_SUFFIXES:
        parts = large_files.load_parts(path)
    else:
        raise InputError(
            f"{path}: '{suffix}' is not a results file; give .pkl, .npz or .json (a pickle under "
            "another name: rename it to .pkl)"
        )
    others: list[str] = []
    dicts = False
    for part in parts:
        for record in _items(path, part):
            dicts = dicts or isinstance(record, dict)
            others += [type(record).__name__] * (not others)
            yield record
    if not others:
        raise InputError(f"{path}: the list of cases is empty, so there is nothing to draw")
    if not dicts:
        raise InputError(
            f"{path}: is a list of {others[0]}, but a results file is a list with one dict per case"
        )


def _items(path: Path, part: object) -> Iterator[object]:
    """The items of a list, each of which is let go when the next is asked for: a checked case is a
    hundredth of its dicts' size."""
    if isinstance(part, tuple):
        part = list(part)
    if not isinstance(part, list):
        kind = type(part).__name__
        keys = f" with the keys {printable(list(part)[:5])}" if isinstance(part, dict) else ""
        raise InputError(
            f"{path}: holds a {kind}{keys}, but a results file is a list with one dict per case"
        )
    part.reverse()
    while part:
        yield part.pop()


def file_sha256(path: Path) -> str:
    """The SHA-256 checksum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

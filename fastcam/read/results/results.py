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
from fastcam.read.results import pickles, plain_formats
from fastcam.read.results.case import Case
from fastcam.read.results.case_checks import check_case, name_of
from fastcam.read.results.scalars import printable

PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth")


@dataclass(frozen=True)
class Rejected:
    """A case that can't be used. ``place`` is 1-based; ``name`` is "" where it has none."""

    place: int
    name: str
    reason: str


@dataclass(frozen=True)
class Warned:
    """A case that is used although something in it is odd."""

    place: int
    name: str
    reason: str


@dataclass(frozen=True)
class Results:
    """The usable cases of a results file in its order, and what was found wrong with the rest."""

    source: Path
    sha256: str
    cases: tuple[Case, ...]
    rejected: tuple[Rejected, ...]
    warnings: tuple[Warned, ...]


def read_results(path: Path) -> Results:
    """Read and check ``path``: a pickled list of dicts, its JSON twin or its ``.npz`` twin.

    Raises InputError naming the file when it can't be read as any of them. Nothing in the file
    is run.
    """
    records = _read_records(path)
    cases: list[Case] = []
    rejected: list[Rejected] = []
    warnings: list[Warned] = []
    places: dict[str, int] = {}
    for place, record in enumerate(records, start=1):
        name = ""
        try:
            if not isinstance(record, dict):
                raise CaseError(f"case {place} is {printable(record)}, must be a dict")
            name = name_of(place, record)
            if name in places:
                raise CaseError(
                    f"case {place} {printable(name)}: case {places[name]} has the same "
                    "patient_name and is kept; names must differ"
                )
            case, oddities = check_case(place, record)
        except CaseError as error:
            rejected.append(Rejected(place, name, str(error)))
        else:
            places[name] = place
            cases.append(case)
            warnings += [Warned(place, name, odd) for odd in oddities]
        records[place - 1] = None  # a checked case is a hundredth of its dicts' size
    return Results(path, file_sha256(path), tuple(cases), tuple(rejected), tuple(warnings))


def _read_records(path: Path) -> list[object]:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the results file in it, or a .zarr run store")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return list(plain_formats.read_npz(path))
    if suffix == ".json":
        loaded = plain_formats.read_json(path)
    elif suffix in PICKLE_SUFFIXES:
        loaded = pickles.load(path)
    else:
        raise InputError(
            f"{path}: '{suffix}' is no results file; give .pkl, .npz or .json (a pickle under "
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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Names of what a run writes: safe on every file system, sortable, never clashing."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Protocol

SUMMARY = "_summary.txt"
# 255 bytes is what file systems allow; the rest of the name and ".tmp-…" need their share.
_LONGEST = 150


class NumberedCase(Protocol):
    """A case with its 1-based number in the run, ``place``, and its name."""

    @property
    def place(self) -> int: ...
    @property
    def name(self) -> str: ...


class SlicedCase(NumberedCase, Protocol):
    """A case with the average attention of its slices by their 0-based index, and the best one."""

    @property
    def best_slice(self) -> int: ...
    @property
    def slice_averages(self) -> Mapping[int, float]: ...


def safe(name: str) -> str:
    """A case's name as part of a file name: separators, control and reserved characters become
    ``_``, leading and trailing dots and spaces too; other scripts stay as they are. Names too
    long for a file system are cut. Different names may come out alike: the case's number in
    front keeps files apart.

    >>> safe("site1/p.01"), safe("../x"), safe("患者 7")
    ('site1_p.01', '__x', '患者 7')
    """
    plain = "".join(
        "_" if c in '/\\:*?"<>|' or unicodedata.category(c).startswith("C") else c for c in name
    )
    while len(plain.encode()) > _LONGEST:
        plain = plain[:-1]
    core = plain.strip(". ")
    before = "_" if plain != plain.lstrip(". ") else ""
    after = "_" if core and plain != plain.rstrip(". ") else ""
    return f"{before}{core}{after}" or "_"


def image_folders(ids: Sequence[str]) -> list[str]:
    """A folder for each of several images: ``<id>``, or ``NNN_<id>`` for all where two clash.

    Names that differ in upper and lower case only clash, too, as they do on some file systems.
    """
    folders = [safe(name) for name in ids]
    if len(set(map(str.casefold, folders))) < len(folders):
        folders = [f"{number:03d}_{name}" for number, name in enumerate(folders, 1)]
    return folders


def image_path(case: NumberedCase, suffix: str) -> str:
    """``NNN_<id>.png`` of an image that has no slices, relative to the output folder."""
    return f"{case_folder(case)}.{suffix}"


def best_slice_path(case: NumberedCase, index: int, suffix: str) -> str:
    """``NNN_<patient>_slice<k>.png``, relative to the output folder."""
    return f"{case.place:03d}_{safe(case.name)}_slice{index}.{suffix}"


def case_folder(case: NumberedCase) -> str:
    """``NNN_<patient>``, the folder of a case in ``all_slices`` mode."""
    return f"{case.place:03d}_{safe(case.name)}"


def slice_name(index: int) -> str:
    """``slice<kkk>``: what the names of a case's figures begin with, and its summary says."""
    return f"slice{index:03d}"


def slice_path(case: SlicedCase, index: int, suffix: str) -> str:
    """``NNN_<patient>/slice<kkk>_[BEST_]avg<w.wwww>.png``, relative to the output folder."""
    best = "BEST_" if index == case.best_slice else ""
    average = case.slice_averages.get(index, 0.0)
    return f"{case_folder(case)}/{slice_name(index)}_{best}avg{average:.4f}.{suffix}"


def summary_path(case: NumberedCase) -> str:
    """``NNN_<patient>/_summary.txt``, relative to the output folder."""
    return f"{case_folder(case)}/{SUMMARY}"

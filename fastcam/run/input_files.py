"""The files that a run was made of: what they were like, so that a later run sees what changed.

Size and time of modification tell that nothing did; where they differ, a checksum of the content
(XXH3, 64 bits: a check against accidents, not against forgers) says whether it is another one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import xxhash

from fastcam.storage.listing import listed
from fastcam.storage.locations import as_path, crowded
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_state import ObjectState
from fastcam.storage.parallel import side_by_side

_PIECE = 1 << 20
# The place of what the figures of all cases are made of.
ALL_CASES = 0
# What file browsers and DICOM media put beside slices, and what is none by its name.
_BESIDE = ("thumbs.db", "desktop.ini", "dicomdir")
_NO_SLICES = (".txt", ".csv", ".json", ".xml", ".pdf", ".html", ".md", ".log", ".zarr")
# The name of the record in a folder of figures.
_RUN = "run.json"
# The path of a mask that was looked for and not there, when a case's figures were drawn.
_NO_MASK = "(no mask)"


class FileState(NamedTuple):
    """``size`` in bytes and time of the last change ``modified`` in nanoseconds since 1970 of a
    file; of a folder the sum of all slices in it, and a number made of their names and times."""

    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A line of ``inputs.csv``, whose columns are these fields.

    Attributes:
        place: the 1-based number of the case whose figures were made of it; 0 for all cases.
        path: the file or folder.
        size: its size in bytes.
        modified: when it was changed last, in nanoseconds since 1970; of a folder a number made of
            names and times.
        checksum: XXH3 of its content, as hexadecimal digits; empty where it changed meanwhile.
    """

    place: int
    path: str
    size: int
    modified: int
    checksum: str

    @classmethod
    def of_cells(cls, cells: Mapping[str, str]) -> InputRecord:
        """The record of a line of ``inputs.csv``; KeyError or ValueError where it is none."""
        return cls(
            place=int(cells["place"]),
            path=cells["path"],
            size=int(cells["size"]),
            modified=int(cells["modified"]),
            checksum=cells["checksum"],
        )

    @property
    def state(self) -> FileState:
        """Size and time of modification."""
        return FileState(self.size, self.modified)


def file_state(path: Path) -> FileState | None:
    """The state of a file or folder; None where there is none, or it can't be looked at."""
    try:
        own = path.stat()
        if not stat.S_ISDIR(own.st_mode):
            return FileState(own.st_size, own.st_mtime_ns)
        if isinstance(path, ObjectPath):
            return _state_of_all(_slices_among(path.tree(), path))
        return _folder_state(path)
    except (OSError, ValueError):
        return None


def _folder_state(folder: Path) -> FileState:
    """All sizes, and a number made of names, sizes and times: a slice that is replaced by an older
    one changes neither their sum nor the latest time."""
    size, digest = 0, xxhash.xxh3_64()
    for name in sorted(_names_below(folder)):
        try:
            details = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - thrice as fast
        except FileNotFoundError:
            continue  # a link to nowhere
        size += details.st_size
        digest.update(os.fsencode(f"{name}\0{details.st_size}\0{details.st_mtime_ns}\0"))
    return FileState(size, digest.intdigest() >> 1)


def _names_below(folder: Path) -> list[str]:
    """The files below a folder that may be slices, relative to it."""
    names = []
    for parent, folders, own in os.walk(folder):
        below = os.path.relpath(parent, folder)
        if below != os.curdir and _RUN in own:  # what fastcam itself put there
            folders[:] = []
            continue
        folders[:] = [name for name in folders if _may_be_slices(name)]
        names += [os.path.normpath(os.path.join(below, n)) for n in own if _may_be_slices(n)]  # noqa: PTH118
    return names


def _may_be_slices(name: str) -> bool:
    """Whether a file or folder of that name is read, and not put there by a file browser or for
    people."""
    folded = name.casefold()
    return not folded.startswith(".") and folded not in _BESIDE and not folded.endswith(_NO_SLICES)


def file_states(paths: Sequence[Path]) -> list[FileState | None]:
    """The state of each, those of objects in buckets asked for side by side, or listed where many
    lie in one folder."""
    if not any(isinstance(path, ObjectPath) for path in paths):
        return list(map(file_state, paths))
    with listed(*crowded(paths)):
        return side_by_side(file_state, paths)


def input_record(place: int, path: Path, before: FileState | None) -> InputRecord | None:
    """The record of an input of case ``place``, whose state was ``before`` when reading it began.

    None where there is no such file. Nothing of it is used as content: a pipe isn't waited for.
    """
    if before is None:
        return None
    checksum = content_checksum(path, before)
    return InputRecord(place, str(path), *before, checksum)


def case_records(cases: Iterable[tuple[int, Path, FileState | None]]) -> list[InputRecord]:
    """The records of inputs of cases ``(place, path, state before)``, of those that are there."""
    cases = list(cases)

    def record(case: tuple[int, Path, FileState | None]) -> InputRecord | None:
        return input_record(*case)

    remote = any(isinstance(path, ObjectPath) for _, path, _ in cases)
    records = side_by_side(record, cases) if remote else map(record, cases)
    return [record for record in records if record is not None]


def no_mask(place: int) -> InputRecord:
    """The record of a case whose figures were drawn without the mask that was looked for."""
    return InputRecord(place, _NO_MASK, 0, 0, "")


def places_without_mask(records: Iterable[InputRecord]) -> set[int]:
    """The places of which such a record is there."""
    return {record.place for record in records if record.path == _NO_MASK}


def input_records(place: int, paths: Iterable[Path]) -> list[InputRecord]:
    """The records of inputs as they are now."""
    records = (input_record(place, path, file_state(path)) for path in paths)
    return [record for record in records if record is not None]


def is_other(path: Path, now: FileState, record: InputRecord) -> bool:
    """Whether a file or folder, whose state is ``now``, has another content than ``record`` says,
    which may be that of a copy at another place.

    Of a copy of an object, whose mark says nothing about it, the size decides.
    """
    if now == record.state:
        return False
    recorded = as_path(record.path)
    if now.size != record.size or not record.checksum:
        return True
    if not isinstance(recorded, ObjectPath):
        return content_checksum(path, now, marks=False) != record.checksum
    return path == recorded and content_checksum(path, now) != record.checksum


@lru_cache(maxsize=256)
def content_checksum(path: Path, state: FileState, marks: bool = True) -> str:
    """XXH3 of the content of a file, or of names and content of all files in a folder.

    Empty where ``path`` is in another state, or can't be read. The bytes were just read, and come
    from the system's cache: 100 MB take 30 ms, and an .nii.gz of that size takes 1.5 s to inflate.
    Of objects in a bucket the store's own marks of their content (ETag) take its place, where it
    has some: they aren't fetched a second time. Without ``marks`` they are, and have the checksum
    of local files.
    """
    if isinstance(path, ObjectPath):
        return _object_checksum(path, state, marks)
    digest = xxhash.xxh3_64()
    try:
        for file in _files(path):
            if file != path:
                digest.update(os.fsencode(file.relative_to(path)) + b"\0")
            if not stat.S_ISREG(file.stat().st_mode):
                return ""
            with file.open("rb", buffering=0) as stream:
                while piece := stream.read(_PIECE):
                    digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest() if file_state(path) == state else ""


def _object_checksum(path: ObjectPath, state: FileState, marks: bool) -> str:
    digest = xxhash.xxh3_64()
    try:
        files = _slices_among(path.tree_or_self(), path)
        if _state_of_all(files) != state:
            return ""
        for file, details in files:
            if file != path:
                digest.update(os.fsencode(file.relative_to(path)) + b"\0")
            digest.update((details.tag.encode() if marks else b"") or file.read_bytes())
    except OSError:
        return ""
    return digest.hexdigest()


def _slices_among(
    files: Iterable[tuple[ObjectPath, ObjectState]], path: ObjectPath
) -> list[tuple[ObjectPath, ObjectState]]:
    """The object ``path``, or those of ``files``, all below it, that may be slices."""
    return [
        (file, state)
        for file, state in files
        if file == path or all(map(_may_be_slices, file.relative_to(path).parts))
    ]


def _state_of_all(files: Sequence[tuple[ObjectPath, ObjectState]]) -> FileState:
    newest = max((state.st_mtime_ns for _, state in files), default=0)
    return FileState(sum(state.st_size for _, state in files), newest)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [file for name in sorted(_names_below(path)) if (file := path / name).exists()]


def changed_inputs(records: Iterable[InputRecord]) -> tuple[set[int], list[InputRecord]]:
    """The places whose inputs have another content now, and the records as they are now of inputs
    of the same content that were only touched or copied.

    What is gone has not changed: its figures are all that is left of it.
    """
    places: set[int] = set()
    touched: list[InputRecord] = []
    records = list(records)
    paths = list(dict.fromkeys(record.path for record in records))
    states = dict(zip(paths, file_states([as_path(path) for path in paths]), strict=True))
    for record in records:
        now = states[record.path]
        if now is None or (now == record.state and record.checksum):
            continue
        if record.checksum and content_checksum(as_path(record.path), now) == record.checksum:
            touched.append(InputRecord(record.place, record.path, *now, record.checksum))
        else:
            places.add(record.place)
    return places, touched

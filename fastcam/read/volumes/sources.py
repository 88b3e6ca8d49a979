"""Finding the files of a case under a root folder, and the slices inside a case's folder."""

from __future__ import annotations

import bisect
import difflib
import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from fastcam.errors import CaseError, InputError
from fastcam.read.regular_files import check_regular_case
from fastcam.storage.listing import KeptListing
from fastcam.storage.locations import as_path, entries, read_start
from fastcam.storage.object_path import ObjectEntry, ObjectPath

ITK_SUFFIXES = (".nrrd", ".mha", ".mhd")
VOLUME_SUFFIXES = (".nii.gz", ".nii", ".npy", ".npz", ".tif", ".tiff", ".dcm", *ITK_SUFFIXES)
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_CASE_SUFFIXES = tuple(dict.fromkeys(VOLUME_SUFFIXES + PICTURE_SUFFIXES))
_Lookup = Callable[[str, tuple[str, ...]], list[Path]]
_ONE_KIND = {".jpeg": ".jpg", ".tiff": ".tif"}
DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts ``slice2`` before ``slice10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


class SourceIndex:
    """Where the images, or with ``mask`` the masks, of a run's cases are.

    A case is a file ``<root>/<name><suffix>`` or a folder ``<root>/**/<name>/``; a mask is also
    called ``<name>_mask``, and that spelling is looked for first. Files and folders right under the
    root are found by asking for them; only when there is neither is the tree read, folders only,
    one level deeper at a time and never twice. A folder nearer to the root wins over a deeper one.
    """

    def __init__(self, root: Path, mask: bool = False) -> None:
        """InputError when the root is missing, is not a folder, is empty or can't be listed."""
        self.root = root
        self.mask = mask
        self._listing = KeptListing(root)
        try:
            with self._listing:
                empty = not entries(root) if isinstance(root, ObjectPath) else _is_empty(root)
        except OSError as error:
            raise InputError(
                f"{root}: is not a folder of {self._kind_text}s: {error.strerror or error}"
            ) from error
        if empty:
            raise InputError(f"{root}: is empty; give the folder that holds the {self._kind_text}s")
        self._folders: dict[str, list[Path]] = defaultdict(list)
        self._next_level = [root]
        self._seen: set[tuple[int, int]] = set()
        self._near: list[tuple[str, str]] | None = None

    @property
    def _kind_text(self) -> str:
        return "mask" if self.mask else "image"

    def find(self, name: str) -> Path:
        """The one file or folder of a case.

        CaseError where there is none (with what was looked for, and a name that is nearly the
        same), where two answer to the name, and where the name leads out of the root.
        """
        self._check(name)
        with self._listing:
            return self._find(name)

    def _find(self, name: str) -> Path:
        mask_name = f"{name}_mask"
        lookups: tuple[tuple[_Lookup, str, tuple[str, ...]], ...]
        if self.mask:
            spellings = f"{mask_name} or {name}"
            lookups = (
                (self._direct, mask_name, _CASE_SUFFIXES),
                (self._direct, name, _CASE_SUFFIXES),
                (self._nested, mask_name, ()),
                (self._nested, name, ()),
            )
        else:
            # A lone picture counts last: beside a volume it is a preview of it.
            spellings = name
            lookups = (
                (self._direct, name, VOLUME_SUFFIXES),
                (self._direct, name, PICTURE_SUFFIXES),
                (self._nested, name, ()),
            )
        for lookup, spelling, suffixes in lookups:
            paths = lookup(spelling, suffixes)
            if len(paths) > 1:
                raise CaseError(
                    f"{paths[0]} and {paths[1]} are both the {self._kind_text} of {name!r};"
                    " keep one of them there"
                )
            if paths:
                return paths[0]
        raise CaseError(
            f"{self.root}: no {self._kind_text} of {name!r}: looked for {spellings} with"
            f" {', '.join(_CASE_SUFFIXES)}, and for a folder of that name{self._hint(name)}"
        )

    def _check(self, name: str) -> None:
        parts = name.split("/")
        if "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise CaseError(
                f"patient name {name!r} can't be a file under {self.root}:"
                " it may have no empty, '.' or '..' part and no NUL"
            )

    def _direct(self, name: str, suffixes: tuple[str, ...]) -> list[Path]:
        """Files and the folder of that name right under the root; a few dozen stat calls.

        CaseError for a pipe, a socket or a device of a file's name.
        """
        paths = []
        for suffix in ("", *suffixes):
            path = self.root / f"{name}{suffix}"
            try:
                mode = path.stat().st_mode
            except (OSError, ValueError):  # not there, too long, or no file name on this system
                continue
            if suffix and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                check_regular_case(path)
            if stat.S_ISREG(mode) if suffix or name.endswith(suffixes) else stat.S_ISDIR(mode):
                paths.append(path)
        return paths

    def _nested(self, name: str, _: tuple[str, ...]) -> list[Path]:
        """Folders of that name at the first depth that has any."""
        *parents, last = name.split("/")
        while True:
            folders = [
                path
                for path in self._folders.get(last, [])
                if not parents or list(path.parent.parts[-len(parents) :]) == parents
            ]
            if folders or not self._next_level:
                return folders
            self._read_level()

    def _read_level(self) -> None:
        folders, self._next_level = self._next_level, []
        for folder in folders:
            for path in sorted(self._subfolders(folder)):
                self._folders[path.name].append(path)
                self._next_level.append(path)

    def _subfolders(self, folder: Path) -> Iterator[Path]:
        for entry in _entries(folder):
            if not entry.is_dir():
                continue
            if entry.is_symlink():
                # A link may lead back up; each place it leads to is read once.
                target = entry.stat()
                if (target.st_dev, target.st_ino) in self._seen:
                    continue
                self._seen.add((target.st_dev, target.st_ino))
            yield as_path(entry.path)

    def _hint(self, name: str) -> str:
        if self._near is None:
            names = {_stem(entry.name): entry.name for entry in _entries(self.root)}
            names |= {folder: folder for folder in self._folders}
            self._near = sorted((_loose(stem), name) for stem, name in names.items())
        loose = _loose(_stem(name))
        # Neighbors in sorted order instead of every name: a run may miss thousands of cases.
        index = bisect.bisect_left(self._near, (loose, ""))
        neighbours = self._near[max(0, index - 1) : index + 2]
        ratios = [(difflib.SequenceMatcher(None, loose, n[0]).ratio(), n[1]) for n in neighbours]
        ratio, best = max(ratios, default=(0.0, ""))
        return f"; there is {best!r}" if ratio > 0.75 else ""


def slice_files(folder: Path) -> list[Path]:
    """The slices in a case's folder, or in the one folder below it that holds them, in natural
    order: pictures of one format, or DICOM files.

    Of several folders below, the ones called ``*_JPG`` count before the others, and those nearer
    to the top before deeper ones. CaseError where there are no slices, where two folders are
    equally good, and where pictures of two formats lie together.
    """
    folders = [entry for entry in _walk(folder) if entry[2]]
    preferred = [entry for entry in folders if entry[1].name.casefold().endswith("_jpg")] or folders
    if not preferred:
        raise CaseError(f"{folder}: holds no slices: no pictures and no DICOM files")
    nearest = min(depth for depth, _, _ in preferred)
    best = [entry for entry in preferred if entry[0] == nearest]
    if len(best) > 1:
        raise CaseError(
            f"{folder}: both {best[0][1].name} ({len(best[0][2])} files) and {best[1][1].name}"
            f" ({len(best[1][2])} files) hold slices; keep one of them there"
        )
    _, parent, names = best[0]
    formats = {_ONE_KIND.get(s, s) for s in map(_suffix, names)} & set(PICTURE_SUFFIXES)
    if len(formats) > 1:
        raise CaseError(
            f"{parent}: holds pictures of several formats, {', '.join(sorted(formats))};"
            " keep one kind there"
        )
    return [parent / name for name in sorted(names, key=natural_key)]


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture that Pillow reads."""
    return _suffix(path.name) in PICTURE_SUFFIXES


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM files do, with or without the preamble of Part 10."""
    try:
        start = read_start(path, 132)
    except OSError:
        return False
    return start[128:] == b"DICM" or (start[:2] in (b"\2\0", b"\x08\0") and start[3:4] == b"\0")


def _walk(folder: Path, depth: int = 0) -> Iterator[tuple[int, Path, list[str]]]:
    """(depth, folder, names of the slices right in it), for the folder and all below it."""
    below: list[Path] = []
    names: list[str] = []
    for entry in _entries(folder):
        if not entry.is_dir():
            if not entry.is_file():
                check_regular_case(as_path(entry.path))
            names.append(entry.name)
        elif not entry.is_symlink() or (depth == 0 and not _leads_up(folder, entry)):
            below.append(as_path(entry.path))
    names = [name for name in names if name != "DICOMDIR"]
    slices = [name for name in names if _suffix(name) in DICOM_SUFFIXES]
    slices = slices or [name for name in names if _suffix(name) in PICTURE_SUFFIXES]
    if not slices and any(is_dicom(folder / name) for name in names):
        slices = names
    yield depth, folder, slices
    for path in sorted(below):
        yield from _walk(path, depth + 1)


def _leads_up(folder: Path, entry: os.DirEntry[str] | ObjectEntry) -> bool:
    return folder.resolve().is_relative_to(as_path(entry.path).resolve())


def _is_empty(folder: Path) -> bool:
    with os.scandir(folder) as found:
        return next(iter(found), None) is None


def _entries(folder: Path) -> list[os.DirEntry[str] | ObjectEntry]:
    """What lies in a folder, hidden things left out; nothing where it may not be read."""
    try:
        return [entry for entry in entries(folder) if not entry.name.startswith(".")]
    except OSError:
        return []


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - Path() costs more than the rest here


def _stem(name: str) -> str:
    for suffix in _CASE_SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _loose(name: str) -> str:
    """What is left of a name when spelling is forgiven: case, width, punctuation, leading zeros."""
    letters = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", letters)

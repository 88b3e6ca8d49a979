"""Finding what a model is run on: folders, patterns, lists and tables of images or volumes."""

from __future__ import annotations

import glob
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fastcam.errors import InputError, NoInputsError
from fastcam.read.inputs import channel_groups
from fastcam.read.inputs.flat_files import IMAGE_SUFFIXES
from fastcam.read.inputs.folders import (
    VOLUME_NAMES,
    is_own_or_hidden,
    natural,
    walk,
    why_empty,
)
from fastcam.read.inputs.input_lists import ListEntry, read_list, read_table
from fastcam.read.inputs.named_inputs import InputValue
from fastcam.read.inputs.table_cells import PARQUET
from fastcam.read.inputs.tables import SHEETS
from fastcam.read.regular_files import check_regular
from fastcam.read.volumes.sources import DICOM_SUFFIXES
from fastcam.storage.listing import listed
from fastcam.storage.locations import as_path, common_folder, relative_text

_SUFFIXES = tuple(dict.fromkeys((*VOLUME_NAMES, *IMAGE_SUFFIXES, *DICOM_SUFFIXES)))


@dataclass(frozen=True)
class Item:
    """One image or volume to run a model on.

    - ``id``: unique within a run; the file's stem, or where stems clash its path within the folder
      that was named
    - ``group``: the folder it lies in, within that folder; "" right in it
    - ``source``: its file or folder
    - ``mask``: that of its mask, if it has one
    - ``label``: its true value as text, "" where none is known
    - ``inputs``: of a model with several inputs what goes into each; empty for one of one image
    """

    id: str
    group: str
    source: Path
    mask: Path | None = None
    label: str = ""
    inputs: tuple[InputValue, ...] = ()


def find_inputs(
    sources: Sequence[Path | str],
    pattern: str | None = None,
    table: Path | None = None,
    mask_dir: Path | None = None,
    dims: int = 2,
    channels: int = 1,
) -> list[Item]:
    """The images (``dims`` 2) or volumes (3) that ``sources`` and ``table`` name, in order.

    A source is a folder, read with all folders below in natural order, or only what ``pattern``
    (``**/*_t2.png``) matches in it; a ``.txt`` list of paths, one a line; a ``.csv``, Excel or
    Parquet table; any other file; or a pattern itself. ``table`` has a column ``image``, ``path``
    or ``file`` and optionally ``mask``, ``label`` and ``id``; its paths, like a list's, are
    relative to the one folder among ``sources``, if there is one beside ``table``, else to the
    table's own. A folder of DICOM files or of numbered pictures is one volume; an image is a
    picture, or a DICOM or NIfTI file of one slice that is no part of a volume. Volumes for a model
    of several ``channels`` may be files as nnU-Net calls them, ``<case>_0000.nii.gz``,
    ``<case>_0001.nii.gz`` and so on: they are one item, ``<case>``, whose source is the first.
    Hidden files and run stores are left out.

    A mask in ``mask_dir`` has the image's path or stem, with ``_mask`` or without, and any suffix.
    InputError where nothing is found, where a listed file is missing, and where a mask or an id
    is not unique; whether a file can be read shows later.
    """
    if dims not in (2, 3):
        raise InputError(f"dims {dims}: images have 2, volumes 3")
    paths = [as_path(source) for source in sources]
    try:
        with listed(*(path for path in paths if not glob.has_magic(path.name)), mask_dir):
            return _found(paths, pattern, table, mask_dir, dims, channels)
    except (FileNotFoundError, PermissionError) as error:
        # A bucket that isn't there, or isn't the user's to list.
        raise InputError(f"{error.filename}: can't be read: {error.strerror}") from error


def _found(
    paths: Sequence[Path],
    pattern: str | None,
    table: Path | None,
    mask_dir: Path | None,
    dims: int,
    channels: int,
) -> list[Item]:
    if not paths and table is None:
        raise InputError("no images given: give a folder, files, a list (.txt) or a table (.csv)")
    if table is not None:
        if len(paths) > 1 or (paths and not paths[0].is_dir()):
            raise InputError(f"--table {table} goes with one folder of images, or none")
        base = paths[0] if paths else table.parent
        inputs = [_from_table(entry, base) for entry in read_table(table, base)]
    else:
        skipped = mask_dir if mask_dir is None else mask_dir.resolve()
        inputs = [item for path in paths for item in _of_source(path, pattern, dims, skipped)]
    if dims == 3 and channels > 1:
        firsts = channel_groups.first_channels([entry.source for entry in inputs])
        inputs = [replace(e, channels=True) for e in inputs if e.source in firsts]
    elif dims == 3 and pattern is None and table is None:
        channel_groups.check_no_channels([entry.source for entry in inputs])
    items = _with_ids(inputs)
    return items if mask_dir is None else _with_masks(items, mask_dir, dims)


@dataclass(frozen=True)
class _Source:
    """An input before it has an id; ids and groups are paths within ``base``.

    ``channels``: it may be the first of several files, which are called after their case.
    """

    source: Path
    base: Path
    id: str = ""
    mask: Path | None = None
    label: str = ""
    channels: bool = False

    @cached_property
    def relative(self) -> str:
        case = _case(self.source)
        if self.channels:
            case = channel_groups.case_path(case)
        if case == self.base or self.source == self.base:
            return self.base.resolve().name
        return (
            case.relative_to(self.base).as_posix() if case.is_relative_to(self.base) else case.name
        )


def _case(source: Path) -> Path:
    """What a source is called after: of ``<patient>/scan_JPG`` it is the patient."""
    return source.parent if source.name.casefold().endswith("_jpg") else source


def _from_table(entry: ListEntry, base: Path) -> _Source:
    return _Source(entry.source, base, entry.id, entry.mask, entry.label)


def _of_source(path: Path, pattern: str | None, dims: int, skipped: Path | None) -> list[_Source]:
    if path.is_dir():
        if pattern is not None:
            return _matching(path, pattern)
        inputs = [_Source(file, path) for file in natural(walk(path, dims, skipped), path)]
        if not inputs:
            raise NoInputsError(f"{path}: {why_empty(path, dims)}")
        return inputs
    if pattern is not None and path.exists():
        raise InputError(f"--pattern {pattern!r} needs a folder, and {path} is none")
    suffix = path.suffix.lower()
    if path.is_file():
        if suffix == ".txt":
            return [_Source(file, path.parent) for file in read_list(path)]
        if suffix in (".csv", ".tsv", *SHEETS, *PARQUET):
            return [_from_table(entry, path.parent) for entry in read_table(path, path.parent)]
        return [_Source(path, path.parent)]
    if glob.has_magic(str(path)):
        fixed = next(folder for folder in path.parents if not glob.has_magic(str(folder)))
        return _matching(fixed, str(path.relative_to(fixed)))
    check_regular(path)
    raise InputError(f"{path}: does not exist")


def _matching(folder: Path, pattern: str) -> list[_Source]:
    try:
        matches = [
            path
            for path in folder.glob(pattern)
            if path.is_file() and not is_own_or_hidden(path.relative_to(folder))
        ]
    except (ValueError, NotImplementedError, OSError) as error:
        raise InputError(f"{folder}: the pattern {pattern!r} can't be used: {error}") from error
    if not matches:
        raise InputError(f"{folder}: no file matches the pattern {pattern!r}")
    return [_Source(path, folder) for path in natural(matches, folder)]


def _with_ids(inputs: Sequence[_Source]) -> list[Item]:
    """Items with unique ids.

    An id is the stem; where stems clash the path in the folder that was named, or in the one that
    all share, without suffix; where these clash, too, with it.
    """
    counts = Counter(entry.source for entry in inputs)
    repeated = [path for path, count in counts.items() if count > 1]
    if repeated:
        raise InputError(f"{repeated[0]}: is given twice; each image counts once")
    shared = common_folder(entry.source.absolute().parent for entry in inputs)
    spellings: tuple[Callable[[_Source], str], ...] = (
        lambda entry: stem_of(entry.relative),
        lambda entry: stem_of(relative_text(entry.source.absolute(), shared)),
        lambda entry: relative_text(entry.source.absolute(), shared),
    )
    names = [entry.id or stem_of(Path(entry.relative).name) for entry in inputs]
    for spelling in spellings:
        uses = Counter(names)
        names = [
            name if uses[name] == 1 or entry.id else spelling(entry)
            for name, entry in zip(names, inputs, strict=True)
        ]
    clash = [name for name, count in Counter(names).items() if count > 1]
    if clash:
        raise InputError(f"two images have the id {clash[0]!r}; ids must differ")
    return [
        Item(name, group if group != "." else "", entry.source, entry.mask, entry.label)
        for name, entry in zip(names, inputs, strict=True)
        for group in [Path(entry.relative).parent.as_posix()]
    ]


def stem_of(name: str) -> str:
    """A file's name or path without the suffix of an image or volume.

    >>> stem_of("a/b.nii.gz"), stem_of("v1.2.png"), stem_of("v1.2")
    ('a/b', 'v1.2', 'v1.2')
    """
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _with_masks(items: list[Item], mask_dir: Path, dims: int) -> list[Item]:
    """The items with their masks; masks that a table names stay."""
    if not mask_dir.is_dir():
        raise InputError(f"--mask-dir {mask_dir}: is not a folder")
    by_path: dict[str, list[Path]] = defaultdict(list)
    by_stem: dict[str, list[Path]] = defaultdict(list)
    # One picture may be the mask of all slices of a volume.
    kinds = {2, dims}
    inside = {path for kind in kinds for path in walk(mask_dir, kind, None)}
    for path in natural(inside, mask_dir):
        relative = stem_of(path.relative_to(mask_dir).as_posix())
        by_path[relative].append(path)
        by_stem[Path(relative).name].append(path)
    items = _without_masks(items, mask_dir)
    sources = {item.source.resolve() for item in items}
    result = []
    for item in items:
        tries = []
        # Of the first of a case's channels the mask is called after the case, or after the file.
        for case in dict.fromkeys((_case(item.source), channel_groups.case_path(item.source))):
            stem = stem_of(case.name)
            key = f"{item.group}/{stem}" if item.group else stem
            tries += [by_path[f"{key}_mask"], by_path[key], by_stem[f"{stem}_mask"], by_stem[stem]]
        # An image that lies among the masks is no mask.
        masks = [[file for file in files if file.resolve() not in sources] for files in tries]
        best: list[Path] = next(filter(None, masks), [])
        if len(best) > 1 and item.mask is None:
            raise InputError(f"{best[0]} and {best[1]} are both the mask of {item.source}")
        result.append(item if item.mask or not best else replace(item, mask=best[0]))
    if not any(item.mask for item in result):
        stem = stem_of(_case(items[0].source).name)
        raise InputError(
            f"--mask-dir {mask_dir}: no mask fits any image; looked for {stem}_mask and {stem},"
            " with any suffix"
        )
    return result


def _without_masks(items: list[Item], mask_dir: Path) -> list[Item]:
    """Without the ``x_mask`` that lie beside their ``x`` in a folder that is images' and masks'."""
    folder = mask_dir.resolve()
    stems = {(item.source.parent, stem_of(item.source.name)) for item in items}

    def is_mask(item: Item) -> bool:
        image = stem_of(item.source.name).removesuffix("_mask")
        beside = image != stem_of(item.source.name) and (item.source.parent, image) in stems
        return beside and item.source.resolve().is_relative_to(folder)

    return [item for item in items if not is_mask(item)]

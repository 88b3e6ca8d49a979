"""The files of an export: their names, and what writes each. No pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastcam.errors import InputError
from fastcam.jobs.export import dicom
from fastcam.jobs.export.item import write_map, write_patches
from fastcam.jobs.export.request import ExportRequest
from fastcam.jobs.render.case_selection import select
from fastcam.jobs.render.maps.plan import seen_files
from fastcam.jobs.render.patches.plan import locate
from fastcam.options import MapChoice
from fastcam.read.volumes.frames import parse_frame
from fastcam.read.volumes.sources import SourceIndex
from fastcam.run import file_names
from fastcam.run.seen_inputs import SeenFile, SeenInputs
from fastcam.store.map_rows import MapCase, MapRow, choose_rows, method_of
from fastcam.store.maps import MapStore
from fastcam.store.patches import RunStore


@dataclass(frozen=True)
class MapFile:
    """One file to be written.

    Attributes:
        place: the case's 1-based number in the store.
        case: the case's name.
        name: the file's name.
        write: makes the file at a path, and gives what is odd about its source. CaseError where
            there is no map.
        seen: the files that the model was given, as far as they were recorded.
    """

    place: int
    case: str
    name: str
    write: Callable[[Path], tuple[str, ...]]
    seen: tuple[SeenFile, ...] = ()


def plan_files(request: ExportRequest) -> list[MapFile]:
    """The files of an export. InputError where the options don't fit the store."""
    store = request.store
    if request.format == "dcm":
        if isinstance(store, MapStore) and store.attrs.dims != 3:
            raise InputError(f"--format dcm is for volumes, and {store.path} holds maps of images")
        dicom.check_dicom()
    if isinstance(store, MapStore):
        files = list(_map_files(store, request))
    else:
        files = list(_patch_files(store, request))
    _check_names(files)
    return files


def _map_files(store: MapStore, request: ExportRequest) -> Iterator[MapFile]:
    rows = choose_rows(store, request.choice)
    cases = [MapCase(header) for header in store.headers]
    names = file_names.image_folders([case.name for case in cases])
    seen = SeenInputs(store.path)
    suffix = request.volume_suffix if store.attrs.dims == 3 else request.format
    for index in select(cases, request.selection):
        case = cases[index]
        for row in rows:
            row_name = _row_name(store, row, index)
            name = f"{names[index]}_{row_name}.{suffix}"
            write = partial(write_map, store, index, row, row_name)
            yield MapFile(
                case.place,
                case.name,
                name,
                write,
                seen_files(case.header, seen, case.header.mask_source),
            )


def _row_name(store: MapStore, row: MapRow, index: int) -> str:
    parts = [method_of(row.array), row.array.partition("/")[2]]
    if row.layer is not None:
        parts += [store.layer_names(row.array)[row.layer]]
        parts += ["mean" if row.head is None else f"head{row.head}"]
    if row.target is not None:
        targets = store.headers[index].targets
        has_target = row.target < len(targets)
        parts.append(f"target{targets[row.target]}" if has_target else f"target-{row.target}")
    return "_".join(file_names.safe(part) for part in parts if part)


def _patch_files(store: RunStore, request: ExportRequest) -> Iterator[MapFile]:
    sources = request.sources
    if request.choice != MapChoice():
        raise InputError(
            f"{store.path} holds patch attention: it has no --method, --layer, --head, --sign"
        )
    if sources.root_dir is None:
        raise InputError(
            f"{store.path} doesn't say where its images are: give --root-dir, the folder with a "
            "volume or folder for each case"
        )
    if parse_frame(sources.frame).crop is not None:
        raise InputError(f"--frame {sources.frame}: heat in a crop can't be put back on the volume")
    images = SourceIndex(sources.root_dir)
    names = file_names.image_folders([case.name for case in store.cases])
    selected = select(store.cases, request.selection, store.rejected)
    seen = SeenInputs(store.path)
    for case_slices in locate(store, selected, images, None, seen):
        case = store.cases[case_slices.case]
        name = f"{names[case_slices.case]}_attention.{request.volume_suffix}"
        write = partial(write_patches, store, case_slices, sources)
        yield MapFile(case.place, case.name, name, write, case_slices.seen)


def _check_names(files: Sequence[MapFile]) -> None:
    """InputError where two files would be one: the end of an id may read as a map."""
    counts = Counter(file.name for file in files)
    name = next((name for name, count in counts.items() if count > 1), None)
    if name is not None:
        ids = ", ".join(repr(file.case) for file in files if file.name == name)
        raise InputError(
            f"{ids} would all be called {name}; export them into folders of their own, by --patient"
        )

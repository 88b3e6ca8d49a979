"""The job of ``fastcam export``: maps of a run store as files on the grid of their sources."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.jobs.export import dicom, nifti
from fastcam.jobs.export.grids import image_grid, patch_grid, volume_grid
from fastcam.jobs.render.patches.plan import locate
from fastcam.options import MapChoice, Selection, Sources
from fastcam.read.volumes.frames import parse_frame, parse_slices
from fastcam.read.volumes.sources import SourceIndex
from fastcam.read.volumes.volumes import decode
from fastcam.run import file_names, work_items
from fastcam.run.files import make_folder, write_text
from fastcam.run.folder import FAILURES, write_failures
from fastcam.run.progress import Progress, Silent
from fastcam.run.records import Failure, attempt
from fastcam.store.map_rows import MapCase, MapRow, check_done, choose_rows, method_of
from fastcam.store.maps import MapStore
from fastcam.store.patches import RunStore

RECORD = "export.json"
ExportFormat = Literal["tif", "npy", "dcm"]


@dataclass
class ExportReport:
    """What an export did: files ``written`` by it, and ``already`` there from one before."""

    output_dir: Path
    written: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    _found: dict[Failure, int] = field(default_factory=dict)

    def note(self, place: int, case: str, reason: str) -> None:
        """Note that a map of a case failed; what several maps fail by is said once."""
        key = Failure("error", place, case, None, 0, reason)
        self._found[key] = self._found.get(key, 0) + 1

    @property
    def failures(self) -> list[Failure]:
        """What went wrong, each thing once, with the number of maps it cost."""
        return [replace(failure, figures=count) for failure, count in self._found.items()]

    @property
    def failed(self) -> int:
        """Maps that are not there."""
        return sum(self._found.values())

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed."""
        if not self.failures:
            return 0
        return 3 if self.written or self.already else 1


@dataclass(frozen=True)
class _Task:
    """One file to be: ``write`` makes it at the path it is given."""

    place: int
    case: str
    file: str
    write: Callable[[Path], None]


def export_maps(
    store: RunStore | MapStore,
    output_dir: Path,
    sources: Sources,
    selection: Selection,
    choice: MapChoice,
    format: ExportFormat = "tif",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the chosen maps, float32 and raw, one file a map.

    Volumes become ``<id>_<method>_<layer>.nii.gz`` on the source's grid and affine, enlarged
    trilinearly; images ``.tif`` or ``.npy`` at the source's size, NaN where the model didn't look;
    patch attention ``<id>_attention.nii.gz``, the heat of each pixel. With ``dcm`` a volume that
    came from DICOM becomes one DICOM Parametric Map. What an export of the same settings wrote
    before is kept.

    Raises :class:`InputError` before anything is written when an input is unusable; images that
    fail are in the report and in ``failures.csv``.
    """
    progress = progress or Silent()
    if format == "dcm":
        if isinstance(store, MapStore) and store.attrs.dims != 3:
            raise InputError(f"--format dcm is for volumes, and {store.path} holds maps of images")
        dicom.check_dicom()
    if isinstance(store, MapStore):
        tasks = list(_map_tasks(store, sources, selection, choice, format))
    else:
        tasks = list(_patch_tasks(store, sources, selection, choice, format))
    _check_names(tasks)
    report = ExportReport(output_dir)
    made_of = {"store": store.attrs.sha256[:16], "created": store.attrs.created}
    made_of |= {"axes": sources.axes, "slices": sources.slices}
    make_folder(output_dir)
    listed = _listed(output_dir, made_of, overwrite)
    progress.begin("maps", len(tasks))
    try:
        for task in tasks:
            path = output_dir / task.file
            if task.file in listed and path.is_file():
                report.already.append(task.file)
            elif reason := attempt(partial(task.write, path)):
                report.note(task.place, task.case, reason)
            else:
                report.written.append(task.file)
            progress.advance(1)
    finally:
        progress.end()
        files = sorted({*listed, *report.already, *report.written})
        write_text(output_dir / RECORD, json.dumps({**made_of, "files": files}, indent=1) + "\n")
    write_failures(output_dir / FAILURES, report.failures)
    return report


def _map_tasks(
    store: MapStore,
    sources: Sources,
    selection: Selection,
    choice: MapChoice,
    format: ExportFormat,
) -> Iterator[_Task]:
    rows = choose_rows(store, choice)
    cases = [MapCase(header) for header in store.headers]
    suffix = _volume_suffix(format) if store.attrs.dims == 3 else format
    for index in work_items.select(cases, selection):
        for row in rows:
            file = f"{file_names.safe(cases[index].name)}_{_row_name(store, row, index)}.{suffix}"
            write = partial(_write_map, store, index, row)
            yield _Task(cases[index].place, cases[index].name, file, write)


def _volume_suffix(format: ExportFormat) -> str:
    return "dcm" if format == "dcm" else "nii.gz"


def _row_name(store: MapStore, row: MapRow, index: int) -> str:
    parts = [method_of(row.array), row.array.partition("/")[2]]
    if row.layer is not None:
        parts += [store.layer_names(row.array)[row.layer]]
        parts += ["mean" if row.head is None else f"head{row.head}"]
    if row.target is not None:
        targets = store.headers[index].targets
        known = row.target < len(targets)
        parts.append(f"target{targets[row.target]}" if known else f"target-{row.target}")
    return "_".join(file_names.safe(part) for part in parts if part)


def _write_map(store: MapStore, index: int, row: MapRow, path: Path) -> None:
    header = store.headers[index]
    check_done(header)
    if min(header.shape) < 1:
        raise CaseError(f"{header.source}: the store doesn't say how large it is")
    values = row.read(store, index)
    if store.attrs.dims == 3:
        grid = volume_grid(values, header.shape)
        _write_volume(path, grid, header.affine, Path(header.source), _row_name(store, row, index))
    else:
        height, width = header.shape[1:]
        nifti.write_image(path, image_grid(values, height, width, store.attrs.preprocessing))


def _write_volume(
    path: Path,
    grid: NDArray[np.float32],
    affine: NDArray[np.float64] | None,
    source: Path,
    what: str,
) -> None:
    if path.suffix == ".dcm":
        dicom.write_dicom(path, grid, affine, source, what)
    else:
        nifti.write_nifti(path, grid, affine)


def _patch_tasks(
    store: RunStore,
    sources: Sources,
    selection: Selection,
    choice: MapChoice,
    format: ExportFormat,
) -> Iterator[_Task]:
    if choice != MapChoice():
        raise InputError(f"{store.path} holds patch attention: it has no --method, --layer, --head")
    if sources.root_dir is None:
        raise InputError(
            f"{store.path} doesn't say where its images are: give --root-dir, the folder with a "
            "volume or folder for each case"
        )
    if parse_frame(sources.frame).crop is not None:
        raise InputError(f"--frame {sources.frame}: heat in a crop can't be put back on the volume")
    images = SourceIndex(sources.root_dir)
    chosen = work_items.select(store.cases, selection, store.rejected)
    for portion in locate(store, chosen, images, None):
        header = store.cases[portion.case]
        file = f"{file_names.safe(header.name)}_attention.{_volume_suffix(format)}"
        source, missing = portion.image, portion.image_missing
        write = partial(_write_patches, store, portion.case, source, missing, sources)
        yield _Task(header.place, header.name, file, write)


def _write_patches(
    store: RunStore, index: int, image: str | None, missing: str, sources: Sources, path: Path
) -> None:
    if image is None:
        raise CaseError(missing)
    volume = decode(Path(image), sources.axes)
    first = parse_slices(sources.slices).first(len(volume.voxels))
    depth, height, width = volume.voxels.shape
    grid = patch_grid(store.case(index), (depth, height, width), first, sources.axes)
    _write_volume(path, grid, volume.affine, Path(image), "patch attention")


def _check_names(tasks: Sequence[_Task]) -> None:
    """InputError where two files would be one: ids may differ in what no file name can have."""
    counts = Counter(task.file for task in tasks)
    twice = next((file for file, count in counts.items() if count > 1), None)
    if twice is not None:
        ids = ", ".join(repr(task.case) for task in tasks if task.file == twice)
        raise InputError(f"{ids} would all be called {twice}; export them one by one, --patient")


def _listed(folder: Path, made_of: dict[str, Any], overwrite: bool) -> list[str]:
    """What an earlier export of the same maps wrote."""
    path = folder / RECORD
    if overwrite:
        return []
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        files = [str(file) for file in record.pop("files")]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is not the record of an export ({error}); give another --output-dir, or "
            "--overwrite to replace it"
        ) from error
    if record != made_of:
        raise InputError(
            f"{folder} holds maps of another store or other settings; give another --output-dir, "
            "or --overwrite to replace them"
        )
    return files

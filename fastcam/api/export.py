"""TODO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fastcam.api.render import PathLike, _path
from fastcam.jobs.export.job import ExportFormat, ExportReport, export_maps
from fastcam.options import Axes, MapChoice, Selection, Sources
from fastcam.run.progress import Progress
from fastcam.store.open import open_store


def export(
    store: PathLike,
    *,
    output_dir: PathLike,
    patients: Sequence[str] = (),
    methods: Sequence[str] = (),
    layers: Sequence[str] = (),
    head: int | Literal["mean"] = "mean",
    root_dir: PathLike | None = None,
    axes: Axes = "zyx",
    slices: str = "all",
    format: ExportFormat = "tif",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write maps of a run store on the grid of their sources: NIfTI, DICOM, TIFF, NumPy files.

    Every keyword is the option of ``fastcam export`` with the same name; what is written is said
    at :func:`fastcam.jobs.export.job.export_maps`. Raises :class:`~fastcam.errors.InputError` for wrong
    settings and unreadable inputs, :class:`~fastcam.errors.OutputError` when a file can't be
    written.
    """
    return export_maps(
        open_store(Path(store)),
        Path(output_dir),
        Sources(_path(root_dir), axes=axes, slices=slices),
        Selection(patients=tuple(patients)),
        MapChoice(tuple(methods), tuple(layers), head),
        format,
        overwrite,
        progress,
    )

"""``fastcam.export``: maps of a run store on the grid of their sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fastcam.api.arguments import optional_path, volume_text
from fastcam.api.keyword_messages import keyword_messages
from fastcam.jobs.export.job import export_maps
from fastcam.jobs.export.report import ExportReport
from fastcam.jobs.export.request import ExportFormat, ExportRequest
from fastcam.options import Axes, MapChoice, PathLike, Selection, Sign, Sources
from fastcam.read.volumes.memory_limit import limited
from fastcam.run.memory_share import memory_limit
from fastcam.run.progress import Progress
from fastcam.storage.locations import as_path
from fastcam.store.open import open_store


@keyword_messages
def export(
    store: PathLike,
    *,
    output_dir: PathLike,
    patients: Sequence[str] = (),
    methods: Sequence[str] = (),
    layers: Sequence[str] = (),
    head: int | Literal["mean"] = "mean",
    sign: Sign | None = None,
    root_dir: PathLike | None = None,
    axes: Axes = "zyx",
    slices: str = "all",
    volume: str | int | None = None,
    format: ExportFormat = "tif",
    overwrite: bool = False,
    trust_inputs: bool = False,
    max_memory: int | str | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write maps of a run store on the grid of their sources: NIfTI, DICOM, TIFF, NumPy files.

    Every keyword is the option of ``fastcam export`` with the same name.
    :func:`fastcam.jobs.export.job.export_maps` tells what is written.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unreadable inputs,
    :class:`~fastcam.errors.OutputError` when a file can't be written.
    """
    request = ExportRequest(
        store=open_store(as_path(store)),
        output_dir=as_path(output_dir),
        sources=Sources(
            optional_path(root_dir), axes=axes, slices=slices, volume=volume_text(volume)
        ),
        selection=Selection(patients=tuple(patients)),
        choice=MapChoice(tuple(methods), tuple(layers), head, sign),
        format=format,
        overwrite=overwrite,
        trust_inputs=trust_inputs,
    )
    with limited(memory_limit(max_memory, 1)):
        return export_maps(request, progress)

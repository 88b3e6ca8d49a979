"""The Python functions behind the commands, with the options' names as keywords."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fastcam import pipeline, schedule
from fastcam.errors import InputError
from fastcam.exporting import ExportFormat, ExportReport, export_maps
from fastcam.jobreport import RenderReport
from fastcam.openstore import open_store
from fastcam.progress import Progress
from fastcam.runpage import write_page
from fastcam.spec import (
    Axes,
    Blend,
    Language,
    MapChoice,
    Mode,
    Orient,
    PictureFormat,
    Scale,
    Selection,
    Sources,
    Style,
    Theme,
)

PathLike = str | os.PathLike[str]


def render(
    results: PathLike,
    *,
    output_dir: PathLike,
    root_dir: PathLike | None = None,
    mask_dir: PathLike | None = None,
    mode: Mode = "best_slice",
    patients: Sequence[str] = (),
    only_errors: bool = False,
    offset: int = 0,
    max_samples: int | None = None,
    every_slice: bool = False,
    methods: Sequence[str] = (),
    layers: Sequence[str] = (),
    head: int | Literal["mean"] = "mean",
    analyze_stats: bool = False,
    axes: Axes = "zyx",
    orient: Orient = "radiological",
    frame: str = "image",
    slices: str = "all",
    scale: Scale = "patient",
    colormap: str = "jet",
    heat_alpha: float = 0.5,
    blend: Blend = "flat",
    top_k: int = 3,
    panel_size: int = 512,
    theme: Theme = "light",
    language: Language = "en",
    font: PathLike | None = None,
    format: PictureFormat = "png",
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> RenderReport:
    """Draw the figures of a results file (``.pkl``, ``.npz``, ``.json``) or run store.

    Every keyword is the option of ``fastcam render`` with the same name. ``root_dir`` is needed for
    patch attention; a store of maps knows its images, and ``methods``, ``layers`` and ``head``
    choose among its maps. ``workers`` defaults to
    the cores this process may use. Finished figures of an earlier run with the same settings are
    kept. Cases that fail are in the report's ``troubles`` and in ``failures.csv``; the others are
    drawn.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unreadable inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers} is too small: it must be at least 1")
    return pipeline.render(
        Path(results),
        Path(output_dir),
        Sources(_path(root_dir), _path(mask_dir), axes, orient, frame, slices),
        Style(
            colormap,
            heat_alpha,
            blend,
            scale,
            top_k,
            panel_size,
            theme,
            language,
            _path(font),
            format,
        ),
        Selection(mode, tuple(patients), only_errors, offset, max_samples, every_slice),
        MapChoice(tuple(methods), tuple(layers), head),
        workers=workers or schedule.cores(),
        scheduler=scheduler,
        overwrite=overwrite,
        analyze_stats=analyze_stats,
        progress=progress,
    )


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
    at :func:`fastcam.exporting.export_maps`. Raises :class:`~fastcam.errors.InputError` for wrong
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


def gallery(folder: PathLike) -> Path:
    """(Re)build the page ``index.html`` over the figures of a run's output folder; its path.

    Raises :class:`~fastcam.errors.InputError` when ``folder`` is not the output of a run.
    """
    return write_page(Path(folder))


def _path(given: PathLike | None) -> Path | None:
    return None if given is None else Path(given)

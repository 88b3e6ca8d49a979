"""``fastcam.render`` and ``fastcam.gallery``: figures, and the page over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fastcam.api.paths import optional_path, volume_text
from fastcam.errors import InputError
from fastcam.jobs.render import job
from fastcam.jobs.render.gallery import write_page
from fastcam.jobs.render.report import RenderReport
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import (
    Axes,
    Blend,
    Language,
    MapChoice,
    Mode,
    Orient,
    PathLike,
    PictureFormat,
    Scale,
    Selection,
    Sources,
    Style,
    Theme,
)
from fastcam.run.cgroups import cores
from fastcam.run.progress import Progress


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
    volume: str | int | None = None,
    show_channel: int | None = None,
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
    choose among its maps. ``workers`` defaults to the cores this process may use. Finished figures
    of an earlier run with the same settings are kept. Cases that fail are in the
    report's ``troubles`` and in ``failures.csv``; the others are drawn.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unreadable inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers} is too small: it must be at least 1")
    request = RenderRequest(
        results=Path(results),
        output_dir=Path(output_dir),
        sources=Sources(
            optional_path(root_dir),
            optional_path(mask_dir),
            axes,
            orient,
            frame,
            slices,
            volume_text(volume),
            show_channel,
        ),
        style=Style(
            colormap,
            heat_alpha,
            blend,
            scale,
            top_k,
            panel_size,
            theme,
            language,
            optional_path(font),
            format,
        ),
        selection=Selection(mode, tuple(patients), only_errors, offset, max_samples, every_slice),
        choice=MapChoice(tuple(methods), tuple(layers), head),
        statistics=analyze_stats,
        overwrite=overwrite,
    )
    return job.render(request, workers=workers or cores(), scheduler=scheduler, progress=progress)


def gallery(folder: PathLike) -> Path:
    """(Re)build the page ``index.html`` over the figures of a run's output folder; its path.

    Raises :class:`~fastcam.errors.InputError` when ``folder`` is not the output of a run.
    """
    return write_page(Path(folder))

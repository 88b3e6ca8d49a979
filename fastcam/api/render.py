"""``fastcam.render`` and ``fastcam.gallery``: figures, and the page over them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from fastcam.api.arguments import check_at_least, optional_path, volume_text, window_pair
from fastcam.api.keyword_messages import keyword_messages
from fastcam.jobs.render import job
from fastcam.jobs.render.follow import follow as follow_run
from fastcam.jobs.render.gallery import write_page
from fastcam.jobs.render.maps.captions import RenderCaptions
from fastcam.jobs.render.report import RenderReport
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import (
    Aspect,
    Axes,
    Blend,
    Language,
    MapChoice,
    Mode,
    Orient,
    PanelName,
    PathLike,
    PictureFormat,
    Scale,
    Selection,
    Sign,
    Sources,
    Style,
    StyleName,
    Theme,
)
from fastcam.read.volumes.memory_limit import limited
from fastcam.run.cgroups import cores
from fastcam.run.memory_share import memory_limit
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.run_status import RunStatus
from fastcam.storage.locations import as_path


@keyword_messages
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
    sign: Sign | None = None,
    analyze_stats: bool = False,
    axes: Axes = "zyx",
    orient: Orient = "radiological",
    frame: str = "image",
    slices: str = "all",
    volume: str | int | None = None,
    show_channel: int | None = None,
    window: str | Sequence[float] | None = None,
    class_names: Sequence[str] = (),
    scale: Scale = "patient",
    style: StyleName = "standard",
    colormap: str = "",
    heat_alpha: float = 0.5,
    blend: Blend = "auto",
    top_k: int = 3,
    panel_size: int = 512,
    aspect: Aspect | None = None,
    theme: Theme = "light",
    language: Language = "en",
    font: PathLike | None = None,
    format: PictureFormat = "png",
    width_mm: float | None = None,
    font_scale: float = 1.0,
    dpi: float | None = None,
    panels: Sequence[PanelName] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    follow: bool = False,
    overwrite: bool = False,
    trust_inputs: bool = False,
    max_memory: int | str | None = None,
    progress: Progress | None = None,
) -> RenderReport:
    """Draw the figures of a results file (``.pkl``, ``.npz``, ``.json``) or run store.

    Every keyword is the option of ``fastcam render`` with the same name. ``root_dir`` is needed for
    patch attention; a store of maps knows its images, and ``methods``, ``layers`` and ``head``
    choose among its maps, ``sign`` which evidence they show. ``window`` is a name or
    (center, width). ``workers`` defaults to the cores this process may use. Finished figures
    of an earlier run with the same settings are kept, unless their images or masks changed since.
    Cases whose images are not those that the model saw fail (``trust_inputs``: neither is looked
    at). Cases that fail are in the report's ``troubles`` and in ``failures.csv``; the others are
    drawn. ``max_memory``: bytes or a text such as "12GB", for all workers together; a volume that
    would take more fails untried.
    ``follow``: the store is that of a run of ``infer`` that goes on; what is finished is drawn,
    until the run ends.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unreadable inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    check_at_least("workers", workers, 1)
    request = RenderRequest(
        results=as_path(results),
        output_dir=as_path(output_dir),
        sources=Sources(
            optional_path(root_dir),
            optional_path(mask_dir),
            axes,
            orient,
            frame,
            slices,
            volume_text(volume),
            show_channel,
            window_pair("window", window),
        ),
        style=Style(
            colormap=colormap,
            heat_alpha=heat_alpha,
            blend=blend,
            scale=scale,
            top_k=top_k,
            panel_size=panel_size,
            theme=theme,
            language=language,
            font=optional_path(font),
            format=format,
            style=style,
            class_names=tuple(class_names),
            aspect=aspect or "",
            font_scale=font_scale,
            width_mm=width_mm,
            dpi=dpi,
            panels=tuple(panels),
        ),
        selection=Selection(mode, tuple(patients), only_errors, offset, max_samples, every_slice),
        choice=MapChoice(tuple(methods), tuple(layers), head, sign),
        statistics=analyze_stats,
        captions=RenderCaptions(tuple(class_names), style == "classic"),
        overwrite=overwrite,
        trust_inputs=trust_inputs,
    )
    workers = workers or cores()
    status = RunStatus(request.output_dir, "render", progress or NoProgress())
    draw = partial(job.render, workers=workers, scheduler=scheduler, progress=status)
    with status, limited(memory_limit(max_memory, workers)):
        return follow_run(request, draw) if follow else draw(request)


@keyword_messages
def gallery(
    folder: PathLike,
    other: PathLike | None = None,
    *,
    table: PathLike | None = None,
    id_column: str | None = None,
) -> Path:
    """(Re)build the page ``index.html`` over the figures of a run's output folder; its path.

    With ``other``, the output folder of another run of the same cases, it is a page of both side by
    side, called ``compare-NAME.html`` after that. ``table`` has further columns to filter and sort
    the cases by, joined by the ids in its ``id_column``; None: the column that fits most.

    Raises :class:`~fastcam.errors.InputError` when a folder is not the output of a run.
    """
    return write_page(as_path(folder), optional_path(other), optional_path(table), id_column)

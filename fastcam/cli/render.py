"""``fastcam render``: a results file or run store to figures."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli import style_options as look
from fastcam.options import Axes, Language, MapChoice, Mode, Orient, Scale

_WHAT, _SOURCES, _RUN = "Which figures", "Where the images are", "Running"
Option = typer.Option


def render(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", help="Results file (.pkl, .npz, .json) or run store (.zarr)."
        ),
    ],
    output_dir: Annotated[
        Path, Option(help="Folder for the figures; made if need be.", rich_help_panel=_RUN)
    ],
    root_dir: Annotated[
        Path | None,
        Option(help="Folder with a volume or folder for each case. A store of maps knows its "
               "images: give it where they were moved.", rich_help_panel=_SOURCES),
    ] = None,
    mask_dir: Annotated[
        Path | None,
        Option(help="Folder with the masks; without it figures of patches have no mask panel, and "
               "those of maps the masks that infer was given.", rich_help_panel=_SOURCES),
    ] = None,
    mode: Annotated[
        Mode, Option(help="One figure a case, or a folder a case.", rich_help_panel=_WHAT)
    ] = "best_slice",
    patient: Annotated[
        list[str] | None, Option(help="Only this case; repeatable.", rich_help_panel=_WHAT)
    ] = None,
    only_errors: Annotated[
        bool, Option("--only-errors", help="Only wrongly predicted cases.", rich_help_panel=_WHAT)
    ] = False,
    offset: Annotated[
        int, Option(help="Leave out the first K of the chosen cases.", rich_help_panel=_WHAT)
    ] = 0,
    max_samples: Annotated[
        int | None, Option(help="At most N of the chosen cases.", rich_help_panel=_WHAT)
    ] = None,
    every_slice: Annotated[
        bool,
        Option("--every-slice", help="all_slices: also slices without patches.",
               rich_help_panel=_WHAT),
    ] = False,
    method: Annotated[
        list[str] | None,
        Option(help="Maps: only those of this method; repeatable. Default: all.",
               rich_help_panel=_WHAT),
    ] = None,
    layer: Annotated[
        list[str] | None,
        Option(help="Maps: only those of this layer; repeatable. Default: all; of attention, the "
               "last.", rich_help_panel=_WHAT),
    ] = None,
    head: Annotated[
        str, Option(metavar="N|mean", help="Attention maps: this head, counted from 0, or the mean "
                    "of all.", rich_help_panel=_WHAT)
    ] = "mean",
    analyze_stats: Annotated[
        bool,
        Option("--analyze-stats", help="Also statistics of the attention: JSON, CSV, a page of "
               "plots.", rich_help_panel=_WHAT),
    ] = False,
    axes: Annotated[
        Axes, Option(help="Order in which boxes were made: SimpleITK's or nibabel's.",
                     rich_help_panel=_SOURCES)
    ] = "zyx",
    orient: Annotated[
        Orient, Option(help="Turn slices by the affine, or leave the array as it lies.",
                       rich_help_panel=_SOURCES)
    ] = "radiological",
    frame: Annotated[
        str, Option(help="Frame of the boxes: image, or mask-crop:SIZE as in mask-crop:244.",
                    rich_help_panel=_SOURCES)
    ] = "image",
    slices: Annotated[
        str, Option(help="What slice indices count: all, or middle:COUNT as in middle:100.",
                    rich_help_panel=_SOURCES)
    ] = "all",
    scale: Annotated[
        Scale, Option(help="Within what the heat of figures can be compared.",
                      rich_help_panel=look.LOOK)
    ] = "patient",
    colormap: look.Colormap = "jet",
    heat_alpha: look.HeatAlpha = 0.5,
    blend: look.HeatBlend = "flat",
    top_k: Annotated[
        int, Option(help="Boxes drawn on the overlay.", rich_help_panel=look.LOOK)
    ] = 3,
    panel_size: look.PanelSize = 512,
    theme: look.Theme = "light",
    language: Annotated[
        Language, Option(help="Language of the summaries.", rich_help_panel=look.LOOK)
    ] = "en",
    font: Annotated[
        Path | None,
        Option(help="Font for characters that DejaVu Sans lacks.", rich_help_panel=look.LOOK),
    ] = None,
    format: look.Format = "png",
    workers: Annotated[
        int | None, Option(help="Workers on this machine; default: all cores.",
                           rich_help_panel=_RUN)
    ] = None,
    scheduler: Annotated[
        str | None,
        Option(help="Use this Dask cluster instead: address or scheduler file.",
               rich_help_panel=_RUN),
    ] = None,
    overwrite: Annotated[
        bool,
        Option("--overwrite", help="Replace figures made with other settings; default: resume.",
               rich_help_panel=_RUN),
    ] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print one JSON result to stdout.", rich_help_panel=_RUN)
    ] = False,
) -> None:  # fmt: skip
    """Draw figures of patch attention, or of attention and CAM maps, from RESULTS, on every core.

    A rerun draws only what is missing. Exit code 3: finished, but some cases failed; they are
    listed in failures.csv in the output folder.
    """
    try:
        from fastcam.run import forkserver

        if workers != 1 and scheduler is None:
            forkserver.start()
        from fastcam.api.render import render as run_render
        from fastcam.cli import progress
        from fastcam.jobs.render import report as report_lines

        report = run_render(
            results, root_dir=root_dir, output_dir=output_dir, mask_dir=mask_dir, mode=mode,
            patients=patient or (), only_errors=only_errors, offset=offset,
            max_samples=max_samples, every_slice=every_slice, methods=method or (),
            layers=layer or (), head=MapChoice.head_of(head), analyze_stats=analyze_stats,
            axes=axes, orient=orient, frame=frame, slices=slices, scale=scale, colormap=colormap,
            heat_alpha=heat_alpha, blend=blend, top_k=top_k, panel_size=panel_size, theme=theme,
            language=language, font=font, format=format, workers=workers, scheduler=scheduler,
            overwrite=overwrite, progress=progress.for_stderr(),
        )  # fmt: skip
    except KeyboardInterrupt:
        # Zarr's own threads would grumble about what they were doing.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
        typer.echo(
            f"fastcam: stopped; finished figures are kept in {output_dir}: run the same command "
            f"again to go on",
            err=True,
        )
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(report_lines.as_dict(report)))
    typer.echo(report_lines.told(report), err=as_json)
    raise typer.Exit(report.exit_code)

"""``fastcam render``: a results file or run store to figures."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.geometry_options import SOURCES, GeometryOptions
from fastcam.cli.late_collector import LateCollector
from fastcam.cli.map_options import LAYER_FILTER_HELP, METHOD_FILTER_HELP, SIGN_OF_STORE_HELP
from fastcam.cli.model_options import ShowChannel
from fastcam.cli.option_groups import expand_groups
from fastcam.cli.parsing import (
    parse_names,
    parse_panels,
    parse_patients,
    split_layers,
    split_methods,
)
from fastcam.cli.run_options import (
    RUN,
    STYLE,
    Aspect,
    ClassNames,
    Format,
    HeatOptions,
    Json,
    MaxMemory,
    Panels,
    PanelSize,
    PaperOptions,
    Scale,
    Theme,
    TrustShown,
    Window,
)
from fastcam.cli.terminal import end_command, stderr_progress
from fastcam.errors import InputError
from fastcam.options import Language, Mode, Sign, parse_head, parse_window

_SELECTION = "Which figures"
Option = typer.Option


@expand_groups
def render(
    *,
    results: Annotated[
        Path | None,
        typer.Argument(
            metavar="RESULTS", help="Results file (.pkl, .npz, .json) or run store (.zarr)."
        ),
    ] = None,
    results_file: Annotated[
        Path | None,
        Option(help="Another way to give RESULTS.", rich_help_panel=SOURCES),
    ] = None,
    output_dir: Annotated[
        Path, Option(help="Folder for the figures; made if need be.", rich_help_panel=RUN)
    ],
    root_dir: Annotated[
        Path | None,
        Option(
            help="Folder with a volume or folder for each case. A store of maps knows its "
            "images: give it where they were moved.",
            rich_help_panel=SOURCES,
        ),
    ] = None,
    mask_dir: Annotated[
        Path | None,
        Option(
            help="Folder with the masks; without it figures of patches have no mask panel, and "
            "those of maps the masks that infer was given. A mask lies where its affine says.",
            rich_help_panel=SOURCES,
        ),
    ] = None,
    mode: Annotated[
        Mode, Option(help="One figure a case, or a folder a case.", rich_help_panel=_SELECTION)
    ] = "best_slice",
    patient: Annotated[
        list[str] | None,
        Option(
            metavar="ID|@FILE",
            help="Only this case, or those in a file, a name a line; repeatable.",
            rich_help_panel=_SELECTION,
        ),
    ] = None,
    only_errors: Annotated[
        bool,
        Option("--only-errors", help="Only wrongly predicted cases.", rich_help_panel=_SELECTION),
    ] = False,
    offset: Annotated[
        int, Option(help="Leave out the first K of the chosen cases.", rich_help_panel=_SELECTION)
    ] = 0,
    max_samples: Annotated[
        int | None, Option(help="At most N of the chosen cases.", rich_help_panel=_SELECTION)
    ] = None,
    every_slice: Annotated[
        bool,
        Option(
            "--every-slice",
            help="all_slices: also slices without patches.",
            rich_help_panel=_SELECTION,
        ),
    ] = False,
    method: Annotated[
        list[str] | None, Option(help=METHOD_FILTER_HELP, rich_help_panel=_SELECTION)
    ] = None,
    layer: Annotated[
        list[str] | None,
        Option("--layer", "--layers", help=LAYER_FILTER_HELP, rich_help_panel=_SELECTION),
    ] = None,
    head: Annotated[
        str,
        Option(
            metavar="N|mean",
            help="Attention maps: this head, counted from 0, or the mean of all.",
            rich_help_panel=_SELECTION,
        ),
    ] = "mean",
    sign: Annotated[
        Sign | None, Option(help=SIGN_OF_STORE_HELP, rich_help_panel=_SELECTION)
    ] = None,
    analyze_stats: Annotated[
        bool,
        Option(
            "--analyze-stats",
            help="Also statistics of the attention: JSON, CSV, a page of plots.",
            rich_help_panel=_SELECTION,
        ),
    ] = False,
    geometry: GeometryOptions,
    show_channel: ShowChannel = None,
    window: Window = None,
    class_names: ClassNames = None,
    scale: Scale = "patient",
    heat: HeatOptions,
    top_k: Annotated[int, Option(help="Boxes drawn on the overlay.", rich_help_panel=STYLE)] = 3,
    panel_size: PanelSize = 512,
    aspect: Aspect = None,
    theme: Theme = "light",
    language: Annotated[
        Language, Option(help="Language of the summaries.", rich_help_panel=STYLE)
    ] = "en",
    font: Annotated[
        Path | None,
        Option(help="Font for characters that DejaVu Sans lacks.", rich_help_panel=STYLE),
    ] = None,
    format: Format = "png",
    paper: PaperOptions,
    panels: Panels = None,
    workers: Annotated[
        int | None, Option(help="Workers on this machine; default: all cores.", rich_help_panel=RUN)
    ] = None,
    scheduler: Annotated[
        str | None,
        Option(
            help="Use this Dask cluster instead: address or scheduler file.", rich_help_panel=RUN
        ),
    ] = None,
    follow: Annotated[
        bool,
        Option(
            "--follow",
            help="RESULTS is the store of a fastcam infer that still runs: draw what is finished, "
            "until it ends.",
            rich_help_panel=RUN,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        Option(
            "--overwrite",
            help="Replace figures made with other settings; default: resume.",
            rich_help_panel=RUN,
        ),
    ] = False,
    trust_inputs: TrustShown = False,
    max_memory: MaxMemory = None,
    as_json: Json = False,
) -> None:
    """Draw figures of patch attention, or of attention and CAM maps, from RESULTS, on every core.

    A rerun draws only what is missing. Exit code 3: finished, but some cases failed; they are
    listed in failures.csv in the output folder.
    """
    if results is None:
        results, results_file = results_file, None
    if results is None:
        raise InputError(
            "no results given: give RESULTS, a results file (.pkl, .npz, .json) or run store "
            "(.zarr), or the same as --results-file"
        )
    if results_file is not None:
        raise InputError(
            f"RESULTS {results} and --results-file {results_file} are two names for one thing: "
            "give one of them"
        )
    from fastcam.jobs.render import LATER, PRELOAD
    from fastcam.read.meanwhile import do_meanwhile
    from fastcam.run import forkserver

    with LateCollector() as collector:
        with _single_threaded_blas():
            if workers != 1 and scheduler is None:
                forkserver.start(PRELOAD)
            from fastcam_kernels._jit import without_blas

        from fastcam.api.render import render as run_render
        from fastcam.jobs.render.report import as_dict, summary_text

        do_meanwhile(lambda: [import_module(name) for name in LATER])
        with without_blas():
            report = run_render(
                results,
                root_dir=root_dir,
                output_dir=output_dir,
                mask_dir=mask_dir,
                mode=mode,
                patients=parse_patients(patient),
                only_errors=only_errors,
                offset=offset,
                max_samples=max_samples,
                every_slice=every_slice,
                methods=split_methods(method),
                layers=split_layers(layer),
                head=parse_head(head),
                sign=sign,
                analyze_stats=analyze_stats,
                **vars(geometry),
                show_channel=show_channel,
                window=parse_window("window", window),
                class_names=parse_names(class_names),
                scale=scale,
                top_k=top_k,
                panel_size=panel_size,
                aspect=aspect,
                theme=theme,
                language=language,
                font=font,
                format=format,
                workers=workers,
                scheduler=scheduler,
                follow=follow,
                overwrite=overwrite,
                trust_inputs=trust_inputs,
                max_memory=max_memory,
                progress=stderr_progress(collector),
                panels=parse_panels(panels),
                **vars(heat),
                **vars(paper),
            )
    end_command(report, as_dict, summary_text, as_json)


@contextlib.contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """Where NumPy is imported within the block, here or in a process that is started, its OpenBLAS
    has no threads.

    It starts one for each core, which all wait for work in a loop at first. Nothing here multiplies
    matrices; with two cores the first figure comes 0.1 of 1.6 s earlier without them.
    """
    name = "OPENBLAS_NUM_THREADS"
    given = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if given is None:
            del os.environ[name]

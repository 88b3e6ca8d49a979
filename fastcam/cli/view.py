"""``fastcam view``: the reading room in the browser."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.geometry_options import SOURCES, GeometryOptions
from fastcam.cli.model_options import ShowChannel
from fastcam.cli.option_groups import expand_groups
from fastcam.cli.run_options import (
    STYLE,
    TRUST_SEEN_HELP,
    ClassNames,
    HeatOptions,
    PanelSize,
    Scale,
    Window,
)
from fastcam.errors import one_line
from fastcam.options import parse_window

_JUDGING, _SERVER = "Judging", "The server"
Option = typer.Option


@dataclass(frozen=True, kw_only=True)
class JudgingOptions:
    """How judgements are made."""

    review: Annotated[
        Path | None,
        Option(
            help="File that judgements are appended to; default: review.tsv beside the first RUN.",
            rich_help_panel=_JUDGING,
        ),
    ] = None
    reader: Annotated[
        str, Option(help="Who reads, as it stands beside each judgement.", rich_help_panel=_JUDGING)
    ] = ""
    marks: Annotated[
        str,
        Option(
            metavar="A,B,…",
            help="Names of the marks that the keys 1 to 9 set.",
            rich_help_panel=_JUDGING,
        ),
    ] = "1,2,3,4,5"
    blind: Annotated[
        bool,
        Option("--blind", help="Hide labels and predictions.", rich_help_panel=_JUDGING),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Who reaches the server, and what it may keep in memory."""

    host: Annotated[
        str,
        Option(
            help="Address to listen on; another than this machine's own lets others in.",
            rich_help_panel=_SERVER,
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Option(help="Port; 0 for one that is free.", rich_help_panel=_SERVER)] = 0
    allow_host: Annotated[
        list[str] | None,
        Option(
            help="Another name by which browsers call it, as of a proxy; repeatable.",
            rich_help_panel=_SERVER,
        ),
    ] = None
    browser: Annotated[
        bool,
        Option("--browser/--no-browser", help="Open it in a browser.", rich_help_panel=_SERVER),
    ] = True
    memory: Annotated[
        str,
        Option(
            metavar="SIZE",
            help="Memory for decoded volumes, as in 800M or 2G.",
            rich_help_panel=_SERVER,
        ),
    ] = "512M"


@expand_groups
def view(
    *,
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run stores (.zarr), results files (.pkl, .npz, .json) or output folders.",
        ),
    ],
    name: Annotated[
        list[str] | None, Option(help="What a RUN is called; one for each, in their order.")
    ] = None,
    table: Annotated[
        Path | None,
        Option(help="Further columns of the cases (.csv, .xlsx, …), joined by their ids."),
    ] = None,
    id_column: Annotated[
        str | None,
        Option(help="Column of --table that has the ids; default: the one that fits most."),
    ] = None,
    root_dir: Annotated[
        Path | None,
        Option(
            help="Folder with a volume or folder for each case. A store of maps and an output "
            "folder know theirs: give it where they were moved.",
            rich_help_panel=SOURCES,
        ),
    ] = None,
    mask_dir: Annotated[
        Path | None, Option(help="Folder with the masks.", rich_help_panel=SOURCES)
    ] = None,
    trust_inputs: Annotated[
        bool, Option("--trust-inputs", help=TRUST_SEEN_HELP, rich_help_panel=SOURCES)
    ] = False,
    geometry: GeometryOptions,
    show_channel: ShowChannel = None,
    window: Window = None,
    class_names: ClassNames = None,
    scale: Scale = "patient",
    heat: HeatOptions,
    top_k: Annotated[int, Option(help="Boxes drawn on the overlay.", rich_help_panel=STYLE)] = 3,
    panel_size: PanelSize = 512,
    judging: JudgingOptions,
    server: ServerOptions,
) -> None:
    """Look at cases live in the browser: slices, maps, comparisons, judgements.

    Pictures are drawn when they are looked at, from the RUNs and their images; no model runs, and
    nothing is written but the judgements. Several RUNs are joined by the cases' names.
    """
    from fastcam.api.view_request import view_request
    from fastcam.cli.parsing import parse_marks, parse_names
    from fastcam.jobs.view.page_server import App, open_page_server

    request = view_request(
        runs,
        names=name or (),
        root_dir=root_dir,
        mask_dir=mask_dir,
        **vars(geometry),
        show_channel=show_channel,
        window=parse_window("window", window),
        class_names=parse_names(class_names),
        scale=scale,
        top_k=top_k,
        panel_size=panel_size,
        table=table,
        id_column=id_column,
        memory=server.memory,
        host=server.host,
        port=server.port,
        allow_hosts=server.allow_host or (),
        review=judging.review,
        reader=judging.reader,
        marks=parse_marks(judging.marks),
        blind=judging.blind,
        trust_inputs=trust_inputs,
        **vars(heat),
    )
    request.check_runs()
    page_server = open_page_server(request.sharing)
    for line in page_server.lines:
        typer.echo(one_line(line))

    def open_it() -> App:
        # What draws takes most of a second to load: the browser begins meanwhile. It stays, so that
        # looking through it for garbage on the way, 0.2 of 1.9 s, is for nothing.
        gc.disable()
        from fastcam.jobs.view.opening import open_room

        return open_room(request, typer.echo)

    page_server.serve(open_it, server.browser)

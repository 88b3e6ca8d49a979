"""``fastcam export``: maps of a run store as NIfTI or DICOM, or as pictures of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fastcam.cli.map_options import LAYER_FILTER_HELP, METHOD_FILTER_HELP, SIGN_OF_STORE_HELP
from fastcam.cli.model_options import VOLUME_HELP
from fastcam.cli.parsing import split_layers, split_methods
from fastcam.cli.run_options import MAX_MEMORY_HELP, TRUST_SEEN_HELP, PlainJson
from fastcam.cli.terminal import end_command, stderr_progress
from fastcam.options import Axes, Sign, parse_head

Option = typer.Option


def export(
    *,
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Run store (.zarr) of infer or render.")
    ],
    output_dir: Annotated[Path, Option(help="Folder for the files; made if need be.")],
    patient: Annotated[list[str] | None, Option(help="Only this case; repeatable.")] = None,
    method: Annotated[list[str] | None, Option(help=METHOD_FILTER_HELP)] = None,
    layer: Annotated[
        list[str] | None,
        Option("--layer", "--layers", help=LAYER_FILTER_HELP),
    ] = None,
    head: Annotated[
        str, Option(metavar="N|mean", help="Attention: this head, counted from 0, or the mean.")
    ] = "mean",
    sign: Annotated[Sign | None, Option(help=SIGN_OF_STORE_HELP)] = None,
    root_dir: Annotated[
        Path | None,
        Option(help="Folder with a volume or folder for each case; for patch attention only."),
    ] = None,
    axes: Annotated[Axes, Option(help="Patch attention: order in which boxes were made.")] = "zyx",
    slices: Annotated[
        str, Option(help="Patch attention: what slice indices count, all or middle:COUNT.")
    ] = "all",
    volume: Annotated[
        str | None, Option(metavar="N|NAME", help="Patch attention: " + VOLUME_HELP)
    ] = None,
    format: Annotated[
        Literal["tif", "npy", "dcm"],
        Option(help="Images: tif or npy. Volumes are NIfTI; dcm makes DICOM of those from DICOM."),
    ] = "tif",
    overwrite: Annotated[
        bool, Option("--overwrite", help="Rewrite all files; default: resume.")
    ] = False,
    trust_inputs: Annotated[bool, Option("--trust-inputs", help=TRUST_SEEN_HELP)] = False,
    max_memory: Annotated[str | None, Option(metavar="SIZE", help=MAX_MEMORY_HELP)] = None,
    as_json: PlainJson = False,
) -> None:
    """Write maps back on the grid of their source: what --sign shows, not scaled, in float32.

    Volumes become gzipped NIfTI with the affine of the source, enlarged trilinearly from the
    layer's resolution, or with --format dcm a DICOM Parametric Map in the study of the source;
    where a 2-D model saw them slice by slice each slice is enlarged by itself, and the slices that
    were not run are NaN; images float TIFF or NumPy files of the image's size. Exit code 3:
    finished, but some cases failed; they are listed in failures.csv.
    """
    from fastcam.api.export import export as run_export
    from fastcam.jobs.export.report import as_dict, summary_text

    report = run_export(
        store,
        output_dir=output_dir,
        patients=patient or (),
        methods=split_methods(method),
        layers=split_layers(layer),
        head=parse_head(head),
        sign=sign,
        root_dir=root_dir,
        axes=axes,
        slices=slices,
        volume=volume,
        format=format,
        overwrite=overwrite,
        trust_inputs=trust_inputs,
        max_memory=max_memory,
        progress=stderr_progress(),
    )
    end_command(report, as_dict, summary_text, as_json)

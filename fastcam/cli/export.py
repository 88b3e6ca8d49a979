"""``fastcam export``: maps of a run store as NIfTI or DICOM, or as pictures of numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from fastcam.errors import one_line
from fastcam.options import Axes, MapChoice

Option = typer.Option
_LISTED = 5


def export(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Run store (.zarr) of infer or render.")
    ],
    output_dir: Annotated[Path, Option(help="Folder for the files; made if need be.")],
    patient: Annotated[list[str] | None, Option(help="Only this case; repeatable.")] = None,
    method: Annotated[
        list[str] | None, Option(help="Only maps of this method; repeatable. Default: all.")
    ] = None,
    layer: Annotated[
        list[str] | None,
        Option(help="Only maps of this layer; repeatable. Default: all; of attention, the last."),
    ] = None,
    head: Annotated[
        str, Option(metavar="N|mean", help="Attention: this head, counted from 0, or the mean.")
    ] = "mean",
    root_dir: Annotated[
        Path | None,
        Option(help="Folder with a volume or folder for each case; for patch attention only."),
    ] = None,
    axes: Annotated[Axes, Option(help="Patch attention: order in which boxes were made.")] = "zyx",
    slices: Annotated[
        str, Option(help="Patch attention: what slice indices count, all or middle:COUNT.")
    ] = "all",
    format: Annotated[
        Literal["tif", "npy", "dcm"],
        Option(help="Images: tif or npy. Volumes are NIfTI; dcm makes DICOM of those from DICOM."),
    ] = "tif",
    overwrite: Annotated[
        bool, Option("--overwrite", help="Write all files anew; default: resume.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print one JSON result to stdout.")] = False,
) -> None:
    """Write maps back on the grid of their source, raw values in float32.

    Volumes become gzipped NIfTI with the affine of the source, enlarged trilinearly from the
    layer's resolution, or with --format dcm a DICOM Parametric Map in the study of the source;
    images float TIFF or NumPy files of the image's size. Exit code 3: finished, but some cases
    failed; they are listed in failures.csv.
    """
    from fastcam.api.export import export as export_maps
    from fastcam.cli import progress

    report = export_maps(
        store, output_dir=output_dir, patients=patient or (), methods=method or (),
        layers=layer or (), head=MapChoice.head_of(head), root_dir=root_dir, axes=axes,
        slices=slices, format=format, overwrite=overwrite, progress=progress.for_stderr(),
    )  # fmt: skip
    if as_json:
        found = [{"case": t.case, "reason": t.reason} for t in report.failures]
        told = {"output_dir": str(output_dir), "exit_code": report.exit_code}
        typer.echo(
            json.dumps(
                {**told, "written": report.written, "already": report.already, "troubles": found}
            )
        )
    parts = [f"{len(report.written)} maps written"]
    if report.already:
        parts.append(f"{len(report.already)} were there already")
    if report.failed:
        parts.append(f"{report.failed} failed")
    typer.echo(", ".join(parts), err=as_json)
    for failure in report.failures[:_LISTED]:
        typer.echo(one_line(f"error: {failure.case}: {failure.reason}"), err=as_json)
    if len(report.failures) > _LISTED:
        rest = len(report.failures) - _LISTED
        typer.echo(f"error: and {rest} more in {output_dir / 'failures.csv'}", err=as_json)
    typer.echo(f"maps: {output_dir}", err=as_json)
    raise typer.Exit(report.exit_code)

"""``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli import model_options as opt
from fastcam.options import Axes

Option = typer.Option


def infer(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...",
            help="Folders, images, volumes, or a list of paths (.txt) or table (.csv).",
        ),
    ],
    model: opt.Model,
    output_dir: Annotated[
        Path, Option(help="Folder for run.zarr; made if need be.", rich_help_panel=opt.RUN)
    ],
    checkpoint: opt.Checkpoint = None,
    method: opt.Method = None,
    layer: opt.Layer = None,
    target: opt.Target = None,
    sign: opt.Sign = "positive",
    fusion: opt.Fusion = "mean",
    discard_ratio: opt.DiscardRatio = 0.0,
    start_layer: opt.StartLayer = 0,
    prefix_tokens: opt.PrefixTokens = None,
    reshape: opt.Reshape = "auto",
    pattern: Annotated[
        str | None,
        Option(help="Which files of a folder, as in '*/*.jpg'.", rich_help_panel=opt.INPUT),
    ] = None,
    table: Annotated[
        Path | None,
        Option(help="CSV with a column image, and maybe mask, label, id.",
               rich_help_panel=opt.INPUT),
    ] = None,
    mask_dir: Annotated[
        Path | None, Option(help="Folder with masks, for the figures.", rich_help_panel=opt.INPUT)
    ] = None,
    axes: Annotated[
        Axes, Option(help="Order of a volume's axes: SimpleITK's or nibabel's.",
                     rich_help_panel=opt.INPUT)
    ] = "zyx",
    fit: opt.Fit = None,
    mean: opt.Numbers = None,
    std: opt.Numbers = None,
    num_classes: opt.NumClasses = None,
    in_channels: opt.InChannels = None,
    image_size: opt.ImageSize = None,
    allow_partial: opt.AllowPartial = False,
    use_mab: opt.UseMab = False,
    use_ocab: opt.UseOcab = False,
    use_drff: opt.UseDrff = False,
    arch: opt.Arch = None,
    patch_size: opt.PatchSize = None,
    task: opt.Task = "auto",
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    compile: opt.Compile = None,
    batch_size: opt.BatchSize = 16,
    workers: Annotated[
        int | None,
        Option(min=0, help="Processes that read images; default: 1 on a CPU, up to 8 on CUDA.",
               rich_help_panel=opt.RUN),
    ] = None,
    overwrite: Annotated[
        bool,
        Option("--overwrite", help="Replace a store made otherwise; default: resume.",
               rich_help_panel=opt.RUN),
    ] = False,
    as_json: opt.Json = False,
) -> None:  # fmt: skip
    """Run a model over IMAGES and store its attention or CAM maps in OUTPUT_DIR/run.zarr.

    `fastcam render OUTPUT_DIR/run.zarr` draws them. A run that was stopped goes on with its first
    unfinished batch. Exit code 3: finished, but some images failed; they are in failures.csv.
    """
    from fastcam.api.infer import infer as run_infer
    from fastcam.cli import progress
    from fastcam.cli.parsing import classes_of, fewshot_of, numbers_of, size_of
    from fastcam.jobs.infer import report as infer_lines

    try:
        report = run_infer(
            model, images, output_dir, checkpoint=checkpoint, method=method, layers=layer or (),
            classes=classes_of(target), num_classes=num_classes, in_channels=in_channels,
            image_size=size_of(image_size), allow_partial=allow_partial,
            fewshot=fewshot_of(use_mab, use_ocab, use_drff, arch, patch_size),
            mean=numbers_of("mean", mean), std=numbers_of("std", std), fit=fit, pattern=pattern,
            table=table, mask_dir=mask_dir, axes=axes, sign=sign, fusion=fusion,
            discard_ratio=discard_ratio, start_layer=start_layer, prefix_tokens=prefix_tokens,
            reshape=reshape, task=task, device=device, precision=precision, compile=compile,
            batch_size=batch_size, workers=workers, overwrite=overwrite,
            progress=progress.for_stderr(),
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(
            f"fastcam: stopped; finished batches are kept in {output_dir}: run the same command "
            "again to go on",
            err=True,
        )
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(infer_lines.as_dict(report)))
    typer.echo(infer_lines.told(report), err=as_json)
    raise typer.Exit(report.exit_code)

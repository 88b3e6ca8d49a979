"""``fastcam evaluate``: test-set metrics, plots, best and worst CAMs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli import model_options as opt
from fastcam.cli import style_options as look
from fastcam.options import Axes, Scale

Option = typer.Option
_SET, _REPORT = "The test set", "What is reported"


def evaluate(
    model: opt.Model,
    image_dir: Annotated[
        Path, Option(help="Folder with the images, searched with all folders below.",
                     rich_help_panel=_SET)
    ],
    table: Annotated[
        Path, Option(help="True values: .csv, .xlsx, .xls, .ods or .parquet.",
                     rich_help_panel=_SET)
    ],
    output_dir: Annotated[
        Path, Option(help="Folder for the results; made if need be.", rich_help_panel=opt.RUN)
    ],
    checkpoint: opt.Checkpoint = None,
    target: Annotated[
        str | None, Option(metavar="COLUMN", help="Column of the true values. Default: target, "
                           "label, class, age, y or diagnosis, or the only one beside the ids.",
                           rich_help_panel=_SET)
    ] = None,
    id_column: Annotated[
        str | None, Option(metavar="COLUMN", help="Column that names the images, with or without "
                           "folders and suffix. Default: the one that fits most images.",
                           rich_help_panel=_SET)
    ] = None,
    class_names: Annotated[
        str | None, Option(metavar="A,B,...", help="Classes in the order of the model's outputs, "
                           "where the table has names. Default: in sorted order.",
                           rich_help_panel=_SET)
    ] = None,
    mask_dir: Annotated[
        Path | None, Option(help="Folder with masks. Default: Masks/ beside Images/, if there is "
                            "one.", rich_help_panel=_SET)
    ] = None,
    pattern: Annotated[
        str | None, Option(help="Which files of the folder, as in '*/*.jpg'.",
                           rich_help_panel=_SET)
    ] = None,
    axes: Annotated[
        Axes, Option(help="Order of a volume's axes: SimpleITK's or nibabel's.",
                     rich_help_panel=_SET)
    ] = "zyx",
    good_below: Annotated[
        float, Option(help="Regression: errors below it are good, and green.",
                      rich_help_panel=_REPORT)
    ] = 5.0,
    group_width: Annotated[
        float, Option(help="Regression: width of the groups of true values.",
                      rich_help_panel=_REPORT)
    ] = 10.0,
    explain: Annotated[
        list[str] | None,
        Option(metavar="all|errors|N|ID", help="Figures besides the best and the worst, in "
               "explained/: of all, of errors above mean + 2 SD (or wrong classes), of the N "
               "worst, or of an image; repeatable.", rich_help_panel=_REPORT),
    ] = None,
    faithfulness: Annotated[
        bool, Option("--faithfulness", help="Also deletion and insertion curves, and the "
                     "model-randomisation check.", rich_help_panel=_REPORT)
    ] = False,
    faithfulness_images: Annotated[
        int, Option(min=1, help="Images that these are measured on, chosen at random; each costs "
                    "some 500 forward passes.", rich_help_panel=_REPORT)
    ] = 20,
    method: Annotated[
        list[str] | None,
        Option(help="gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, attention, "
               "rollout; repeatable. Default: gradcam.", rich_help_panel=opt.MAPS),
    ] = None,
    layer: opt.Layer = None,
    sign: opt.Sign = "positive",
    prefix_tokens: opt.PrefixTokens = None,
    reshape: opt.Reshape = "auto",
    fit: opt.Fit = None,
    mean: opt.Numbers = None,
    std: opt.Numbers = None,
    num_classes: opt.NumClasses = None,
    in_channels: opt.InChannels = None,
    image_size: opt.ImageSize = None,
    allow_partial: opt.AllowPartial = False,
    task: opt.Task = "auto",
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    compile: opt.Compile = None,
    batch_size: opt.BatchSize = 16,
    readers: Annotated[
        int | None,
        Option(min=0, help="Processes that read images; default: 1 on a CPU, up to 8 on CUDA.",
               rich_help_panel=opt.RUN),
    ] = None,
    workers: Annotated[
        int | None, Option(help="Workers that draw --explain; default: all cores.",
                           rich_help_panel=opt.RUN)
    ] = None,
    scale: Annotated[
        Scale, Option(help="Within what the heat of figures can be compared.",
                      rich_help_panel=look.LOOK)
    ] = "patient",
    colormap: look.Colormap = "jet",
    heat_alpha: look.HeatAlpha = 0.5,
    blend: look.HeatBlend = "flat",
    panel_size: look.PanelSize = 512,
    theme: look.Theme = "light",
    format: look.Format = "png",
    overwrite: Annotated[
        bool,
        Option("--overwrite", help="Replace a store made otherwise; default: resume.",
               rich_help_panel=opt.RUN),
    ] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print one JSON result to stdout.", rich_help_panel=opt.RUN)
    ] = False,
) -> None:  # fmt: skip
    """Evaluate a model on a test set: metrics with intervals, plots, best and worst CAMs.

    The model runs once, into OUTPUT_DIR/run.zarr; run again, only the report is made again. Exit
    code 3: finished, but some images failed; they are in failures.csv.
    """
    from fastcam.api.evaluate import evaluate as run_evaluate
    from fastcam.cli import progress
    from fastcam.cli.parsing import numbers_of, size_of
    from fastcam.jobs.evaluate import report as evaluate_lines

    try:
        report = run_evaluate(
            model, image_dir, table, output_dir, checkpoint=checkpoint, target=target,
            id_column=id_column, class_names=evaluate_lines.names_of(class_names),
            mask_dir=mask_dir, pattern=pattern, axes=axes, method=method or "gradcam",
            layers=layer or (), sign=sign, prefix_tokens=prefix_tokens, reshape=reshape,
            num_classes=num_classes, in_channels=in_channels, image_size=size_of(image_size),
            allow_partial=allow_partial, mean=numbers_of("mean", mean),
            std=numbers_of("std", std), fit=fit, task=task, good_below=good_below,
            group_width=group_width, explain=explain or (),
            faithfulness=faithfulness_images if faithfulness else 0, device=device,
            precision=precision, compile=compile, batch_size=batch_size, readers=readers,
            workers=workers, scale=scale, colormap=colormap, heat_alpha=heat_alpha, blend=blend,
            panel_size=panel_size, theme=theme, format=format, overwrite=overwrite,
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
        typer.echo(json.dumps(evaluate_lines.as_dict(report), allow_nan=False))
    typer.echo(evaluate_lines.told(report), err=as_json)
    raise typer.Exit(report.exit_code)

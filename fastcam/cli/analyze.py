"""``fastcam analyze``: a test set through several layers of a model: maps, numbers, a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from fastcam.cli import model_options as opt
from fastcam.cli import style_options as look
from fastcam.options import Language

Option = typer.Option
_REPORT = "What is reported"


def analyze(
    model: Annotated[
        str | None,
        Option(help="As for fastcam infer. Without --model and --images: what is found below the "
               "current folder, after asking.", rich_help_panel=opt.MODEL),
    ] = None,
    checkpoint: opt.Checkpoint = None,
    images: Annotated[
        list[Path] | None,
        Option(help="An image, a folder, or a folder with a folder for each class; repeatable.",
               rich_help_panel=opt.INPUT),
    ] = None,
    pattern: Annotated[
        str | None,
        Option(help="Which files of a folder, as in '*/*.jpg'.", rich_help_panel=opt.INPUT),
    ] = None,
    output_dir: Annotated[
        Path, Option(help="Folder for everything; made if need be.", rich_help_panel=opt.RUN)
    ] = Path("fastcam-analyze"),
    layer: Annotated[
        list[str] | None,
        Option(help="Module by its dotted name; repeatable. auto: the last convolution of each "
               "stage. `fastcam inspect --model` lists them.", rich_help_panel=opt.MAPS),
    ] = None,
    method: Annotated[
        str, Option(help="One of gradcam, hirescam, layercam, gradcam++, eigencam, scorecam.",
                    rich_help_panel=opt.MAPS)
    ] = "gradcam",
    target: Annotated[
        int | None,
        Option(min=0, help="Output that the maps explain, by its number. Default: the predicted "
               "class, or the value of a regression.", rich_help_panel=opt.MAPS),
    ] = None,
    sign: Annotated[
        Literal["positive", "negative"],
        Option(help="Evidence for the output, or against it.", rich_help_panel=opt.MAPS),
    ] = "positive",
    prefix_tokens: opt.PrefixTokens = None,
    asymmetry: Annotated[
        bool | None,
        Option("--asymmetry/--no-asymmetry", help="The model sees the left and the right half of "
               "an image as 3 + 3 channels. Default: if its first convolution has 6.",
               rich_help_panel=opt.INPUT),
    ] = None,
    mirror: Annotated[
        bool, Option("--mirror", help="The model was trained with the right half mirrored.",
                     rich_help_panel=opt.INPUT)
    ] = False,
    compare: Annotated[
        Path | None,
        Option(help="Other weights of the same model, to be compared with.",
               rich_help_panel=opt.MODEL),
    ] = None,
    class_names: Annotated[
        str | None,
        Option(metavar="A,B,...", help="Classes in the order of the model's outputs. Default: the "
               "class folders in alphabetical order, where there are as many.",
               rich_help_panel=_REPORT),
    ] = None,
    language: Annotated[
        Language, Option(help="Of summary_report.txt.", rich_help_panel=_REPORT)
    ] = "en",
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
    batch_size: opt.BatchSize = 16,
    colormap: look.Colormap = "jet",
    heat_alpha: look.HeatAlpha = 0.7,
    blend: look.HeatBlend = "flat",
    panel_size: look.PanelSize = 512,
    theme: look.Theme = "light",
    font: Annotated[
        Path | None, Option(help="Font for names in other scripts.", rich_help_panel=look.LOOK)
    ] = None,
    dpi: Annotated[
        float, Option(min=1, help="Resolution noted in the PNG files, for printing; the pixels are "
                      "--panel-size.", rich_help_panel=look.LOOK)
    ] = 300.0,
    workers: Annotated[
        int | None, Option(min=1, help="Processes that draw; default: all cores.",
                           rich_help_panel=opt.RUN)
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace what was made otherwise; default: resume.",
                     rich_help_panel=opt.RUN)
    ] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print one JSON result to stdout.", rich_help_panel=opt.RUN)
    ] = False,
) -> None:  # fmt: skip
    """Look at a test set through several layers of a model: maps, numbers, comparisons, a report.

    Exit code 3: finished, but some images failed; they are in failures.csv.
    """
    from fastcam.api.analyze import Analyzer
    from fastcam.cli import progress
    from fastcam.cli.parsing import numbers_of, size_of
    from fastcam.cli.quick_start import quick_start
    from fastcam.jobs.analyze import report as analyze_lines
    from fastcam.jobs.analyze.request import AnalysisChoice
    from fastcam.options import Style

    if model is None or not images:
        found = quick_start(model, checkpoint, tuple(images or ()), Path())
        model, checkpoint, images = found.model, found.checkpoint, list(found.images)
    style = Style(colormap=colormap, heat_alpha=heat_alpha, blend=blend, panel_size=panel_size,
                  theme=theme, font=font)  # fmt: skip
    named = tuple(part.strip() for part in (class_names or "").split(",") if part.strip())
    how = AnalysisChoice(style, dpi, language, named, workers=workers)
    analyzer = Analyzer(
        model, checkpoint, layers=layer or "auto", method=method, target=target, sign=sign,
        prefix_tokens=prefix_tokens, asymmetry=asymmetry, mirror=mirror,
        image_size=size_of(image_size), mean=numbers_of("mean", mean), std=numbers_of("std", std),
        fit=fit, num_classes=num_classes, in_channels=in_channels, allow_partial=allow_partial,
        compare=compare, task=task, device=device, precision=precision, batch_size=batch_size,
        output_dir=output_dir, how=how,
    )  # fmt: skip
    try:
        report = analyzer.analyze_batch(
            images, pattern, overwrite=overwrite, progress=progress.for_stderr()
        )
    except KeyboardInterrupt:
        typer.echo(
            f"fastcam: stopped; what is finished is kept in {output_dir}: run the same command "
            "again to go on",
            err=True,
        )
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(analyze_lines.as_dict(report)))
    typer.echo(analyze_lines.told(report), err=as_json)
    raise typer.Exit(report.exit_code)

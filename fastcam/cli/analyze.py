"""``fastcam analyze``: a test set through several layers of a model: maps, numbers, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fastcam.cli.map_options import MAPS, PrefixTokens, WindowOptions
from fastcam.cli.model_options import (
    INPUT,
    MODEL,
    AxesOrder,
    Checkpoint,
    Input,
    LoadOptions,
    Output,
    Pattern,
    PixelOptions,
    ShowChannel,
    Volume,
)
from fastcam.cli.option_groups import expand_groups, keywords
from fastcam.cli.run_options import (
    RUN,
    STYLE,
    Aspect,
    BatchSize,
    ComputeOptions,
    Devices,
    Format,
    HeatOptions,
    Json,
    MaxMemory,
    ModelScheduler,
    Panels,
    PanelSize,
    PaperOptions,
    Theme,
    TrustInputs,
)
from fastcam.cli.slice_options import GreyOptions, SliceChoice
from fastcam.cli.terminal import end_command, stderr_progress
from fastcam.options import Language

Option = typer.Option
_REPORT = "What is reported"
_HEAT = HeatOptions(heat_alpha=0.7)


@expand_groups
def analyze(
    *,
    model: Annotated[
        str | None,
        Option(
            help="As for fastcam infer. Without --model and --images: what is found below the "
            "current folder, after asking.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    output: Output = None,
    images: Annotated[
        list[Path] | None,
        Option(
            help="An image or volume, a folder, or a folder with a folder for each class; "
            "repeatable.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    pattern: Pattern = None,
    table: Annotated[
        Path | None,
        Option(
            help="Table with the columns of --input; --images is then the folder that its paths "
            "are relative to. Or give the table as --images.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    input_: Input = None,
    axes: AxesOrder = "zyx",
    volume: Volume = None,
    slicing: SliceChoice,
    show_channel: ShowChannel = None,
    output_dir: Annotated[
        Path, Option(help="Folder for everything; made if need be.", rich_help_panel=RUN)
    ] = Path("fastcam-analyze"),
    layer: Annotated[
        list[str] | None,
        Option(
            "--layer",
            "--layers",
            help="Module by its dotted name; repeatable, or with commas. auto: the last "
            "convolution of each stage. `fastcam inspect --model` lists them.",
            rich_help_panel=MAPS,
        ),
    ] = None,
    method: Annotated[
        str,
        Option(
            help="One of gradcam, hirescam, layercam, gradcam++, eigencam, scorecam.",
            rich_help_panel=MAPS,
        ),
    ] = "gradcam",
    target: Annotated[
        str | None,
        Option(
            metavar="N|box:WHICH",
            help="Output that the maps explain, by its number. Default: the predicted "
            "class, or the value of a regression. Of a detector the box whose score they explain: "
            "box:best, box:N by falling score, or box:label:CLASS, the best of a class.",
            rich_help_panel=MAPS,
        ),
    ] = None,
    sign: Annotated[
        Literal["positive", "negative"],
        Option(help="Evidence for the output, or against it.", rich_help_panel=MAPS),
    ] = "positive",
    prefix_tokens: PrefixTokens = None,
    windows: WindowOptions,
    asymmetry: Annotated[
        bool | None,
        Option(
            "--asymmetry/--no-asymmetry",
            help="The model sees the left and the right half of "
            "an image as 3 + 3 channels. Default: if its first convolution has 6.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    mirror: Annotated[
        bool,
        Option(
            "--mirror",
            help="The model was trained with the right half mirrored.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    compare: Annotated[
        Path | None,
        Option(help="Other weights of the same model, to be compared with.", rich_help_panel=MODEL),
    ] = None,
    class_names: Annotated[
        str | None,
        Option(
            metavar="A,B,...",
            help="Classes in the order of the model's outputs. Default: the "
            "class folders in alphabetical order, where there are as many.",
            rich_help_panel=_REPORT,
        ),
    ] = None,
    language: Annotated[
        Language, Option(help="Of summary_report.txt.", rich_help_panel=_REPORT)
    ] = "en",
    pixels: PixelOptions,
    grey: GreyOptions,
    loading: LoadOptions,
    compute: ComputeOptions,
    batch_size: BatchSize = 16,
    heat: HeatOptions = _HEAT,
    format: Format = "png",
    panel_size: PanelSize = 512,
    aspect: Aspect = None,
    theme: Theme = "light",
    font: Annotated[
        Path | None, Option(help="Font for names in other scripts.", rich_help_panel=STYLE)
    ] = None,
    paper: PaperOptions,
    panels: Panels = None,
    workers: Annotated[
        int | None,
        Option(min=1, help="Processes that draw; default: all cores.", rich_help_panel=RUN),
    ] = None,
    devices: Devices = None,
    scheduler: ModelScheduler = None,
    overwrite: Annotated[
        bool,
        Option(
            "--overwrite",
            help="Replace what was made otherwise; default: resume.",
            rich_help_panel=RUN,
        ),
    ] = False,
    trust_inputs: TrustInputs = False,
    max_memory: MaxMemory = None,
    as_json: Json = False,
) -> None:
    """Look at a test set through several layers of a model: maps, numbers, comparisons, a report.

    Of volumes every slice that is run is an image of its own.

    Exit code 3: finished, but some images failed; they are in failures.csv.
    """
    from fastcam.api.analyze import Analyzer
    from fastcam.cli.parsing import parse_panels, split_layers
    from fastcam.cli.quick_start import quick_start
    from fastcam.jobs.analyze.report import as_dict, summary_text
    from fastcam.jobs.analyze.request import AnalyzeOptions
    from fastcam.options import Style
    from fastcam.read.inputs.named_inputs import parse_inputs

    if model is None or not images:
        start = quick_start(model, checkpoint, tuple(images or ()), Path())
        model, checkpoint, images = start.model, start.checkpoint, list(start.images)
    style = Style(
        **vars(heat),
        **vars(paper),
        format=format,
        panel_size=panel_size,
        aspect=aspect or "",
        theme=theme,
        font=font,
        panels=parse_panels(panels),
    )
    names = tuple(part.strip() for part in (class_names or "").split(",") if part.strip())
    options = AnalyzeOptions(style, language, names, workers=workers, show_channel=show_channel)
    analyzer = Analyzer(
        model,
        checkpoint,
        layers=split_layers(layer) or "auto",
        method=method,
        target=target,
        output=output,
        inputs=parse_inputs(input_ or ()),
        sign=sign,
        prefix_tokens=prefix_tokens,
        asymmetry=asymmetry,
        mirror=mirror,
        compare=compare,
        batch_size=batch_size,
        output_dir=output_dir,
        options=options,
        **keywords(windows, pixels, grey, loading, compute),
    )
    report = analyzer.analyze_batch(
        images,
        pattern,
        table=table,
        axes=axes,
        volume=volume,
        devices=devices,
        scheduler=scheduler,
        overwrite=overwrite,
        trust_inputs=trust_inputs,
        max_memory=max_memory,
        progress=stderr_progress(),
        **keywords(slicing),
    )
    end_command(report, as_dict, summary_text, as_json)

"""``fastcam explain``: a few images, one or several methods, pictures at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fastcam.cli.map_options import (
    MAPS,
    MapOptions,
    Target,
)
from fastcam.cli.model_options import (
    FEWSHOT,
    MODEL,
    FewshotParts,
    Input,
    LoadOptions,
    Output,
    PixelOptions,
    ShowChannel,
    Support,
    Volume,
)
from fastcam.cli.option_groups import expand_groups, keywords
from fastcam.cli.run_options import (
    RUN,
    STYLE,
    Aspect,
    BatchSize,
    ClassNames,
    ComputeOptions,
    Format,
    HeatOptions,
    Json,
    MaxMemory,
    Panels,
    PaperOptions,
    Theme,
)
from fastcam.cli.slice_options import GreyOptions, SliceChoice
from fastcam.cli.terminal import print_lines, print_log

Option = typer.Option
_COMPUTE = ComputeOptions(precision="fp32")


@expand_groups
def explain(
    *,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Images, of a 3-D model volumes, or folders."),
    ],
    model: Annotated[
        list[str],
        Option(
            help="Built-in name (vit_small, resnet50, fewshot_vit, ...), timm:NAME, "
            "torchvision:NAME, hf:FOLDER, monai:CLASS?key=value, or file.py:factory. Several "
            "are compared side by side, each with its own --checkpoint.",
            rich_help_panel=MODEL,
        ),
    ],
    output_dir: Annotated[
        Path,
        Option(
            help="Folder for the figures, made if need be; several images have a folder "
            "each in it. Files of the same names are replaced.",
            rich_help_panel=RUN,
        ),
    ] = Path("fastcam-explain"),
    checkpoint: Annotated[
        list[Path] | None,
        Option(
            help="Weights: .safetensors, .pth, .pt or .ckpt; nothing in them is run. Without "
            "them the weights are random. Several: one for each --model, in the same order, or "
            "all of one --model, which are compared.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    output: Output = None,
    method: Annotated[
        list[str] | None,
        Option(
            help="Of layers: gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, "
            "ablationcam; of pixels: saliency, inputxgradient, smoothgrad, integrated-gradients, "
            "occlusion, rise; of attention: attention, rollout, legrad, chefer, gradattention, "
            "window, channel, overlap, reconstruction; repeatable. all: every one that the model "
            "has, but scorecam, ablationcam, occlusion and rise. Default: gradcam, for a Vision "
            "Transformer attention, with --support reconstruction.",
            rich_help_panel=MAPS,
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        Option(
            "--layer",
            "--layers",
            metavar="[METHOD=]LAYER,...",
            help="Module by its dotted name, or block by its number for attention of any kind; "
            "repeatable, or several with commas: a row for each. With CAMs and attention "
            "together the names are for CAMs and the numbers for attention, unless METHOD= says "
            "which. Of a module that runs more than once every call has a row; NAME#0 is its first "
            "call alone. Default: the last. `fastcam inspect --model` lists them.",
            rich_help_panel=MAPS,
        ),
    ] = None,
    head: Annotated[
        str, Option(metavar="N|mean", help="Head of attention, from 0.", rich_help_panel=MAPS)
    ] = "mean",
    target: Target = None,
    support: Support = None,
    query: Annotated[
        str | None,
        Option(
            metavar="X,Y",
            help="Pixel of the image as the model sees it, whose place "
            "reconstruction asks from; default: the mean over all places.",
            rich_help_panel=FEWSHOT,
        ),
    ] = None,
    maps: MapOptions,
    input_: Input = None,
    pixels: PixelOptions,
    volume: Volume = None,
    slicing: SliceChoice,
    grey: GreyOptions,
    show_channel: ShowChannel = None,
    loading: LoadOptions,
    parts: FewshotParts,
    compute: ComputeOptions = _COMPUTE,
    batch_size: BatchSize = 16,
    scale: Annotated[
        Literal["auto", "shared", "each", "slice", "rank"],
        Option(
            help="What goes from the lowest to the highest color. auto: together the same row "
            "of all models, and of attention of any kind all layers, whose unit is the same, "
            "not so of CAMs; shared: all maps of a method; each: every map; slice: every map, "
            "as pytorch-grad-cam does it; rank: its ranks.",
            rich_help_panel=STYLE,
        ),
    ] = "auto",
    heat: HeatOptions,
    class_names: ClassNames = None,
    panel_size: Annotated[
        int,
        Option(
            help="Longer side of a panel in pixels; a method's own figures are enlarged to it, "
            "but never made smaller than the image.",
            rich_help_panel=STYLE,
        ),
    ] = 512,
    aspect: Aspect = None,
    theme: Theme = "light",
    format: Format = "png",
    paper: PaperOptions,
    panels: Panels = None,
    max_memory: MaxMemory = None,
    as_json: Json = False,
) -> None:
    """Explain a few images by one or several methods, layers and models.

    Written for each image: <image>_explained.png, a row of image, heat and
    overlay for every map; <method>_heatmap.png and <method>_overlay.png
    (patch_attention for attention); channel_bars.png, the gates of channel
    attention; patch_grid.png, the patches of a transformer. An image that
    can't be read is listed in failures.csv, and the others are drawn. Of
    volumes a 2-D model explains the middle slice, or those of --slices, each
    as an image <case>_slice<k>.

    For a whole test set use `fastcam infer` and `fastcam render`: they
    resume, and keep the maps.
    """
    from fastcam.cli.parsing import (
        model_choices,
        parse_classes,
        parse_names,
        parse_panels,
        parse_pixel,
        parse_support,
        split_layers,
        split_methods,
    )
    from fastcam.errors import InputError
    from fastcam.inference.images import resolve_preprocessing
    from fastcam.jobs.explain.files import write_explanations
    from fastcam.jobs.explain.request import ExplainRequest, FigureOptions
    from fastcam.jobs.infer.request import InputChoice
    from fastcam.options import Style, parse_head
    from fastcam.read.inputs.grey_levels import GreyLevels
    from fastcam.read.inputs.named_inputs import parse_inputs
    from fastcam.read.volumes.memory_limit import limited
    from fastcam.run.memory_share import memory_limit

    style = Style(
        **vars(heat),
        **vars(paper),
        panels=parse_panels(panels),
        panel_size=panel_size,
        aspect=aspect or "",
        theme=theme,
        format=format,
        class_names=parse_names(class_names),
    )
    figure_options = FigureOptions(scale, parse_head(head), style, show_channel)
    classes = parse_classes(target)
    if classes == "label":
        raise InputError("--target label: labels are in a table, which `fastcam infer` takes")
    inputs = InputChoice(paths=tuple(images), columns=parse_inputs(input_ or ()), volume=volume)
    levels = GreyLevels.of(**keywords(grey))
    request = ExplainRequest(
        methods=tuple(split_methods(method)),
        batch_size=batch_size,
        query=parse_pixel(query),
        output=output or "",
        **keywords(maps, compute),
    )
    load, preparation = keywords(loading), keywords(pixels)
    models = model_choices(model, checkpoint or (), **load, **keywords(parts))
    with limited(memory_limit(max_memory, 1)):
        report = write_explanations(
            models,
            inputs,
            output_dir,
            request,
            lambda loaded: resolve_preprocessing(
                loaded, load["image_size"], **preparation
            ).with_grey(levels),
            layers=split_layers(layer),
            targets=[list(classes)] if classes else None,
            support=parse_support(support) or None,
            figure_options=figure_options,
            slice_options=vars(slicing),
            log=print_log,
        )
    print_lines(report.to_dict() if as_json else report.lines())
    raise typer.Exit(report.exit_code)

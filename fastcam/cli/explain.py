"""``fastcam explain``: a few images, one or several methods, pictures at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fastcam.cli import model_options as opt
from fastcam.cli import style_options as look

if TYPE_CHECKING:
    from fastcam.jobs.explain.files import Written

Option = typer.Option


def explain(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images, or folders.")],
    model: Annotated[
        list[str],
        Option(help="Built-in name (vit_small, resnet50, fewshot_vit, ...), timm:NAME, "
               "torchvision:NAME, hf:FOLDER, monai:CLASS?key=value, or file.py:factory. Several "
               "are compared side by side, each with its own --checkpoint.",
               rich_help_panel=opt.MODEL),
    ],
    output_dir: Annotated[
        Path, Option(help="Folder for the figures, made if need be; several images have a folder "
                     "each in it. Files of the same names are replaced.", rich_help_panel=opt.RUN)
    ] = Path("fastcam-explain"),
    checkpoint: Annotated[
        list[Path] | None,
        Option(help="Weights: .safetensors, .pth, .pt or .ckpt; nothing in them is run. Without "
               "them the weights are random. Several: one for each --model, in the same order, or "
               "all of one --model, which are compared.", rich_help_panel=opt.MODEL),
    ] = None,
    method: Annotated[
        list[str] | None,
        Option(help="gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, attention, "
               "rollout, window, channel, overlap, reconstruction; repeatable. all: every one that "
               "the model has, but scorecam. Default: gradcam, for a Vision Transformer attention, "
               "with --support reconstruction.", rich_help_panel=opt.MAPS),
    ] = None,
    layer: Annotated[
        list[str] | None,
        Option("--layer", "--layers", metavar="[METHOD=]LAYER,...",
               help="Module by its dotted name, or block by its number for attention of any kind; "
               "repeatable, or several with commas: a row for each. With CAMs and attention "
               "together the names are for CAMs and the numbers for attention, unless METHOD= says "
               "which. Default: the last. `fastcam inspect --model` lists them.",
               rich_help_panel=opt.MAPS),
    ] = None,
    head: Annotated[
        str, Option(metavar="N|mean", help="Head of attention, from 0.", rich_help_panel=opt.MAPS)
    ] = "mean",
    target: opt.Target = None,
    support: opt.Support = None,
    query: Annotated[
        str | None,
        Option(metavar="X,Y", help="Pixel of the image as the model sees it, whose place "
               "reconstruction asks from; default: the mean over all places.",
               rich_help_panel=opt.FEWSHOT),
    ] = None,
    sign: opt.Sign = "positive",
    fusion: opt.Fusion = "mean",
    discard_ratio: opt.DiscardRatio = 0.0,
    start_layer: opt.StartLayer = 0,
    prefix_tokens: opt.PrefixTokens = None,
    reshape: opt.Reshape = "auto",
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
    precision: opt.Precision = "fp32",
    batch_size: opt.BatchSize = 16,
    scale: Annotated[
        Literal["auto", "shared", "each", "slice", "rank"],
        Option(help="What goes from the lowest to the highest colour. auto: together the same row "
               "of all models, and of attention of any kind all layers, whose unit is the same, "
               "not so of CAMs; shared: all maps of a method; each: every map; slice: every map, "
               "as pytorch-grad-cam does it; rank: its ranks.", rich_help_panel=look.LOOK),
    ] = "auto",
    colormap: look.Colormap = "jet",
    heat_alpha: look.HeatAlpha = 0.5,
    blend: look.HeatBlend = "flat",
    panel_size: Annotated[
        int,
        Option(help="Longer side of a panel in pixels; a method's own figures are enlarged to it, "
               "but never made smaller than the image.", rich_help_panel=look.LOOK),
    ] = 512,
    theme: look.Theme = "light",
    format: look.Format = "png",
    as_json: Annotated[
        bool, Option("--json", help="Print one JSON result to stdout.", rich_help_panel=opt.RUN)
    ] = False,
) -> None:  # fmt: skip
    """Explain a few images by one or several methods, layers and models.

    Written for each image: <image>_explained.png, a row of image, heat and
    overlay for every map; <method>_heatmap.png and <method>_overlay.png
    (patch_attention for attention); channel_bars.png, the gates of channel
    attention; patch_grid.png, the patches of a transformer. An image that
    can't be read is listed in failures.csv, and the others are drawn.

    For a whole test set use `fastcam infer` and `fastcam render`: they
    resume, and keep the maps.
    """
    from fastcam.cli.parsing import (
        candidates_of,
        classes_of,
        fewshot_of,
        layers_given,
        numbers_of,
        pixel_of,
        size_of,
        support_of,
    )
    from fastcam.errors import InputError
    from fastcam.inference.images import resolve_preprocessing
    from fastcam.jobs.explain.files import Drawing, write_explanations
    from fastcam.jobs.explain.request import ExplainRequest
    from fastcam.options import MapChoice, Style
    from fastcam.read.inputs.inputs import find_inputs

    style = Style(colormap=colormap, heat_alpha=heat_alpha, blend=blend, panel_size=panel_size,
                  theme=theme, format=format)  # fmt: skip
    drawing = Drawing(scale, MapChoice.head_of(head), style)
    classes = classes_of(target)
    if classes == "label":
        raise InputError("--target label: labels are in a table, which `fastcam infer` takes")
    asked = ExplainRequest(
        tuple(method or ()), {}, sign, fusion, discard_ratio, start_layer, prefix_tokens, reshape,
        task, batch_size, device, precision, pixel_of(query),
    )  # fmt: skip
    size, means, stds = size_of(image_size), numbers_of("mean", mean), numbers_of("std", std)
    models = candidates_of(
        model, checkpoint or (), fewshot_of(use_mab, use_ocab, use_drff, arch, patch_size),
        num_classes=num_classes, in_channels=in_channels, image_size=size,
        allow_partial=allow_partial,
    )  # fmt: skip
    written = write_explanations(
        models, find_inputs(images), output_dir, asked,
        lambda loaded: resolve_preprocessing(loaded, size, means, stds, fit),
        layers=layers_given(layer), targets=[list(classes)] if classes else None,
        support=support_of(support) or None, drawing=drawing,
        told=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    _listed(written, as_json)
    if written.failures:
        raise typer.Exit(3)


def _listed(written: Written, as_json: bool) -> None:
    from fastcam.errors import one_line

    if as_json:
        typer.echo(json.dumps({
            "figures": [str(path) for path in written.figures],
            "failed": [{"image": t.case, "reason": t.reason} for t in written.failures],
            "models": [
                {
                    "label": label,
                    "images": list(result.names),
                    "prediction": result.prediction.tolist(),
                    "maps": {name: list(values.shape) for name, values in result.maps.items()},
                }
                for label, result in written.results.items()
            ],
        }))  # fmt: skip
        return
    for path in written.figures:
        typer.echo(f"{path}")
    for failure in written.failures:
        typer.echo(one_line(f"error: {failure.case}: {failure.reason}"))

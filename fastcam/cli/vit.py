"""``fastcam vit``: the seven views of a Vision Transformer, from one forward pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fastcam.cli import model_options as opt
from fastcam.cli import style_options as look
from fastcam.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import nn

    from fastcam.jobs.vit.job import Written

Option = typer.Option
_VIEWS = "The views"


def vit(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE...", help="Images, or folders.")
    ] = None,
    model: Annotated[
        str | None,
        Option(
            help="A Vision Transformer: built-in name (vit_tiny, vit_small, vit_base), timm:NAME, "
            "torchvision:NAME, hf:FOLDER, or file.py:factory.",
            rich_help_panel=opt.MODEL,
        ),
    ] = None,
    output_dir: Annotated[
        Path, Option(help="Folder for the figures; made if need be. Several images have a folder "
                     "each in it.", rich_help_panel=opt.RUN)
    ] = Path("fastcam-vit"),
    demo: Annotated[
        bool, Option("--demo", help="Use the model and the images that come with fastcam.",
                     rich_help_panel=opt.RUN)
    ] = False,
    checkpoint: opt.Checkpoint = None,
    compare: Annotated[
        Path | None,
        Option(metavar="CHECKPOINT", help="Other weights of the same model, side by side with the "
               "first on one colour scale.", rich_help_panel=opt.MODEL),
    ] = None,
    view: Annotated[
        list[str] | None,
        Option(help="1 patch_grid, 2 position_embedding, 3 attention_layers, 4 all_heads, "
               "5 attention_distance, 6 cls_evolution, 7 attention_rollout; repeatable. "
               "Default: all.", rich_help_panel=_VIEWS),
    ] = None,
    layers: Annotated[
        str | None,
        Option("--layers", "--layer", metavar="N,N,...",
               help="Layers of view 3, from 0; view 4 shows the last of them. "
               "Default: four from first to last, as 0,3,6,11.", rich_help_panel=_VIEWS),
    ] = None,
    head: Annotated[
        str, Option(metavar="N|mean", help="Head of view 3, from 0.", rich_help_panel=_VIEWS)
    ] = "mean",
    query: Annotated[
        str | None,
        Option(metavar="X,Y|N", help="Attention from the patch at this pixel of the image, or with "
               "this number in view 1, instead of CLS.", rich_help_panel=_VIEWS),
    ] = None,
    fusion: opt.Fusion = "mean",
    discard_ratio: opt.DiscardRatio = 0.0,
    start_layer: opt.StartLayer = 0,
    prefix_tokens: opt.PrefixTokens = None,
    interpolation: Annotated[
        Literal["nearest", "bilinear", "bicubic"],
        Option(help="Of maps; nearest shows the patches.", rich_help_panel=look.LOOK),
    ] = "bilinear",
    scale: Annotated[
        Literal["patient", "slice"],
        Option(help="One colour scale for all maps of a figure, or one for each layer of view 3.",
               rich_help_panel=look.LOOK),
    ] = "patient",
    colormap: look.Colormap = "jet",
    heat_alpha: look.HeatAlpha = 0.5,
    blend: look.HeatBlend = "flat",
    panel_size: Annotated[
        int, Option(help="Longer side of a panel in pixels; view 4 has half of it.",
                    rich_help_panel=look.LOOK)
    ] = 512,
    theme: look.Theme = "light",
    fit: Annotated[
        Literal["stretch", "crop", "exact"] | None,
        Option(help="Stretch the whole image to the model's size, cut its middle out, or refuse "
               "images that don't have this size.", rich_help_panel=opt.INPUT),
    ] = None,
    mean: opt.Numbers = None,
    std: opt.Numbers = None,
    num_classes: opt.NumClasses = None,
    in_channels: opt.InChannels = None,
    image_size: opt.ImageSize = None,
    allow_partial: opt.AllowPartial = False,
    device: opt.Device = "auto",
    batch_size: opt.BatchSize = 16,
    as_json: opt.Json = False,
) -> None:  # fmt: skip
    """Show a Vision Transformer from inside: seven figures of an image, from one forward pass.

    `fastcam vit --demo` needs no image and no model. Exit code 3: finished, but some images failed;
    they are listed in failures.csv.
    """
    from fastcam.api.models import load_model
    from fastcam.cli import progress
    from fastcam.cli.parsing import layers_of, numbers_of, pair_labels, query_of, size_of
    from fastcam.demo import vit as vit_lines
    from fastcam.inference.device import choose_device
    from fastcam.inference.images import resolve_preprocessing
    from fastcam.jobs.vit.file_pixels import check_sizes
    from fastcam.jobs.vit.job import write_views
    from fastcam.jobs.vit.request import ViewChoice, view_name
    from fastcam.options import MapChoice, Style
    from fastcam.read.inputs.inputs import find_inputs

    choice = ViewChoice(
        views=tuple(dict.fromkeys(view_name(text) for text in view or ())),
        layers=layers_of(layers), head=MapChoice.head_of(head), query=query_of(query),
        fusion=fusion, discard_ratio=discard_ratio, start_layer=start_layer,
        prefix_tokens=prefix_tokens, interpolation=interpolation,
        labels=pair_labels(checkpoint, compare),
        style=Style(colormap=colormap, heat_alpha=heat_alpha, blend=blend, scale=scale,
                    panel_size=panel_size, theme=theme),
    )  # fmt: skip
    if demo:
        if images or model or checkpoint or compare or choice != ViewChoice(labels=choice.labels):
            raise InputError("--demo goes with --output-dir and --json only: leave out the others")
        _demo(output_dir, as_json)
        return
    if not images:
        raise InputError("no images given: name files or folders, or use --demo")
    if model is None:
        raise InputError("no model given: name one with --model, or use --demo")
    items = find_inputs(images)
    size = size_of(image_size)
    where = choose_device(device)

    def loaded(weights: Path | None) -> nn.Module:
        return load_model(
            model, weights, num_classes=num_classes, in_channels=in_channels, image_size=size,
            allow_partial=allow_partial,
        ).to(where)  # fmt: skip

    first = loaded(checkpoint)
    spec = resolve_preprocessing(
        first, size, numbers_of("mean", mean), numbers_of("std", std),
        "stretch" if fit == "exact" else fit,
    )  # fmt: skip
    if fit == "exact":
        check_sizes(items, spec)
    written = write_views(
        first, items, spec, output_dir, choice, loaded(compare) if compare else None,
        batch_size=batch_size, told=vit_lines.noted,
        progress=progress.for_stderr() if len(items) > 1 else None,
    )  # fmt: skip
    _listed(written, as_json)
    if written.failures:
        raise typer.Exit(3)


def _demo(output_dir: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from fastcam.demo import vit as vit_lines
    from fastcam.demo.vit import run_vit_demo

    score = run_vit_demo(output_dir, vit_lines.noted)
    if as_json:
        typer.echo(json.dumps(asdict(score)))
        return
    typer.echo(vit_lines.said(score))
    typer.echo(f"\nlook at the figures in {output_dir}")


def _listed(written: Written, as_json: bool) -> None:
    if as_json:
        failed = [{"image": t.case, "reason": t.reason} for t in written.failures]
        figures = [str(path) for path in written.figures]
        typer.echo(json.dumps({"figures": figures, "failed": failed}))
        return
    for path in written.figures:
        typer.echo(f"{path}")
    for failure in written.failures:
        typer.echo(one_line(f"error: {failure.case}: {failure.reason}"))

"""``fastcam vit``: the seven views of a Vision Transformer, from one forward pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fastcam.cli.map_options import AttentionOptions
from fastcam.cli.model_options import (
    INPUT,
    MODEL,
    Checkpoint,
    LoadOptions,
    Normalization,
    Output,
)
from fastcam.cli.option_groups import expand_groups, keywords
from fastcam.cli.run_options import (
    RUN,
    STYLE,
    BatchSize,
    Device,
    Format,
    HeatOptions,
    Json,
    Panels,
    PaperOptions,
    Theme,
)
from fastcam.cli.terminal import print_lines, print_log, stderr_progress
from fastcam.errors import InputError

if TYPE_CHECKING:
    from torch import nn

Option = typer.Option
_VIEWS = "The views"


@expand_groups
def vit(
    *,
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE...", help="Images, or folders.")
    ] = None,
    model: Annotated[
        str | None,
        Option(
            help="A Vision Transformer: built-in name (vit_tiny, vit_small, vit_base), timm:NAME, "
            "torchvision:NAME, hf:FOLDER, or file.py:factory.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    output_dir: Annotated[
        Path,
        Option(
            help="Folder for the figures; made if need be. Several images have a folder "
            "each in it.",
            rich_help_panel=RUN,
        ),
    ] = Path("fastcam-vit"),
    demo: Annotated[
        bool,
        Option(
            "--demo",
            help="Use the model and the images that come with fastcam.",
            rich_help_panel=RUN,
        ),
    ] = False,
    checkpoint: Checkpoint = None,
    output: Output = None,
    compare: Annotated[
        Path | None,
        Option(
            metavar="CHECKPOINT",
            help="Other weights of the same model, side by side with the first on one color scale.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    view: Annotated[
        list[str] | None,
        Option(
            help="1 patch_grid, 2 position_embedding, 3 attention_layers, 4 all_heads, "
            "5 attention_distance, 6 cls_evolution, 7 attention_rollout; repeatable. "
            "Default: all.",
            rich_help_panel=_VIEWS,
        ),
    ] = None,
    layers: Annotated[
        str | None,
        Option(
            "--layers",
            "--layer",
            metavar="N,N,...",
            help="Layers of view 3, from 0; view 4 shows the last of them. "
            "Default: four from first to last, as 0,3,6,11.",
            rich_help_panel=_VIEWS,
        ),
    ] = None,
    head: Annotated[
        str, Option(metavar="N|mean", help="Head of view 3, from 0.", rich_help_panel=_VIEWS)
    ] = "mean",
    query: Annotated[
        str | None,
        Option(
            metavar="X,Y|N",
            help="Attention from the patch at this pixel of the image, or with "
            "this number in view 1, instead of CLS.",
            rich_help_panel=_VIEWS,
        ),
    ] = None,
    attention: AttentionOptions,
    interpolation: Annotated[
        Literal["nearest", "bilinear", "bicubic"],
        Option(help="Of maps; nearest shows the patches.", rich_help_panel=STYLE),
    ] = "bilinear",
    scale: Annotated[
        Literal["patient", "slice"],
        Option(
            help="One color scale for all maps of a figure, or one for each layer of view 3.",
            rich_help_panel=STYLE,
        ),
    ] = "patient",
    heat: HeatOptions,
    panel_size: Annotated[
        int,
        Option(
            help="Longer side of a panel in pixels; view 4 has half of it.", rich_help_panel=STYLE
        ),
    ] = 512,
    theme: Theme = "light",
    format: Format = "png",
    paper: PaperOptions,
    panels: Panels = None,
    fit: Annotated[
        Literal["stretch", "crop", "exact"] | None,
        Option(
            help="Stretch the whole image to the model's size, cut its middle out, or refuse "
            "images that don't have this size.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    normalization: Normalization,
    loading: LoadOptions,
    device: Device = "auto",
    batch_size: BatchSize = 16,
    as_json: Json = False,
) -> None:
    """Show a Vision Transformer from inside: seven figures of an image, from one forward pass.

    `fastcam vit --demo` needs no image and no model. Exit code 3: finished, but some images failed;
    they are listed in failures.csv.
    """
    from fastcam.api.models import load_model
    from fastcam.cli.parsing import parse_layer_numbers, parse_panels, parse_query
    from fastcam.inference.device import choose_device
    from fastcam.inference.images import resolve_preprocessing
    from fastcam.jobs.explain.request import checkpoint_labels
    from fastcam.jobs.vit.job import write_views
    from fastcam.jobs.vit.request import ViewChoice, view_name
    from fastcam.jobs.vit.selection import check_sizes
    from fastcam.options import Style, parse_head
    from fastcam.read.inputs.inputs import find_inputs

    choice = ViewChoice(
        views=tuple(dict.fromkeys(view_name(text) for text in view or ())),
        layers=parse_layer_numbers(layers),
        head=parse_head(head),
        query=parse_query(query),
        output=output or "",
        interpolation=interpolation,
        labels=checkpoint_labels(checkpoint, compare),
        style=Style(
            scale=scale,
            panel_size=panel_size,
            theme=theme,
            format=format,
            panels=parse_panels(panels),
            **vars(heat),
            **vars(paper),
        ),
        **keywords(attention),
    )
    if demo:
        if images or model or checkpoint or compare or choice != ViewChoice(labels=choice.labels):
            raise InputError("--demo goes with --output-dir and --json only: leave out the others")
        _demo(output_dir, as_json)
        return
    if not images:
        raise InputError("no images given: name files or folders, or use --demo")
    if model is None:
        raise InputError("no model given: name one with --model, or use --demo")
    load = keywords(loading)
    chosen_device = choose_device(device)

    def load_weights(weights: Path | None) -> nn.Module:
        return load_model(model, weights, **load).to(chosen_device)

    # The model first: what is wrong with it is no matter of the images.
    first = load_weights(checkpoint)
    items = find_inputs(images)
    preprocessing = resolve_preprocessing(
        first,
        load["image_size"],
        fit="stretch" if fit == "exact" else fit,
        **keywords(normalization),
    )
    if fit == "exact":
        check_sizes(items, preprocessing)
    report = write_views(
        first,
        items,
        preprocessing,
        output_dir,
        choice,
        load_weights(compare) if compare else None,
        batch_size=batch_size,
        log=print_log,
        progress=stderr_progress() if len(items) > 1 else None,
    )
    print_lines(report.to_dict() if as_json else report.lines())
    raise typer.Exit(report.exit_code)


def _demo(output_dir: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from fastcam.demo.vit import run_vit_demo, summary

    score = run_vit_demo(output_dir, log=print_log)
    if as_json:
        typer.echo(json.dumps(asdict(score)))
        return
    typer.echo(summary(score))
    typer.echo(f"\nlook at the figures in {output_dir}")

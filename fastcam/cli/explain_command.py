"""``fastcam explain``: a few images, one or several methods, pictures at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli import model_options as opt
from fastcam.cli import style_options as look

Option = typer.Option


def explain(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images, or folders.")],
    model: opt.Model,
    output_dir: Annotated[
        Path, Option(help="Folder for the figures; made if need be.", rich_help_panel=opt.RUN)
    ] = Path("fastcam-explain"),
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
    fit: opt.Fit = None,
    mean: opt.Numbers = None,
    std: opt.Numbers = None,
    num_classes: opt.NumClasses = None,
    in_channels: opt.InChannels = None,
    image_size: opt.ImageSize = None,
    allow_partial: opt.AllowPartial = False,
    task: opt.Task = "auto",
    device: opt.Device = "auto",
    precision: opt.Precision = "fp32",
    batch_size: opt.BatchSize = 16,
    colormap: look.Colormap = "jet",
    heat_alpha: look.HeatAlpha = 0.5,
    blend: look.HeatBlend = "flat",
    panel_size: look.PanelSize = 512,
    theme: look.Theme = "light",
    format: look.Format = "png",
    as_json: Annotated[
        bool, Option("--json", help="Print one JSON result to stdout.", rich_help_panel=opt.RUN)
    ] = False,
) -> None:  # fmt: skip
    """Explain a few images: one figure each, with a row of image, heat and overlay for every map.

    For a whole test set use `fastcam infer` and `fastcam render`: they resume, and keep the maps.
    """
    from fastcam import modelapi, names
    from fastcam.cli.given import classes_of, numbers_of, size_of
    from fastcam.read.inputs import find_inputs
    from fastcam.spec import Style
    from fastcam.write import make_folder

    style = Style(colormap=colormap, heat_alpha=heat_alpha, blend=blend, panel_size=panel_size,
                  theme=theme, format=format)  # fmt: skip
    items = find_inputs(images)
    size = size_of(image_size)
    loaded = modelapi.load_model(
        model, checkpoint, num_classes=num_classes, in_channels=in_channels, image_size=size,
        allow_partial=allow_partial,
    )  # fmt: skip
    classes = classes_of(target)
    result = modelapi.explain(
        loaded, [item.source for item in items], method, layer,
        [list(classes)] * len(items) if classes else None,
        sign=sign, fusion=fusion, discard_ratio=discard_ratio, start_layer=start_layer,
        prefix_tokens=prefix_tokens, reshape=reshape, image_size=size,
        mean=numbers_of("mean", mean), std=numbers_of("std", std), fit=fit, task=task,
        batch_size=batch_size, device=device, precision=precision,
    )  # fmt: skip
    make_folder(output_dir)
    written = []
    for index, item in enumerate(items):
        path = output_dir / f"{names.safe(item.id)}.{format}"
        result.figure(index, **{n: getattr(style, n) for n in Style.__dataclass_fields__}).save(
            path
        )
        written.append(path)
    if as_json:
        typer.echo(json.dumps({
            "figures": [str(path) for path in written],
            "prediction": result.prediction.tolist(),
            "maps": {name: list(values.shape) for name, values in result.maps.items()},
        }))  # fmt: skip
        return
    for path in written:
        typer.echo(f"{path}")

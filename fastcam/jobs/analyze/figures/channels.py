"""Pictures of the strongest channels of each layer, for a few images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures import fonts, lettering
from fastcam.figures.drawing import draw
from fastcam.figures.figure import Figure
from fastcam.figures.map_scales import is_constant, map_scale
from fastcam.figures.map_sheets import NO_EVIDENCE, Heading, map_pair
from fastcam.figures.panels import panel_size, shrunk
from fastcam.figures.patch_sheets import render_style_of
from fastcam.figures.sheet import Panel, Sheet
from fastcam.jobs.analyze.figures.sheets import Subject
from fastcam.jobs.analyze.file_names import FEATURES, Naming
from fastcam.jobs.render.maps.image import open_image
from fastcam.options import Style
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.preprocess import Preprocessing, prepare
from fastcam.store.maps import MapStore

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import MapRequest

# Side by side on a page with the image.
_CHANNELS = 6
_SIDE = 256


def write_channel_figures(
    model: nn.Module,
    spec: Preprocessing,
    wanted: MapRequest,
    store: MapStore,
    places: Sequence[int],
    naming: Naming,
    style: Style,
    output_dir: Path,
) -> list[str]:
    """``feature_maps/<image>_channels.png`` of the images at ``places`` in the store; the paths,
    relative. A row for each layer: its channels of the highest mean square over this image,
    strongest first. One forward pass an image."""
    written = []
    for place in places:
        path = f"{FEATURES}/{naming.images[place]}_channels.png"
        header = store.headers[place]
        try:
            found = _strongest(model, spec, wanted, header.source)
            picture = open_image(header, None, "", store.attrs.preprocessing).picture.image
        except CaseError:
            continue  # said where the image's own figures are drawn
        subject = Subject(Heading(header.id, ""), picture, spec.halves)
        _figure(subject, found, style).save(output_dir / path)
        written.append(path)
    return written


def _strongest(
    model: nn.Module, spec: Preprocessing, wanted: MapRequest, source: Path
) -> dict[str, list[tuple[int, NDArray[np.float32]]]]:
    """By layer: number and activations (h, w) of its strongest channels."""
    import torch

    from fastcam.attribution.cam.layers import resolve
    from fastcam.attribution.cam.reshape import require_layout, to_maps
    from fastcam.attribution.cam.split import run_split

    batch = torch.from_numpy(prepare(read_image(source), spec))[None]
    batch = batch.to(next(model.parameters()).device)
    modules = resolve(model, wanted.layers)
    split = run_split(model, modules, batch, gradients=False)
    found = {}
    for layer, values in split.activations.items():
        size = tuple(batch.shape[2:])
        layout = require_layout(
            layer, model, modules[layer], values, size, wanted.prefix_tokens, "auto"
        )
        maps = to_maps(values, layout)[0].float()
        order = maps.square().mean((1, 2)).argsort(descending=True)[:_CHANNELS].tolist()
        found[layer] = [(channel, maps[channel].cpu().numpy()) for channel in order]
    return {layer: found[layer] for layer in wanted.layers}


def _figure(
    subject: Subject, found: dict[str, list[tuple[int, NDArray[np.float32]]]], style: Style
) -> Figure:
    height, width = panel_size(subject.picture, _SIDE)
    picture = shrunk(subject.picture, height, width)
    rows = []
    for layer, channels in found.items():
        row = [Panel(layer, height, width, image=picture)]
        for channel, cells in channels:
            said = f", {NO_EVIDENCE}" if is_constant(cells) else ""
            heat, _ = map_pair(
                picture, subject.whole(cells, height, width), map_scale(cells, "patient"),
                (f"channel {channel}{said}", ""), height, width, style,
            )  # fmt: skip
            row.append(heat)
        rows.append(tuple(row))
    characters = lettering.alphabet([subject.heading.title, *found])
    render_style = render_style_of(style, characters, fonts.chain(characters, style.font), _SIDE)
    said = "strongest channels of each layer"
    sheet = Sheet(subject.heading.title, said, render_style.palette.caption, tuple(rows))
    return Figure(draw(sheet, render_style.lettering, render_style.palette))

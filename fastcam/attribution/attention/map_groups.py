"""Layers with maps of one kind: named, grouped by what fits into one array, and chosen from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.attention.key_positions import Placed, Shows
from fastcam.errors import InputError

# What has to be said of a map wherever it is shown.
NOTES: dict[Shows, str] = {
    "windows": "windows are not comparable with each other",
    "overlap": "windows overlap and are not comparable",
}


def unique(paths: Sequence[str]) -> list[str]:
    """Paths as names; a module's second call in a forward pass is "path:2"."""
    met: dict[str, int] = {}
    names = []
    for path in paths:
        met[path] = met.get(path, 0) + 1
        names.append(path if met[path] == 1 else f"{path}:{met[path]}")
    return names


def grouped(placed: Sequence[Placed], word: str) -> dict[str, tuple[Placed, ...]]:
    """Layers by map: ``word`` where all fit into one, else "word/stage1" and so on."""
    groups: dict[tuple[Any, ...], list[Placed]] = {}
    for layer in placed:
        groups.setdefault((layer.heads, layer.grid, layer.shows), []).append(layer)
    if len(groups) == 1:
        return {word: tuple(placed)}
    return {f"{word}/stage{i}": tuple(group) for i, group in enumerate(groups.values(), 1)}


def stacked(layers: Sequence[Placed], values: Sequence[Tensor], batch: int) -> Tensor:
    """The map (b, layers, heads, *grid) of ``layers``; ``values``: by record, what was kept."""
    return torch.stack([layer.map(values[layer.index], batch) for layer in layers], 1)


def notes_of(maps: Mapping[str, Sequence[Placed]]) -> dict[str, str]:
    """By map, what has to be said of it, where something has."""
    return {name: NOTES[g[0].shows] for name, g in maps.items() if g[0].shows in NOTES}


def choose(
    layers: Sequence[Placed], wanted: Sequence[int | str], left_out: Mapping[str, str]
) -> list[Placed]:
    """The layers that are wanted, by number (negative from the end) or dotted path."""
    return [choose_one(layers, want, left_out) for want in wanted]


def choose_one(layers: Sequence[Placed], want: int | str, left_out: Mapping[str, str]) -> Placed:
    """One of ``layers``; InputError, naming the nearest, where there is none. ``left_out``: by
    path, why a layer can't be shown."""
    if isinstance(want, str) and want.lstrip("-").isdecimal():
        want = int(want)
    if isinstance(want, int):
        if not -len(layers) <= want < len(layers):
            raise InputError(
                f"layer {want}: the model shows {len(layers)} attention layers; use 0 to "
                f"{len(layers) - 1}"
            )
        return layers[want]
    for layer in layers:
        if layer.path == want or layer.path.startswith(f"{want}."):
            return layer
    if want in left_out:
        raise InputError(f"layer {want!r} can't be shown: {left_out[want]}")
    names = [layer.path for layer in layers]
    near = difflib.get_close_matches(want, names, 3, 0) or names[:3]
    raise InputError(f"layer {want!r} has no attention that is shown; nearest: {', '.join(near)}")

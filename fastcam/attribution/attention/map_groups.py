"""Layers with maps of one kind: named, grouped by what fits into one array, and chosen from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fastcam.attribution.attention.places import KeyPositions, MapKind
from fastcam.attribution.geometry.fields import NOT_FOLLOWED
from fastcam.attribution.layer_names import means, split_call
from fastcam.errors import InputError
from fastcam.store.map_fields import MapField

# What has to be said of a map wherever it is shown.
NOTES: dict[MapKind, str] = {
    "windows": "windows are not comparable with each other",
    "overlap": "windows overlap and are not comparable",
}


def group_layers(
    layers: Sequence[KeyPositions], prefix: str
) -> dict[str, tuple[KeyPositions, ...]]:
    """Layers by map: ``prefix`` where all fit into one, else "prefix/stage1" and so on."""
    groups: dict[tuple[Any, ...], list[KeyPositions]] = {}
    for layer in layers:
        groups.setdefault((layer.heads, layer.grid, layer.kind, layer.field), []).append(layer)
    if len(groups) == 1:
        return {prefix: tuple(layers)}
    return {f"{prefix}/stage{i}": tuple(group) for i, group in enumerate(groups.values(), 1)}


def stack_maps(layers: Sequence[KeyPositions], values: Sequence[Tensor], batch: int) -> Tensor:
    """The map (b, layers, heads, *grid) of ``layers``; ``values``: by record, what was kept."""
    return torch.stack([layer.map(values[layer.index], batch) for layer in layers], 1)


def fields_of(maps: Mapping[str, Sequence[KeyPositions]]) -> dict[str, MapField]:
    """By map, where its places lie in the image, where they don't share it out between them."""
    return {name: g[0].field for name, g in maps.items() if g[0].field is not None}


def notes_of(maps: Mapping[str, Sequence[KeyPositions]]) -> dict[str, str]:
    """By map, what has to be said of it, where something has."""
    notes = {}
    for name, group in maps.items():
        lost = any(not layer.followed for layer in group)
        texts = [NOTES.get(group[0].kind, ""), NOT_FOLLOWED * lost]
        notes[name] = "; ".join(filter(None, texts))
    return {name: note for name, note in notes.items() if note}


def choose_layers(
    layers: Sequence[KeyPositions], layer_ids: Sequence[int | str], omissions: Mapping[str, str]
) -> list[KeyPositions]:
    """The layers called ``layer_ids``, by number (negative from the end) or dotted path.

    A path without a call's number, ``attn`` for ``attn#0`` and ``attn#1``, means all calls.
    """
    selected: dict[str, KeyPositions] = {}
    for layer_id in layer_ids:
        first = choose_layer(layers, layer_id, omissions)
        same = [first]
        if _number_of(layer_id) is None and split_call(str(layer_id))[1] is None:
            path = split_call(first.path)[0]
            same = [layer for layer in layers if means(path, layer.path)]
        selected |= {layer.path: layer for layer in same}
    return list(selected.values())


def matching_layers(layers: Sequence[KeyPositions], layer_id: int | str) -> list[KeyPositions]:
    """The layers that ``layer_id`` means: one by its number, or all in the module of that path."""
    number = _number_of(layer_id)
    if number is not None:
        return [layers[number]] if -len(layers) <= number < len(layers) else []
    inside = f"{layer_id}."
    return [p for p in layers if means(str(layer_id), p.path) or p.path.startswith(inside)]


def _number_of(layer_id: int | str) -> int | None:
    if isinstance(layer_id, str) and not layer_id.lstrip("-").isdecimal():
        return None
    return int(layer_id)


def choose_layer(
    layers: Sequence[KeyPositions], layer_id: int | str, omissions: Mapping[str, str]
) -> KeyPositions:
    """One of ``layers``; InputError, naming the nearest, where there is none. ``omissions``: by
    path, why a layer can't be shown."""
    matches = matching_layers(layers, layer_id)
    if matches:
        return matches[0]
    number = _number_of(layer_id)
    if number is not None:
        raise InputError(
            f"--layer {number}: the model shows {len(layers)} attention layers; use 0 to "
            f"{len(layers) - 1}"
        )
    if str(layer_id) in omissions:
        raise InputError(f"--layer {layer_id!r} can't be shown: {omissions[str(layer_id)]}")
    names = [layer.path for layer in layers]
    near = difflib.get_close_matches(str(layer_id), names, 3, 0) or names[:3]
    raise InputError(
        f"--layer {layer_id!r} has no attention that is shown; nearest: {', '.join(near)}"
    )

"""Which maps of a figure share the ends of the color table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from fastcam.errors import InputError
from fastcam.figures.map_figure import NO_EVIDENCE
from fastcam.figures.map_scales import (
    MapScale,
    attention_bounds,
    bounds,
    has_negatives,
    is_constant,
    map_scale,
)
from fastcam.jobs.explain.rows import RECONSTRUCTION, Row, RowMap

Scale = Literal["auto", "shared", "each", "slice", "rank"]
# Methods whose maps are shares of attention, which can be compared with equal shares.
_SHARES = ("attention", "pooling", "rollout", "window", "overlap")
# The scale of every map of a figure, and what it is called beside the map.
Scales = dict[RowMap, tuple[MapScale, str]]


def check_scale(scale: str) -> None:
    """InputError for a scale that these figures don't have."""
    if scale not in get_args(Scale):
        raise InputError(f"--scale {scale!r} is not known: use {', '.join(get_args(Scale))}")


def scales_of(rows: Sequence[Row], scale: Scale, classic: bool = False) -> Scales:
    """The scale of every map of a figure, and what it is called beside the map.

    ``auto``: maps of the same unit go from their lowest to their highest value together: attention
    of all layers and models, a CAM's layer in all models; ``shared``: all maps of a method;
    ``each``: every map by itself; ``slice`` and ``rank``: by itself, as DESIGN's scales of that
    name. Attention is shown as multiples of uniform, and maps with values of both signs have a
    table with zero in its middle, unless ``classic``.
    """
    check_scale(scale)
    sharing: defaultdict[tuple[Any, ...], list[RowMap]] = defaultdict(list)
    attention = set()
    for row in rows:
        for row_map in row.maps:
            sharing[_key(row, row_map, scale)].append(row_map)
            if row.method in _SHARES and not classic:
                attention.add(row_map)
    scales: Scales = {}
    for maps in sharing.values():
        scales |= _shared_scale(maps, scale, attention.issuperset(maps), classic)
    return scales


def _key(row: Row, row_map: RowMap, scale: Scale) -> tuple[Any, ...]:
    if scale == "auto":
        return (*row_map.unit, row_map.signed)
    # Mass and error of a reconstruction are no one thing, whatever is asked.
    unit = row_map.unit if row.method == RECONSTRUCTION else (row.method,)
    return (*unit, row_map.signed) if scale == "shared" else (id(row_map),)


def _shared_scale(maps: Sequence[RowMap], scale: Scale, attention: bool, classic: bool) -> Scales:
    if scale in ("slice", "rank"):
        return {row_map: _own_scale(row_map, scale, attention, classic) for row_map in maps}
    if len(maps) == 1:
        return {maps[0]: _own_scale(maps[0], "each", attention, classic)}
    if attention:
        return _shared_attention(maps)
    values = np.concatenate([row_map.values.ravel() for row_map in maps])
    signed = maps[0].signed or (not classic and has_negatives(values))
    shared = MapScale("patient", bounds(values, signed), signed, is_constant(values))
    signs = ", above and below 0" if signed and not classic else ""
    return {row_map: (shared, _shared_text(row_map) + signs) for row_map in maps}


def _shared_attention(maps: Sequence[RowMap]) -> Scales:
    """Each as multiples of its own uniform attention, with the same multiples at the ends."""
    highest = max(attention_bounds(row_map.values)[1] for row_map in maps)
    return {
        row_map: (
            map_scale(row_map.values, "cohort", cohort=(0.0, highest), attention=True),
            _shared_text(row_map),
        )
        for row_map in maps
    }


def _shared_text(row_map: RowMap) -> str:
    return f"{NO_EVIDENCE}, shared scale" if is_constant(row_map.values) else "shared scale"


def _own_scale(
    row_map: RowMap, scale: Scale, attention: bool, classic: bool
) -> tuple[MapScale, str]:
    kind: Literal["slice", "rank", "patient"] = "patient"
    if scale in ("slice", "rank"):
        kind = scale
    signed = row_map.signed or (not classic and has_negatives(row_map.values))
    own = map_scale(row_map.values, kind, signed, attention=attention)
    texts = {"patient": "own scale", "slice": "min-max", "rank": "ranks"}
    text = texts[kind] + (", above and below 0" if signed and not classic else "")
    return own, NO_EVIDENCE if own.constant else text

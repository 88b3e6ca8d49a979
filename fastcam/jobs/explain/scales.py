"""Which maps of a figure share the ends of the colour table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from fastcam.errors import InputError
from fastcam.figures.map_scales import MapScale, bounds, is_constant, map_scale
from fastcam.figures.map_sheets import NO_EVIDENCE
from fastcam.jobs.explain.rows import RECONSTRUCTION, Row, RowMap

Scale = Literal["auto", "shared", "each", "slice", "rank"]
# The scale of every map of a figure, and what it is called beside the map.
Scales = dict[RowMap, tuple[MapScale, str]]


def check_scale(scale: str) -> None:
    """InputError for a scale that these figures don't have."""
    if scale not in get_args(Scale):
        raise InputError(f"--scale {scale!r} is not known: use {', '.join(get_args(Scale))}")


def scales_of(rows: Sequence[Row], scale: Scale) -> Scales:
    """The scale of every map of a figure, and what it is called beside the map.

    ``auto``: maps of the same unit go from their lowest to their highest value together: attention
    of all layers and models, a CAM's layer in all models; ``shared``: all maps of a method;
    ``each``: every map by itself; ``slice`` and ``rank``: by itself, as DESIGN's scales of that
    name.
    """
    check_scale(scale)
    sharing: defaultdict[tuple[Any, ...], list[RowMap]] = defaultdict(list)
    for row in rows:
        for row_map in row.maps:
            sharing[_key(row, row_map, scale)].append(row_map)
    scales: Scales = {}
    for maps in sharing.values():
        scales |= _shared_scale(maps, scale)
    return scales


def _key(row: Row, row_map: RowMap, scale: Scale) -> tuple[Any, ...]:
    if scale == "auto":
        return (*row_map.unit, row_map.signed)
    # Mass and error of a reconstruction are no one thing, whatever is asked.
    unit = row_map.unit if row.method == RECONSTRUCTION else (row.method,)
    return (*unit, row_map.signed) if scale == "shared" else (id(row_map),)


def _shared_scale(maps: Sequence[RowMap], scale: Scale) -> Scales:
    if scale in ("slice", "rank"):
        return {row_map: _own_scale(row_map, scale) for row_map in maps}
    if len(maps) == 1:
        return {maps[0]: _own_scale(maps[0], "each")}
    values = np.concatenate([row_map.values.ravel() for row_map in maps])
    signed = maps[0].signed
    shared = MapScale("patient", bounds(values, signed), signed, is_constant(values))
    return {
        row_map: (
            shared,
            f"{NO_EVIDENCE}, shared scale" if is_constant(row_map.values) else "shared scale",
        )
        for row_map in maps
    }


def _own_scale(row_map: RowMap, scale: Scale) -> tuple[MapScale, str]:
    kind: Literal["slice", "rank", "patient"] = "patient"
    if scale in ("slice", "rank"):
        kind = scale
    own = map_scale(row_map.values, kind, row_map.signed)
    texts = {"patient": "own scale", "slice": "min-max", "rank": "ranks"}
    return own, NO_EVIDENCE if own.constant else texts[kind]

"""Which maps of a figure share the ends of the colour table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from fastcam.errors import InputError
from fastcam.figures.map_scales import MapScale, bounds, is_constant, map_scale
from fastcam.figures.map_sheets import NO_EVIDENCE
from fastcam.jobs.explain.rows import Row, Shown

Scale = Literal["auto", "shared", "each", "slice", "rank"]


def check_scale(scale: str) -> None:
    """InputError for a scale that these figures don't have."""
    if scale not in get_args(Scale):
        raise InputError(f"--scale {scale!r} is not known: use {', '.join(get_args(Scale))}")


def scales_of(rows: Sequence[Row], scale: Scale) -> dict[Shown, tuple[MapScale, str]]:
    """The scale of every map of a figure, and what it is called beside the map.

    ``auto``: maps of the same unit go from their lowest to their highest value together: attention
    of all layers and models, a CAM's layer in all models; ``shared``: all maps of a method;
    ``each``: every map by itself; ``slice`` and ``rank``: by itself, as DESIGN's scales of that
    name.
    """
    check_scale(scale)
    together: defaultdict[tuple[Any, ...], list[Shown]] = defaultdict(list)
    for row in rows:
        for shown in (m for group in row.groups for m in group.maps):
            together[_key(row, shown, scale)].append(shown)
    found: dict[Shown, tuple[MapScale, str]] = {}
    for maps in together.values():
        found |= _of_unit(maps, scale)
    return found


def _key(row: Row, shown: Shown, scale: Scale) -> tuple[Any, ...]:
    if scale == "auto":
        return (*shown.unit, shown.signed)
    # Mass and error of a reconstruction are no one thing, whatever is asked.
    unit = shown.unit if row.method == "reconstruction" else (row.method,)
    return (*unit, shown.signed) if scale == "shared" else (id(shown),)


def _of_unit(maps: Sequence[Shown], scale: Scale) -> dict[Shown, tuple[MapScale, str]]:
    if scale in ("slice", "rank"):
        return {m: _alone(m, scale) for m in maps}
    if len(maps) == 1:
        return {maps[0]: _alone(maps[0], "each")}
    values = np.concatenate([m.cells.ravel() for m in maps])
    signed = maps[0].signed
    limits = bounds(values, signed)
    found = {}
    for shown in maps:
        said = f"{NO_EVIDENCE}, " if is_constant(shown.cells) else ""
        all_one = is_constant(values)
        found[shown] = MapScale("patient", limits, signed, all_one), f"{said}shared scale"
    return found


def _alone(shown: Shown, scale: Scale) -> tuple[MapScale, str]:
    kind: Literal["slice", "rank", "patient"] = "patient"
    if scale in ("slice", "rank"):
        kind = scale
    made = map_scale(shown.cells, kind, shown.signed)
    words = {"patient": "own scale", "slice": "min-max", "rank": "ranks"}
    return made, NO_EVIDENCE if made.constant else words[kind]

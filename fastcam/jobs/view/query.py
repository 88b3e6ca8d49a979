"""The parameters of an address: which picture is wanted, checked one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from fastcam.errors import InputError
from fastcam.jobs.view.opened_case import PANEL_KINDS, Limits, Look, PanelKind, Slot
from fastcam.options import Style

# What figures are drawn up to.
_LARGEST = 8192


PictureKind = PanelKind | Literal["difference"]


@dataclass(frozen=True, kw_only=True)
class MapReference:
    """A map of a run.

    Attributes:
        run: number of the run, from 0.
        map: number of the map in it, from 0.
        head: head of an attention map, from 0; None for the mean of the heads.
    """

    run: int
    map: int
    head: int | None = None


@dataclass(frozen=True, kw_only=True)
class PictureQuery:
    """A picture that is asked for.

    Attributes:
        run: number of the run, from 0.
        case: number of the case in the table, from 0.
        kind: which panel; ``difference``: the map less that of ``other``.
        slot: which map and slice.
        look: how it is drawn.
        other: the map that is taken away, for a difference.
        linked: further maps whose limits the scale has to hold, too.
    """

    run: int
    case: int
    kind: PictureKind
    slot: Slot
    look: Look
    other: MapReference | None = None
    linked: tuple[MapReference, ...] = ()


def parse_picture(query: Mapping[str, str], style: Style) -> PictureQuery:
    """The picture that ``query`` asks for; what it leaves out is as in ``style``.

    InputError, which names the parameter, where a value is none.
    """
    kinds = (*PANEL_KINDS, "difference")
    kind = query.get("kind", "overlay")
    if kind not in kinds:
        raise InputError(f"kind={kind!r}: use one of {', '.join(kinds)}")
    other = query.get("other")
    if kind == "difference" and other is None:
        raise InputError("kind=difference: give the other map, as other=RUN.MAP.HEAD")
    linked = filter(None, query.get("linked", "").split("~"))
    return PictureQuery(
        run=whole_number(query, "run", 0),
        case=whole_number(query, "case", 0),
        kind=cast(PictureKind, kind),
        slot=parse_slot(query),
        look=parse_look(query, style),
        other=None if other is None else parse_reference("other", other),
        linked=tuple(parse_reference("linked", text) for text in linked),
    )


def parse_reference(name: str, text: str) -> MapReference:
    """``RUN.MAP.HEAD``, the head a number or ``mean``."""
    parts = text.split(".")
    if len(parts) != 3:
        raise InputError(f"{name}={text!r:.60}: give RUN.MAP.HEAD, as in 0.2.mean")
    run, number, head = parts
    return MapReference(
        run=whole_number({name: run}, name, 0),
        map=whole_number({name: number}, name, 0),
        head=None if head == "mean" else whole_number({name: head}, name, 0),
    )


def parse_slot(query: Mapping[str, str]) -> Slot:
    """The map, plane and slice of a query."""
    head = query.get("head", "mean")
    axis = whole_number(query, "axis", 0)
    if axis > 2:
        raise InputError(f"axis={axis}: use 0, 1 or 2")
    return Slot(
        map=whole_number(query, "map", 0),
        head=None if head == "mean" else whole_number(query, "head", 0),
        axis=axis,
        index=whole_number(query, "slice", 0),
    )


def parse_look(query: Mapping[str, str], style: Style) -> Look:
    """How the picture of a query is drawn; InputError for what no figure can have."""
    changes: dict[str, Any] = {
        "colormap": query.get("colormap", style.colormap),
        "heat_alpha": number(query, "alpha", style.heat_alpha),
        "blend": query.get("blend", style.blend),
        "scale": query.get("scale", style.scale),
        "top_k": whole_number(query, "top", style.top_k),
        "panel_size": min(whole_number(query, "size", style.panel_size), _LARGEST),
        # The page itself lays pictures out in millimeters.
        "aspect": "pixels",
    }
    return Look(
        style=replace(style, **changes),
        window=pair(query, "window"),
        limits=pair(query, "limits"),
        contour=query.get("contour") == "1",
    )


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A number from 0."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InputError(f"{name}={text!r:.60}: give a whole number from 0")
    return int(text)


def number(query: Mapping[str, str], name: str, default: float | None) -> float:
    """A finite number."""
    text = query.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name}={text!r:.60}: give a number")
    return value


def pair(query: Mapping[str, str], name: str) -> Limits | None:
    """Two finite numbers with a comma between, the lower one first; None where there are none."""
    text = query.get(name)
    if not text:
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = math.nan
    return rising(f"{name}={text!r:.60}", (low, high))


def rising(told: str, limits: Limits) -> Limits:
    """The limits, if they are two finite numbers that rise; else InputError that says ``told``."""
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{told}: give two numbers, the lower one first")
    return limits

"""The panels of the figures of explanations: pictures, maps as heat, and maps over pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from fastcam.figures import layout
from fastcam.figures.figure_parts import Outlines, Panel
from fastcam.figures.map_figure import map_pair
from fastcam.figures.panel_order import ordered_panels
from fastcam.figures.slice_facts import NO_FACTS
from fastcam.figures.view_panels import empty_panel, mark_of, panel_size, shrunk
from fastcam.jobs.explain.rows import Group, Row, same_picture
from fastcam.jobs.explain.scales import Scales
from fastcam.options import PanelName, Style

# Rows from which maps of one picture stand two in a row.
_LEAST_PACKED = 3


def combined_panels(row: Row, scales: Scales, style: Style) -> list[list[Panel]]:
    """For each group: the picture, its maps as heat, its maps over it."""
    panels: list[list[Panel]] = []
    for group in row.groups:
        aspect = style.shown_aspect(group.facts.pixel_aspect)
        height, width = panel_size(group.picture, style.panel_size, aspect)
        small = shrunk(group.picture, height, width)
        overlay_caption = "overlay" if len(group.maps) == 1 else "overlay · {}"
        pairs = _map_pairs(group, small, (height, width), scales, style, overlay_caption)
        mark = _mark(group, height, width)
        facts = NO_FACTS if style.classic else group.facts
        image = Panel(
            facts.numbered_caption(group.name),
            height,
            width,
            whole_caption=not style.classic,
            aside=facts.series,
            image=small,
            outlines=mark,
            left_side=group.left_side,
            top_side=facts.top_side,
            scale_bar=facts.scale_bar(group.picture.shape[1], width),
        )
        of_group: dict[PanelName, list[Panel]] = {
            "image": [image],
            "heat": [heat for heat, _ in pairs],
            "overlay": [overlay for _, overlay in pairs],
        }
        panels.append([*ordered_panels(of_group, style.panels)])
    return panels


def pictures_once(
    rows: Sequence[Row], panels: Sequence[list[list[Panel]]], style: Style
) -> list[list[Panel]]:
    """The panels of ``combined_panels``, which begin with their group's picture, without a picture
    that the rows above have shown last in the same place: there is nothing in its place, so that
    what is beside it stays below what is alike. Many maps of one picture stand two in a row."""
    repeated = [*_shown_above(rows)]
    single = all(len(row.groups) == len(row.groups[0].maps) == 1 for row in rows)
    if single and all(of_row[0] for of_row in repeated[1:]) and len(rows) >= _LEAST_PACKED:
        seconds = [*(of_row[0][1:] for of_row in panels[1::2]), []]
        pairs = zip(panels[::2], seconds, strict=False)
        panels = [[[*first[0], *second]] for first, second in pairs]
    once = []
    for of_row, again in zip(panels, repeated, strict=False):
        shown = []
        for (picture, *others), above in zip(of_row, again, strict=True):
            empty = empty_panel(picture.height, picture.width, style)
            shown += [empty if above else picture, *others]
        once.append(shown)
    return once


def _shown_above(rows: Sequence[Row]) -> Iterator[list[bool]]:
    """Of each row's groups whether the last one above in its place lies over the same picture."""
    last: list[Group] = []
    for row in rows:
        yield [
            place < len(last) and same_picture(last[place], group)
            for place, group in enumerate(row.groups)
        ]
        last[: len(row.groups)] = row.groups


def separate_panels(
    rows: Sequence[Row], scales: Scales, style: Style
) -> dict[str, list[list[Panel]]]:
    """All heat of a method, and all its overlays, each picture in its own size."""
    heat_rows, overlay_rows = [], []
    for row in rows:
        pairs = []
        for group in row.groups:
            height, width, _ = group.picture.shape
            aspect = style.shown_aspect(group.facts.pixel_aspect)
            size = layout.enlarged(height, width, style.panel_size, aspect)
            sides = _sides(group, size[1], style)
            pairs += [
                (replace(heat, **sides), replace(overlay, **sides))
                for heat, overlay in _map_pairs(group, group.picture, size, scales, style, "{}")
            ]
        heat_rows.append([heat for heat, _ in pairs])
        if not style.classic:
            pairs = [(h, replace(o, caption=h.caption, bar=h.bar)) for h, o in pairs]
        overlay_rows.append([overlay for _, overlay in pairs])
    return {"heatmap": heat_rows, "overlay": overlay_rows}


def _sides(group: Group, width: int, style: Style) -> dict[str, Any]:
    """What a panel of ``width`` says of the patient's sides and of millimetres, where it stands
    without the picture."""
    if style.classic:
        return {}
    return {
        "left_side": group.left_side,
        "top_side": group.facts.top_side,
        "scale_bar": group.facts.scale_bar(group.picture.shape[1], width),
    }


def _map_pairs(
    group: Group,
    picture: NDArray[Any],
    size: tuple[int, int],
    scales: Scales,
    style: Style,
    overlay_caption: str,
) -> list[tuple[Panel, Panel]]:
    """Heat and overlay of every map on a picture; ``overlay_caption`` has the map's in it."""
    pairs = []
    for row_map in group.maps:
        scale, text = scales[row_map]
        captions = f"{row_map.caption}, {text}", overlay_caption.replace("{}", row_map.caption)
        mark = _mark(group, *size)
        pairs.append(
            map_pair(picture, row_map.values, scale, captions, *size, style, outlines=mark)
        )
    return pairs


def _mark(group: Group, height: int, width: int) -> Outlines:
    rows, columns = group.maps[0].values.shape
    return mark_of((rows, columns), group.mark, height, width)

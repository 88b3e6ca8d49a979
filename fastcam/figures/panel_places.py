"""Where the image and the heat lie on a figure, as text: a page mixes them anew."""

from __future__ import annotations

from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.layout import Rect, layout_of
from fastcam.figures.paper import on_paper
from fastcam.figures.render_style import RenderStyle


def panel_places(sheet: Sheet, render_style: RenderStyle) -> str:
    """``"W H,x y w h,x y w h b,..."``: the size of the figure, and the rectangles, in pixels, of
    the image and of each panel of heat that is as large, with the columns ``b`` of its bar and
    numbers right of it, and a ``1`` behind where heat is evidence for and against. Empty where
    there is no such pair."""
    sheet, render_style, _ = on_paper(sheet, render_style)
    plan = layout_of(sheet, render_style.lettering)
    panels = [panel for row in sheet.rows for panel in row]
    image: Rect | None = None
    heats: list[tuple[Rect, str]] = []
    for panel, area in zip(panels, plan.areas, strict=True):
        if image is None and _is_image(panel):
            image = area.panel
        elif len(panel.heat) and not len(panel.image):
            bar = f"{area.caption.width - area.panel.width}"
            heats.append((area.panel, f"{bar} 1" if _is_signed(panel) else bar))
    if image is None:
        return ""
    size = image.width, image.height
    fitting = [f"{_text(heat)} {bar}" for heat, bar in heats if (heat.width, heat.height) == size]
    if not fitting:
        return ""
    return ",".join([f"{plan.width} {plan.height}", _text(image), *fitting])


def _text(rect: Rect) -> str:
    return f"{rect.x} {rect.y} {rect.width} {rect.height}"


def _is_image(panel: Panel) -> bool:
    return len(panel.image) > 0 and not len(panel.heat)


def _is_signed(panel: Panel) -> bool:
    low, high = panel.limits
    return low < 0.0 and low == -high

"""Captions of slices in panels without room: what tells where a slice lies is never shortened."""

from __future__ import annotations

import pytest

from fastcam.figures import layout
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.figure_texts import texts_of
from fastcam.figures.render_style import PALETTES, render_style_of
from fastcam.figures.slice_facts import SliceFacts
from fastcam.options import Style

FACTS = SliceFacts(154, "S 5.6 mm", "C 40 W 80 HU", series="FSL5.0 registered to MNI152")


def shown(facts: SliceFacts, name: str, side: int) -> list[str]:
    """The caption's lines as they are written on a figure with one panel of ``side`` columns."""
    lettering = render_style_of(Style(), "·…", (), side).lettering
    panel = Panel(facts.caption(name), side, side, whole_caption=True, aside=facts.series)
    sheet = Sheet("case", "", (0, 0, 0), ((panel,),))
    plan = layout.layout_of(sheet, lettering)
    texts = texts_of(sheet, plan, lettering, PALETTES["light"])
    for line in texts:
        assert line.font.width(line.text) <= plan.header.width
    tops = [line.y for line in texts[-plan.caption_lines :]]
    assert tops == sorted(set(tops))
    assert tops[-1] < plan.areas[0].panel.y
    return [line.text for line in texts[-plan.caption_lines :]]


@pytest.mark.parametrize("side", [64, 200, 260, 512, 1024])
@pytest.mark.parametrize("name", ["slice", "slice, mask in red, prediction outlined"])
def test_the_name_of_the_series_gives_way(name: str, side: int) -> None:
    lines = shown(FACTS, name, side)
    text = "  ·  ".join(lines)
    for part in (FACTS.position, FACTS.window):
        assert text.count(part) == 1
    assert not "".join(lines).replace("…", "", 1).count("…")
    assert all(word in text for word in name.split())
    if "…" in text:
        assert text.index("…") > text.index(FACTS.window)


def test_the_end_of_the_series_is_left_out() -> None:
    (line,) = shown(FACTS, "slice", 350)
    caption = FACTS.caption("slice")
    assert line.startswith(f"{caption}  ·  FSL5")
    assert line.endswith("…")
    (line,) = shown(FACTS, "slice", 1024)
    assert line == f"{caption}  ·  {FACTS.series}"


def test_without_room_for_facts_there_are_more_lines() -> None:
    assert shown(FACTS, "slice, mask in red, prediction outlined", 64)[-1].startswith(
        "C 40 W 80 HU"
    )


HEAT = "attention · blocks.3.attn · mean of heads, color scale: per patient, above and below 0"


@pytest.mark.parametrize("side", [32, 80, 128, 200, 260])
@pytest.mark.parametrize("bar_caption", ["", "× uniform"])
def test_captions_of_heat_are_whole_beside_those_of_bars(side: int, bar_caption: str) -> None:
    render_style = render_style_of(Style(), "·…×", (), side)
    image = Panel("image", side, side, whole_caption=True)
    heat = Panel(HEAT, side, side, bar=render_style.heat_tables, bar_caption=bar_caption)
    sheet = Sheet("case", "", (0, 0, 0), ((image, heat, Panel("overlay", side, side)),))
    plan = layout.layout_of(sheet, render_style.lettering)
    area = plan.areas[1]
    above = [
        line
        for line in texts_of(sheet, plan, render_style.lettering, PALETTES["light"])
        if line.x >= area.caption.x and line.x < plan.areas[2].caption.x and line.text
    ]
    unit = [line for line in above if line.text == bar_caption]
    words = sorted((line for line in above if line not in unit), key=lambda line: line.y)
    assert " ".join(line.text for line in words) == HEAT
    for line in words:
        end = line.x + line.font.width(line.text)
        assert end <= area.caption.x + area.caption.width
        assert all(other.y != line.y or end < other.x for other in unit)


def test_classic_captions_keep_to_a_line() -> None:
    lettering = render_style_of(Style(style="classic"), "·…", (), 128).lettering
    sheet = Sheet("case", "", (0, 0, 0), ((Panel(HEAT, 128, 128),),))
    assert layout.layout_of(sheet, lettering).caption_lines == 1

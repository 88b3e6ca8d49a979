from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.figures import layout
from fastcam.figures.layout import Cell, Rect

CELLS = st.builds(Cell, st.integers(1, 4096), st.integers(1, 4096), st.booleans())
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=5).map(tuple), min_size=1, max_size=3)


def overlap(first: Rect, second: Rect) -> bool:
    return (
        first.x < second.x + second.width
        and second.x < first.x + first.width
        and first.y < second.y + second.height
        and second.y < first.y + first.height
    )


@given(ROWS.map(tuple), st.integers(1, 2), st.floats(1, 8))
def test_nothing_overlaps_and_all_is_on_the_canvas(rows, lines, zoom):
    plan = layout.arrange(rows, lines, zoom)
    cells = [cell for row in rows for cell in row]
    assert len(plan.areas) == len(cells)
    rects = [plan.header]
    for place, cell in zip(plan.areas, cells, strict=True):
        assert (place.panel.width, place.panel.height) == (cell.width, cell.height)
        assert (place.bar is not None) == cell.bar
        rects += [place.panel, place.caption]
        if place.bar is not None:
            assert place.bar.y == place.panel.y
            assert place.bar.height >= place.panel.height
            rects.append(place.bar)
    for rect in rects:
        assert rect.x >= 0
        assert rect.y >= 0
        assert rect.x + rect.width <= plan.width
        assert rect.y + rect.height <= plan.height
    assert not any(overlap(a, b) for a, b in itertools.combinations(rects, 2))
    holes = {tuple(hole) for hole in plan.holes.tolist()}
    filled = [place.panel for place in plan.areas] + [p.bar for p in plan.areas if p.bar]
    assert holes == {(r.x, r.y, r.x + r.width, r.y + r.height) for r in filled}


def test_a_bar_is_as_high_as_its_panel_unless_that_is_too_low_for_its_numbers():
    plan = layout.arrange(((Cell(512, 512, True), Cell(512, 3, True)),), 1, 1.0)
    first, second = (place.bar for place in plan.areas)
    assert first is not None
    assert second is not None
    assert (first.height, second.height) == (512, 60)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(32, 8192))
def test_a_panel_is_the_slice_enlarged_only_when_it_is_smaller(height, width, panel_size):
    shown = layout.enlarged(height, width, panel_size)
    if max(height, width) >= panel_size:
        assert shown == (height, width)
    else:
        assert max(shown) == panel_size
        scale = panel_size / max(height, width)
        assert shown[0] == pytest.approx(max(1, height * scale), abs=0.5)
        assert shown[1] == pytest.approx(max(1, width * scale), abs=0.5)


def test_there_is_room_between_panels():
    plan = layout.arrange(((Cell(300, 300),) * 2, (Cell(300, 300, True), Cell(300, 300))), 1, 1.0)
    one, two, three, four = (place.panel for place in plan.areas)
    assert two.x - (one.x + one.width) == 12
    assert three.y - (one.y + one.height) == 12 + 27  # a gap and the caption
    assert four.x - (three.x + three.width) == 12 + 8 + 15 + 52  # the bar and its numbers
    assert plan.width - (four.x + four.width) == 12
    assert plan.height - (four.y + four.height) == 12


def test_text_grows_with_panels_beyond_512_pixels():
    assert [layout.zoom_of(side) for side in (1, 512, 1024, 4096)] == [1, 1, 2, 8]


@given(st.integers(1, 2000), st.integers(1, 2000), st.floats(0.05, 20), st.integers(32, 4096))
def test_a_stretched_panel_has_the_shape_of_its_millimeters(height, width, aspect, panel_size):
    high, wide = layout.enlarged(height, width, panel_size, aspect)
    longer = max(height * max(aspect, 1), width * max(1 / aspect, 1))
    assert max(high, wide) == pytest.approx(min(8192, max(longer, panel_size)), abs=1)
    shape = (height * aspect) / width
    short, long = min(high, wide), max(high, wide)
    assert abs(short - long * min(shape, 1 / shape)) <= 1


def test_a_nonsensical_spacing_does_not_fill_the_memory():
    assert layout.enlarged(512, 512, 512, 1e6) == (8192, 1)
    assert layout.enlarged(9000, 10, 512, 1.0) == (9000, 10)
    assert layout.enlarged(9000, 10, 512, 1e6) == (9000, 1)

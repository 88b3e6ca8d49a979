from __future__ import annotations

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastcam.figures import color_bar, numbers
from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_parts import Outlines, Panel, Sheet
from fastcam.figures.figure_pixels import draw, draw_rows
from fastcam.figures.glyph_atlas import prepare
from fastcam.figures.panel_annotations import annotations_of, panel_text
from fastcam.figures.png_writer import png_pieces
from fastcam.figures.render_style import PALETTES, blend_tables

from . import expected_pixels

LETTERS = prepare("患者", (), 1.0)
JET = blend_tables("jet", 1.0, "only")
ONE_PANEL = Panel("slice", 300, 300, image=np.full((300, 300, 1), 77, np.uint8))


def crowd(count: int, seed: int, side: int, spread: int) -> Outlines:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, max(1, min(spread, side - 8)), (count, 2))
    boxes = np.hstack([corners, corners + rng.integers(1, 25, (count, 2))])
    return Outlines(
        boxes.astype(np.int32),
        np.tile(np.array([[255, 255, 0]], np.uint8), (count, 1)),
        np.ones(count, np.int32),
        tuple(numbers.weight(w, 1.0) for w in rng.random(count) ** 6),
    )


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 80),
    seed=st.integers(0, 9999),
    width=st.integers(1, 600),
    height=st.integers(1, 600),
    spread=st.integers(1, 600),
)
def test_labels_never_overlap_nor_leave_the_panel_and_stand_on_a_backing(
    count, seed, width, height, spread
):
    panel = Panel("", height, width, outlines=crowd(count, seed, min(width, height), spread))
    text = panel_text(panel, LETTERS)
    assert not text.box_colors.any()
    covered = np.zeros((height, width), np.int32)
    for x1, y1, x2, y2 in text.boxes.tolist():
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        covered[y1:y2, x1:x2] += 1
    assert covered.max(initial=0) <= 1
    for glyph, x, y, *_ in text.glyphs.tolist():
        _, _, wide, high = LETTERS.boxes[glyph].tolist()
        assert (covered[y : y + high, x : x + wide] == 1).all()
        assert y >= 0
        assert x >= 0


def test_the_heaviest_patches_are_labelled_first():
    """On a panel with room for a few labels, those of the first boxes are there."""
    panel = Panel("", 60, 130, outlines=crowd(30, 1, 60, 40))
    backgrounds = panel_text(panel, LETTERS).boxes
    widths = [LETTERS.label.width(t) + 6 for t in panel.outlines.texts]
    assert 2 <= len(backgrounds) < 30
    assert (backgrounds[:2, 2] - backgrounds[:2, 0]).tolist() == widths[:2]


def test_labels_are_written_in_the_color_of_their_box():
    lines = Outlines(
        np.array([[100, 100, 140, 140], [200, 200, 240, 240]], np.int32),
        np.array([[0, 255, 0], [255, 255, 0]], np.uint8),
        np.array([3, 1], np.int32),
        ("0.5000", "0.2500"),
    )
    panel = replace(ONE_PANEL, outlines=lines)
    drawn = Sheet("t", "v", (1, 2, 3), ((panel,),))
    canvas = draw(drawn, LETTERS, PALETTES["light"])
    backgrounds = panel_text(panel, LETTERS).boxes
    place = expected_pixels.plan_of(drawn, canvas).areas[0].panel
    left, top = place.x, place.y
    for (x1, y1, x2, y2), channel in zip(backgrounds.tolist(), (0, 2), strict=True):
        label = canvas[top + y1 : top + y2, left + x1 : left + x2]
        assert label[..., 1].max() == 255
        assert (label[..., channel] == (0 if channel == 2 else label[..., 0])).all()
        assert (label[[0, -1]] == 0).all()  # a rim of backing above and below
        assert (label[..., 0] == label[..., 1]).all() == (channel == 2)


HEADERS = st.one_of(
    st.text(max_size=250),
    st.sampled_from(
        ["p" * 200, "患者" * 100, "\U0001f9e0" * 40, "עברית العربية " * 9, "a\nb\x00\tc", "", "…"]
    ),
)


@settings(max_examples=80, deadline=None)
@given(title=HEADERS, verdict=HEADERS, side=st.sampled_from([40, 300, 700]))
def test_title_and_verdict_never_overlap_and_stay_on_the_canvas(title, verdict, side):
    zoom = max(1.0, side / 512)
    letters = prepare("患者", (), zoom)
    white = np.full(3, 255, np.uint8)
    palette = replace(
        PALETTES["light"], background=white, title=(255, 255, 255), caption=(255, 255, 255)
    )
    panels = tuple(replace(ONE_PANEL, height=side, width=side) for _ in range(2))

    def inked(palette, color):
        canvas = draw(Sheet(title, verdict, color, (panels,)), letters, palette)
        return (canvas != 255).any(axis=2) & (canvas != 77).any(axis=2)

    titled = inked(replace(palette, title=(0, 0, 0)), (255, 255, 255))
    judged = inked(palette, (0, 0, 0))
    assert titled.shape == judged.shape
    spans = []
    for ink in (titled, judged):
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        if len(rows):
            spans.append((rows[0], rows[-1], columns[0], columns[-1]))
            assert columns[0] >= 2
            assert columns[-1] < titled.shape[1] - 2
            assert rows[0] >= 1
    if len(spans) == 2:
        (_, bottom, _, end), (top_2, _, start, _) = spans
        assert end < start or bottom <= top_2 + 2 < titled.shape[0]
        assert not (titled & judged).any()


def some_sheet(seed: int, heights: list[int], bars: list[bool]) -> Sheet:
    rng = np.random.default_rng(seed)
    panels = []
    for height, bar in zip(heights, bars, strict=True):
        width = int(rng.integers(1, 150))
        panels.append(
            Panel(
                "some caption",
                height,
                width,
                image=rng.integers(0, 256, (int(rng.integers(1, 90)), 33, 1)).astype(np.uint8),
                heat=rng.integers(0, 9, (20, 20)).astype(np.float32),
                limits=(0.0, 8.0),
                blend_tables=JET,
                bar=JET if bar else None,
                outlines=crowd(5, seed, height, height),
                notice="nothing here" if seed % 2 else "",
            )
        )
    return Sheet("title", "verdict", (9, 9, 9), (tuple(panels), tuple(panels[::-1])))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 9999),
    heights=st.lists(st.integers(1, 120), min_size=1, max_size=4),
    bar=st.booleans(),
    theme=st.sampled_from(["light", "dark"]),
)
def test_the_rows_of_a_png_are_the_same_picture(seed, heights, bar, theme):
    drawn = some_sheet(seed, heights, [bar] * len(heights))
    canvas = draw(drawn, LETTERS, PALETTES[theme])
    buffers = Buffers()
    buffers.take("rows", (3000, 3000), np.uint8)[...] = 99  # what an earlier figure left
    rows = draw_rows(drawn, LETTERS, PALETTES[theme], buffers)
    decoded = np.asarray(Image.open(io.BytesIO(b"".join(png_pieces(rows)))))
    np.testing.assert_array_equal(decoded, canvas)


TITLES = st.sampled_from(["p · slice 7", "p · slice 8", "p · slice 100 · BEST", "", "患者 Å" * 9])


@settings(max_examples=60, deadline=None)
@given(
    figures=st.lists(
        st.tuples(TITLES, TITLES, st.sampled_from(["top 3", "top 12 of 24", "", "g" * 60])),
        min_size=2,
        max_size=6,
    ),
    seed=st.integers(0, 9999),
)
def test_slices_of_a_case_one_after_the_other_are_the_same_pictures(figures, seed):
    """Their rows keep what did not change: paper, bars, texts and rows of zeros."""
    rng = np.random.default_rng(seed)
    buffers = Buffers()
    for title, verdict, caption in figures:
        levels = np.repeat(rng.integers(0, 3, (10, 50), dtype=np.uint8), 8, axis=0)
        mask = np.repeat(rng.integers(0, 2, (8, 1, 1), dtype=np.uint8) * 255, 10, axis=0)
        mask = np.repeat(mask, 50, axis=1)
        limits = 0.0, float(rng.choice([1.0, 1.0, 2.0]))
        panels = (
            Panel("mask", 80, 50, image=mask),
            Panel("heat", 80, 50, heat=levels, limits=limits, blend_tables=JET, bar=JET),
            Panel(caption, 80, 50, image=mask, heat=levels, blend_tables=JET),
        )
        drawn = Sheet(title, verdict, (9, 9, 9), (panels, panels[:1]))
        canvas = draw(drawn, LETTERS, PALETTES["light"])
        rows = draw_rows(drawn, LETTERS, PALETTES["light"], buffers)
        decoded = np.asarray(Image.open(io.BytesIO(b"".join(png_pieces(rows)))))
        np.testing.assert_array_equal(decoded, canvas)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 9999), notice=st.sampled_from(["", "no mask"]), lines=st.integers(0, 3))
def test_grey_panels_at_their_own_size_are_the_same_picture(seed, notice, lines):
    """Their rows skip the drawing wherever nothing lies on them or on the row above."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (90, 70, 1), dtype=np.uint8)
    corners = rng.integers(0, 60, (lines, 2))
    outlines = Outlines(
        np.hstack([corners, corners + rng.integers(1, 12, (lines, 2))]).astype(np.int32),
        rng.integers(0, 256, (lines, 3), dtype=np.uint8),
        np.ones(lines, np.int32),
    )
    panel = Panel(
        "one", 90, 70, image=image, notice=notice, left_side="R" * (seed % 2), outlines=outlines
    )
    drawn = Sheet("title", "right", (9, 9, 9), ((panel,),))
    canvas = draw(drawn, LETTERS, PALETTES["light"])
    rows = draw_rows(drawn, LETTERS, PALETTES["light"], Buffers())
    decoded = np.asarray(Image.open(io.BytesIO(b"".join(png_pieces(rows)))))
    np.testing.assert_array_equal(decoded, canvas)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_outside_the_panels_is_paper_or_text(theme):
    drawn = some_sheet(0, [90, 120], [True, False])
    plan = expected_pixels.plan_of(drawn, canvas := draw(drawn, LETTERS, PALETTES[theme]))
    outside = np.ones(canvas.shape[:2], bool)
    for x1, y1, x2, y2 in plan.holes.tolist():
        outside[y1:y2, x1:x2] = False
    palette = PALETTES[theme]
    paper = (canvas == palette.background).all(axis=2)
    assert paper[outside].mean() > 0.8
    shades = np.unique(canvas[outside], axis=0).astype(int)
    ends = np.array([palette.background, palette.title, palette.caption, (9, 9, 9)], int)
    assert (shades >= ends.min(axis=0)).all()
    assert (shades <= ends.max(axis=0)).all()
    # A person has to read it: at least 4.5 to 1, as WCAG asks of text.
    for ink in (palette.title, palette.caption, palette.right, palette.wrong):
        assert contrast(ink, palette.background) >= 4.5


def contrast(ink, paper) -> float:
    def luminance(color) -> float:
        share = np.asarray(color, float) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    low, high = sorted((luminance(ink), luminance(paper)))
    return (high + 0.05) / (low + 0.05)


def test_the_bar_runs_from_the_highest_color_at_the_top_to_the_lowest():
    drawn = some_sheet(0, [120], [True])
    canvas = draw(drawn, LETTERS, PALETTES["light"])
    bar = expected_pixels.plan_of(drawn, canvas).areas[0].bar
    column = canvas[bar.y : bar.y + bar.height, bar.x]
    expected = expected_pixels.JET[np.rint(np.linspace(255, 0, bar.height)).astype(int)]
    np.testing.assert_array_equal(column, expected)
    assert (canvas[bar.y : bar.y + bar.height, bar.x : bar.x + bar.width] == column[:, None]).all()


@pytest.mark.parametrize("height", [1, 20, 59, 60, 80, 81, 200, 512])
@pytest.mark.parametrize("limits", [(0.0, 0.0333), (-1.5e-12, 2.5e-12), (0.0, 0.0)])
def test_the_numbers_beside_a_bar_never_overlap_and_name_its_limits(height, limits):
    panel = Panel("", height, height, blend_tables=JET, bar=JET, limits=limits)
    drawn = Sheet("", "", (0, 0, 0), ((panel,),))
    canvas = draw(drawn, LETTERS, PALETTES["light"])
    bar = expected_pixels.plan_of(drawn, canvas).areas[0].bar
    assert bar is not None
    lines_of_text = color_bar._ticks(limits, bar, LETTERS, PALETTES["light"])
    marks = [line.glyphs for line in lines_of_text]
    assert len(marks) == (5 if bar.height > 5 * LETTERS.tick.height else 2)
    lines = []
    for line in marks:
        y1, y2 = line[:, 2].min(), (line[:, 2] + LETTERS.boxes[line[:, 0], 3]).max()
        x2 = (line[:, 1] + LETTERS.boxes[line[:, 0], 2]).max()
        assert x2 <= canvas.shape[1]
        assert 0 <= y1 < y2 <= canvas.shape[0]
        lines.append((int(y1), int(y2)))
    for (a1, a2), (b1, b2) in itertools.combinations(lines, 2):
        assert a2 <= b1 or b2 <= a1
    span = max(map(abs, limits))
    texts = [numbers.tick(limit, span) for limit in limits]
    for line, text, end in zip((marks[0], marks[-1]), texts, (1.0, 0.0), strict=True):
        assert len(line) == len(text.replace(" ", ""))
        middle = line[:, 2].mean() + 5
        assert abs(middle - (bar.y + end * bar.height)) < 14


def test_a_notice_stands_in_the_middle_of_its_panel():
    panel = Panel("mask", 200, 300, notice="no mask found")
    canvas = draw(Sheet("", "", (0, 0, 0), ((panel,),)), LETTERS, PALETTES["light"])
    place = expected_pixels.plan_of(Sheet("", "", (0, 0, 0), ((panel,),)), canvas).areas[0].panel
    inside = canvas[place.y : place.y + 200, place.x : place.x + 300, 0] > 60
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert abs((columns[0] + columns[-1]) / 2 - 150) < 4
    assert abs((rows[0] + rows[-1]) / 2 - 100) < 6


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 400), (400, 2)])
def test_a_notice_in_a_panel_without_room_for_it_is_no_error(height, width):
    panel = Panel("mask", height, width, notice="no mask found")
    draw(Sheet("", "", (0, 0, 0), ((panel,),)), LETTERS, PALETTES["dark"])


@pytest.mark.parametrize(("height", "lines"), [(200, 3), (30, 1)])
def test_a_notice_wider_than_its_panel_goes_on_below(height, lines):
    """Every word is there, in lines that don't lie over each other, as far as there is room."""
    text = "no evidence: every patch weighs the same"
    shown = annotations_of(Panel("", height, 150, notice=text), LETTERS).lines
    assert len(shown) == lines
    assert (" ".join(line.text for line in shown) == text) == (lines > 1)
    assert all(line.x >= 4 and line.x + line.font.width(line.text) <= 146 for line in shown)
    for above, below in itertools.pairwise(shown):
        assert below.y - above.y == LETTERS.caption.height
    assert abs(shown[0].y + shown[-1].y + LETTERS.caption.height - height) <= 1

from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.margins import margins
from fastcam_kernels.panel_layers import NO_TEXT, Text
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from fastcam.figures import fonts, glyph_atlas

from .test_fonts import WQY, needs_wqy

PLAIN = glyph_atlas.prepare("", (), 1.0)


def written(font, text: str, letters=PLAIN, size=(400, 40)) -> np.ndarray:
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    glyphs = font.glyphs_of(text, 5, 5, (255, 255, 255))
    text_layer = Text(*NO_TEXT[:2], letters.coverage, letters.boxes, glyphs)
    margins(canvas, np.zeros(3, np.uint8), np.zeros((0, 4), np.int32), text_layer)
    return canvas[:, :, 0]


@pytest.mark.parametrize(
    ("font", "size", "bold"),
    [("title", 20, True), ("caption", 15, False), ("label", 15, False), ("tick", 13, False)],
)
@pytest.mark.parametrize("zoom", [1.0, 2.5])
def test_text_is_what_pillow_draws(font, size, bold, zoom):
    """Letter by letter: a pen that stops on whole pixels is all that differs."""
    letters = glyph_atlas.prepare("", (), zoom)
    found = getattr(letters, font)
    font = ImageFont.truetype(
        fonts.dejavu(bold), round(size * zoom), layout_engine=ImageFont.Layout.BASIC
    )
    picture = Image.new("L", (900, 90))
    pen = ImageDraw.Draw(picture)
    x = 5
    for letter in "MR_Gd · slice 70, gjpq 0.0590":
        pen.text((x, 5 + font.getmetrics()[0]), letter, 255, font, anchor="ls")
        x += round(font.getlength(letter))
    drawn = written(found, "MR_Gd · slice 70, gjpq 0.0590", letters, (900, 90))
    # Where neighbours overlap Pillow and the kernel may round differently.
    assert np.abs(drawn.astype(int) - np.asarray(picture)).max() <= 3
    assert found.width("MR_Gd · slice 70, gjpq 0.0590") == x - 5
    rows = np.flatnonzero(drawn.any(axis=1))
    assert rows[0] >= 5
    assert rows[-1] < 5 + found.height


@given(st.text(max_size=300), st.integers(-5, 900))
@settings(max_examples=200, deadline=None)
def test_a_text_is_made_to_fit(text, width):
    font = PLAIN.title
    short = font.fit(text, width)
    if font.width(text) <= width:
        assert short == text
        return
    assert font.width(short) <= max(width, 0)
    if width >= font.width("…"):
        begin, end = short.split("…", 1) if text.count("…") == 0 else (short, "")
        if "…" not in text:
            assert text.startswith(begin)
            assert text.endswith(end)
            assert len(begin) - len(end) in (0, 1)
            more = len(begin) + len(end) + 1
            longer = text[: (more + 1) // 2] + "…" + text[len(text) - more // 2 :]
            assert font.width(longer) > width


def test_a_page_of_text_is_made_to_fit_at_once():
    font = PLAIN.title
    short = font.fit("carotid " * 50_000, 500)
    assert short.startswith("carotid ")
    assert font.width(short) <= 500


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_written(text):
    written(PLAIN.title, text)
    letters = glyph_atlas.alphabet([text])
    assert letters.isprintable()
    assert not set(letters) & set(glyph_atlas.BASIC)
    assert set(letters) <= set(text)


def test_what_cannot_be_printed_is_a_question_mark():
    for odd in "\n\t\x07\u200b\u202e":
        np.testing.assert_array_equal(written(PLAIN.title, f"a{odd}b"), written(PLAIN.title, "a?b"))


@needs_wqy
@pytest.mark.parametrize("font", ["title", "caption"])
def test_chinese_is_drawn_where_a_font_has_it(font):
    """Its glyphs differ from the box for a missing one, and from each other."""
    characters = "患者站"
    with_font = glyph_atlas.prepare(characters, fonts.chain(characters), 1.0)
    without = glyph_atlas.prepare(characters, (), 1.0)
    pictures = [written(getattr(with_font, font), c, with_font) for c in characters]
    boxes = [written(getattr(without, font), c, without) for c in characters]
    assert all(picture.any() for picture in [*pictures, *boxes])
    assert np.array_equal(boxes[0], boxes[1])
    assert not any(np.array_equal(picture, boxes[0]) for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[1])


@needs_wqy
def test_the_font_named_is_used(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", list)
    letters = glyph_atlas.prepare("患", fonts.chain("患", WQY), 1.0)
    font = ImageFont.truetype(WQY, 20, layout_engine=ImageFont.Layout.BASIC)
    mask = font.getmask("患", mode="L")
    drawn = written(letters.title, "患", letters)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    box = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    expected = np.frombuffer(bytes(mask), np.uint8).reshape(mask.size[::-1])
    rows, columns = np.flatnonzero(expected.any(axis=1)), np.flatnonzero(expected.any(axis=0))
    np.testing.assert_array_equal(
        box, expected[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    )


def test_thousands_of_characters_fit_into_the_atlas():
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
    letters = glyph_atlas.prepare(characters, (), 1.0)
    x, y, width, height = letters.boxes.T
    assert (x >= 0).all()
    assert (x + width <= letters.coverage.shape[1]).all()
    assert (y + height <= letters.coverage.shape[0]).all()

"""What figures say of a slice, worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.figures.slice_facts import NO_FACTS, SliceFacts, SlicePosition, window_text


def test_positions_name_the_side_instead_of_a_sign() -> None:
    position = SlicePosition("I", "S", -60.0, 1.5)
    assert position.text(0) == "I 60.0 mm"
    assert position.text(40) == "S 0.0 mm"
    assert position.text(50) == "S 15.0 mm"


def test_slices_are_counted_from_0_as_their_files_are() -> None:
    assert SliceFacts(154).index_text(8) == "slice 8 of 154"
    assert NO_FACTS.index_text(8) == "slice 8"
    for facts in (SliceFacts(154), NO_FACTS):
        assert facts.index_text(8, classic=True) == "slice 008"


def test_a_caption_has_what_is_known() -> None:
    assert NO_FACTS.caption("slice") == "slice"
    assert SliceFacts(window="C 40 W 80").caption("slice") == "slice  ·  C 40 W 80"


def test_a_caption_may_have_the_number_of_the_slice() -> None:
    assert SliceFacts(154, "S 5 mm", index=8).numbered_caption("image") == (
        "image, slice 8 of 154  ·  S 5 mm"
    )
    for facts in (NO_FACTS, SliceFacts(154), SliceFacts(1, index=0)):
        assert facts.numbered_caption("image") == "image"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0, 80, "C 40 W 80"), (-1350, 150, "C -600 W 1500"), (0.25, 0.75, "C 0.5 W 0.5")],
)
def test_a_window_is_its_center_and_width(low, high, text) -> None:
    assert window_text(low, high) == text
    assert window_text(high, low) == text  # MONOCHROME1


@given(
    columns=st.integers(1, 2000),
    width=st.integers(32, 4000),
    pixel=st.floats(0.01, 20.0),
)
def test_a_scale_bar_is_a_round_length_of_a_tenth_to_a_quarter_of_the_panel(
    columns, width, pixel
) -> None:
    length, text = SliceFacts(pixel_width=pixel).scale_bar(columns, width)
    millimetres = float(text.removesuffix(" mm"))
    assert f"{millimetres:e}"[0] in "125"
    assert abs(length - millimetres * width / (columns * pixel)) <= 0.5 + 1e-6 * width
    assert 0.1 * width - 1 <= length <= 0.25 * width + 1


def test_without_a_pixel_size_there_is_no_scale_bar() -> None:
    for pixel in (0.0, float("nan"), float("inf")):
        assert SliceFacts(pixel_width=pixel).scale_bar(100, 100) == (0, "")

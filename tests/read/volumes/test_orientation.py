from __future__ import annotations

import itertools

import numpy as np
import pytest
from nibabel.affines import apply_affine
from nibabel.orientations import aff2axcodes

from fastcam.read.volumes.orientation import (
    IDENTITY,
    TRANSPOSE,
    Orientation,
    for_display,
    for_frame,
    left_side,
)

EVERY = [Orientation(*flags) for flags in itertools.product([False, True], repeat=3)]


@pytest.mark.parametrize("turn", EVERY)
def test_boxes_turn_with_the_picture(turn: Orientation) -> None:
    box = np.array([[2, 1, 5, 3]], np.int32)
    picture = np.zeros((6, 9), np.uint8)
    picture[1:3, 2:5] = 1
    turned = turn.apply(picture)
    assert turned.shape == turn.size(6, 9)
    rows, columns = np.nonzero(turned)
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    moved = turn.boxes(box, 6, 9)
    assert moved.dtype == np.int32
    assert moved.tolist() == [expected]


@pytest.mark.parametrize("turn", EVERY)
def test_inverse_undoes(turn: Orientation) -> None:
    picture = np.arange(12).reshape(3, 4)
    assert np.array_equal(turn.inverse.apply(turn.apply(picture)), picture)
    assert turn.then(turn.inverse) == IDENTITY
    boxes = np.array([[0, 1, 2, 3], [1, 0, 4, 2]])
    back = turn.inverse.boxes(turn.boxes(boxes, 3, 4), *turn.size(3, 4))
    assert np.array_equal(back, boxes)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(EVERY, EVERY)))
def test_then_is_one_after_the_other(first: Orientation, second: Orientation) -> None:
    picture = np.arange(12).reshape(3, 4)
    expected = second.apply(first.apply(picture))
    assert np.array_equal(first.then(second).apply(picture), expected)


def test_colour_pictures_keep_their_channels() -> None:
    picture = np.arange(24).reshape(2, 4, 3)
    assert TRANSPOSE.apply(picture).shape == (4, 2, 3)
    assert np.array_equal(TRANSPOSE.apply(picture)[3, 1], picture[1, 3])


def _shown(affine: np.ndarray, turn: Orientation) -> tuple[np.ndarray, np.ndarray]:
    """RAS directions of one pixel right and one pixel down on the screen, found by moving voxels:
    an oracle that knows nothing of io_orientation."""
    y, x = np.mgrid[:5, :7]
    ras = apply_affine(affine, np.stack([x, y, np.zeros_like(x)], axis=-1))
    screen = turn.apply(ras)
    return screen[0, 1] - screen[0, 0], screen[1, 0] - screen[0, 0]


# (right on the screen, down on the screen) by the anatomical direction that slices step along.
EXPECTED = {2: ("L", "P"), 1: ("L", "I"), 0: ("P", "I")}
LETTERS = {"L": (0, -1), "P": (1, -1), "I": (2, -1)}
ALL_48 = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product([-1, 1], repeat=3)
]


@pytest.mark.parametrize("oblique", [False, True])
def test_all_48_orientations_are_shown_as_a_radiologist_expects(oblique: bool) -> None:
    for axes, signs in ALL_48:
        affine = np.eye(4)
        affine[:3, :3] = 0
        affine[axes, range(3)] = signs
        tilt = np.eye(4)
        if oblique:
            c, s = np.cos(0.4), np.sin(0.4)
            tilt[:2, :2] = [[c, -s], [s, c]]
        scaled = tilt @ affine @ np.diag([0.5, 0.7, 3, 1])
        right, down = _shown(scaled, for_display(scaled))
        letters = EXPECTED[int(axes[2])]
        for vector, letter in zip((right, down), letters, strict=True):
            axis, sign = LETTERS[letter]
            assert np.abs(vector).argmax() == axis
            assert np.sign(vector[axis]) == sign


def test_hand_worked_axial_cases() -> None:
    lps = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's usual axial: lies right already
    assert for_display(lps) == IDENTITY
    assert for_display(np.eye(4)) == Orientation(False, True, True)  # RAS


@pytest.mark.parametrize(
    "affine", [None, np.full((4, 4), np.nan), np.zeros((4, 4)), np.diag([1.0, 0, 1, 1])]
)
def test_without_directions_the_array_stays(affine: np.ndarray | None) -> None:
    assert for_display(affine) == IDENTITY


def test_frames_of_either_axes_end_as_the_same_picture() -> None:
    affine = np.eye(4)
    array = np.arange(24).reshape(2, 3, 4)  # nibabel's order, x y z
    slice_zyx = array.T[1]
    slice_xyz = array[:, :, 1]
    assert np.array_equal(for_frame("xyz").apply(slice_zyx), slice_xyz)
    assert np.array_equal(for_frame("zyx").apply(slice_zyx), slice_zyx)
    shown = for_display(affine).apply(slice_zyx)
    assert np.array_equal(
        for_frame("xyz").inverse.then(for_display(affine)).apply(slice_xyz), shown
    )
    assert np.array_equal(for_display(affine).apply(slice_zyx), shown)


@pytest.mark.parametrize(
    ("directions", "shown", "expected"),
    [
        # Voxel axes x, y, z run towards these sides of the patient.
        ("RAS", "radiological", "R"),
        ("LPS", "radiological", "R"),
        ("RSA", "radiological", "R"),
        ("ASR", "radiological", "A"),
        ("PIL", "radiological", "A"),
        ("ARS", "radiological", "R"),
        ("RAS", "array", "L"),
        ("LPS", "array", "R"),
        ("ASR", "array", "P"),
        ("SAR", "array", "I"),
    ],
)
def test_the_side_at_the_left_edge(directions, shown, expected):
    affine = np.zeros((4, 4))
    for voxel_axis, letter in enumerate(directions):
        side = next(k for k, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        affine[side, voxel_axis] = 1.0 if letter in "RAS" else -1.0
    affine[3, 3] = 1.0
    assert "".join(aff2axcodes(affine)) == directions
    how = for_display(affine) if shown == "radiological" else IDENTITY
    assert left_side(affine, how) == expected


def test_no_side_without_an_affine():
    assert left_side(None, IDENTITY) == ""
    assert left_side(np.zeros((4, 4)), IDENTITY) == ""

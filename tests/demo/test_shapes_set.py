"""The Vision Transformer demo's pictures: what is in them, and when a peak lies on the object."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastcam.demo.shapes_set import (
    CLASSES,
    SIDE,
    ShapesSet,
    _outline,
    make_shapes,
    on_object,
    peaks_on_object,
)
from fastcam.errors import InputError


@pytest.fixture(scope="module")
def made() -> ShapesSet:
    return make_shapes(240, seed=5)


def test_pictures_labels_and_masks(made: ShapesSet) -> None:
    assert made.images.shape == (240, SIDE, SIDE, 3)
    assert made.images.dtype == np.uint8
    assert made.masks.shape == (240, SIDE, SIDE)
    assert made.masks.dtype == np.bool_
    assert made.labels.tolist() == [0, 1, 2, 3, 4, 5] * 40
    for mask in made.masks:
        rows, columns = np.nonzero(mask)
        assert 0 < rows.min() < rows.max() < SIDE - 1
        assert 0 < columns.min() < columns.max() < SIDE - 1
        assert 0.02 < mask.mean() < 0.15


def test_a_ring_has_no_hole_in_its_mask(made: ShapesSet) -> None:
    """Its area is that of a disc of the same width; the ground shows in the middle."""
    for place in np.flatnonzero(made.labels == CLASSES.index("ring")):
        rows, columns = np.nonzero(made.masks[place])
        width = (np.ptp(rows) + np.ptp(columns)) / 2 + 1
        assert len(rows) == pytest.approx(np.pi / 4 * width**2, rel=0.06)


def test_the_seed_and_the_place_decide_a_picture(made: ShapesSet) -> None:
    some = make_shapes(4, seed=5, first=7)
    assert np.array_equal(some.images, made.images[7:11])
    assert np.array_equal(some.masks, made.masks[7:11])
    assert np.array_equal(some.labels, made.labels[7:11])
    other = make_shapes(4, seed=6, first=7)
    for place in range(4):
        assert not np.array_equal(other.images[place], some.images[place])


def test_the_object_lies_anywhere_and_stands_out(made: ShapesSet) -> None:
    centres = np.array([np.argwhere(mask).mean(axis=0) for mask in made.masks])
    assert (centres.min(axis=0) < 25).all()
    assert (centres.max(axis=0) > SIDE - 25).all()
    for image, mask in zip(made.images, made.masks, strict=True):
        inside, outside = image[mask].mean(axis=0), np.median(image[~mask], axis=0)
        assert np.linalg.norm(inside - outside) > 30


def test_colour_alone_hardly_tells_the_class(made: ShapesSet) -> None:
    """Means and spreads of the channels guess the class of new pictures little better than 1/6."""
    known, new = made, make_shapes(240, seed=6)
    cues, asked = (
        np.concatenate([s.images.mean(axis=(1, 2)), s.images.std(axis=(1, 2))], axis=1)
        for s in (known, new)
    )
    centres = np.array([cues[known.labels == label].mean(axis=0) for label in range(len(CLASSES))])
    away = np.linalg.norm((asked[:, None] - centres) / cues.std(axis=0), axis=2)
    assert np.mean(away.argmin(axis=1) == new.labels) < 0.3


# Areas in radii squared, by the formula of each form.
_AREAS = {
    "disc": np.pi * 0.92**2,
    "ring": np.pi * (1.0 - 0.52**2),
    "square": (2 * 0.78) ** 2,
    "cross": 2 * (2.0 * 0.64) - 0.64**2,
    "triangle": 3 * np.sqrt(3) * 0.55**2,
    "star": 5 * 1.1 * 0.45 * np.sin(np.pi / 5),
}


@pytest.mark.parametrize("shape", CLASSES)
def test_outlines_have_the_area_of_their_form(shape: str) -> None:
    v, u = np.mgrid[-200:201, -200:201].astype(np.float32)
    inside = _outline(shape, 160.0, u, v) <= 0
    assert np.count_nonzero(inside) / 160.0**2 == pytest.approx(_AREAS[shape], rel=0.01)
    assert np.hypot(u, v)[inside].max() <= 1.1 * 160.0 + 1


@pytest.mark.parametrize(
    ("given", "words"),
    [({"count": 0}, "count 0"), ({"seed": -1}, "seed -1"), ({"first": -2}, "first -2")],
)
def test_numbers_that_are_too_small(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_shapes(**{"count": 1, "seed": 0, **given})


def test_a_patch_is_on_the_object_from_a_quarter_of_its_pixels() -> None:
    masks = np.zeros((2, 8, 8), np.bool_)
    masks[0, 0, :4] = True
    masks[0, 4:6, 5:7] = True
    masks[1, 3, 3] = True
    expected = np.zeros((2, 2, 2), np.bool_)
    expected[0, 0, 0] = expected[0, 1, 1] = True
    assert np.array_equal(on_object(masks, (2, 2)), expected)
    with pytest.raises(InputError, match="3x2"):
        on_object(masks, (3, 2))


def test_peaks() -> None:
    masks = np.zeros((3, 8, 8), np.bool_)
    masks[:, :4, 4:] = True
    maps = np.array([[[0, 2], [1, 1]], [[0, 1], [2, 1]], [[0, 3], [3, 0]]], np.float32)
    assert peaks_on_object(maps, masks).tolist() == [True, False, True]

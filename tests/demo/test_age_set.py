"""The made-up faces: what is in them, that the age shows on the forehead alone, what is written."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.demo.age_set import OLDEST, SIDE, YOUNGEST, AgeSet, make_ages, write_ages
from fastcam.errors import InputError


@pytest.fixture(scope="module")
def made() -> AgeSet:
    return make_ages(120, seed=5)


def test_faces_ages_and_masks(made: AgeSet) -> None:
    assert made.images.shape == (120, SIDE, SIDE, 3)
    assert made.images.dtype == np.uint8
    assert made.masks.shape == (120, SIDE, SIDE)
    assert YOUNGEST <= made.ages.min() < 30
    assert 80 < made.ages.max() <= OLDEST
    areas = made.masks.mean(axis=(1, 2))
    assert (areas > 0.06).all()
    assert (areas < 0.12).all()
    assert len(set(made.ids)) == 120


def test_the_seed_and_the_place_decide_a_face(made: AgeSet) -> None:
    some = make_ages(3, seed=5, first=7)
    assert np.array_equal(some.images, made.images[7:10])
    assert np.array_equal(some.ages, made.ages[7:10])
    assert some.ids == made.ids[7:10]
    assert not np.array_equal(make_ages(3, seed=6, first=7).images, some.images)


def test_the_age_shows_on_the_forehead_and_nowhere_else(made: AgeSet) -> None:
    """How uneven the pixels are goes with the age inside the mask, and not outside."""
    grey = made.images.mean(axis=3)
    inside = [image[mask].std() for image, mask in zip(grey, made.masks, strict=True)]
    outside = [image[~mask].std() for image, mask in zip(grey, made.masks, strict=True)]
    brightness = grey.mean(axis=(1, 2))
    assert np.corrcoef(inside, made.ages)[0, 1] > 0.8
    assert abs(np.corrcoef(outside, made.ages)[0, 1]) < 0.25
    assert abs(np.corrcoef(brightness, made.ages)[0, 1]) < 0.25


def test_files_say_what_was_made(made: AgeSet, tmp_path: Path) -> None:
    some = make_ages(2, seed=5)
    write_ages(some, tmp_path)
    with (tmp_path / "characteristics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["age"]) for row in rows] == pytest.approx(some.ages.tolist())
    for place, row in enumerate(rows):
        assert np.array_equal(
            np.asarray(Image.open(tmp_path / "Images" / row["image"])), some.images[place]
        )
        mask = np.asarray(Image.open(tmp_path / "Masks" / row["image"]))
        assert np.array_equal(mask, some.masks[place] * np.uint8(255))


@pytest.mark.parametrize(
    ("given", "words"),
    [({"count": 0}, "count 0"), ({"seed": -1}, "seed -1"), ({"first": -2}, "first -2")],
)
def test_numbers_that_are_too_small(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_ages(**{"count": 1, "seed": 0, **given})

"""Asymmetry mode: cutting, and putting back, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastcam.errors import CaseError, InputError
from fastcam.read.inputs.bilateral_halves import halves_of_map, whole_image_map
from fastcam.read.inputs.model_input import prepare
from fastcam.read.inputs.preprocessing import Preprocessing

PLAIN = Preprocessing(size=(4, 3), channels=6, mean=(0.0,) * 6, std=(1.0,) * 6, halves="plain")
MIRROR = Preprocessing(size=(4, 3), channels=6, mean=(0.0,) * 6, std=(1.0,) * 6, halves="mirror")


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_the_halves_lie_behind_each_other() -> None:
    image = picture()
    found = prepare(image, PLAIN)
    assert found.shape == (6, 4, 3)
    np.testing.assert_allclose(found[:3], np.moveaxis(image[:, :3], 2, 0) / 255, atol=1e-6)
    np.testing.assert_allclose(found[3:], np.moveaxis(image[:, 3:], 2, 0) / 255, atol=1e-6)


def test_mirror_turns_the_right_half() -> None:
    image = picture()
    np.testing.assert_allclose(
        prepare(image, MIRROR)[3:], np.moveaxis(image[:, :2:-1], 2, 0) / 255, atol=1e-6
    )


def test_each_half_is_resized_by_itself_and_has_its_own_mean() -> None:
    preprocessing = Preprocessing(
        size=(8, 8),
        channels=6,
        mean=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
        std=(1, 1, 1, 2, 2, 2),
        halves="plain",
    )
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, 10:] = 255
    found = prepare(image, preprocessing)
    for channel, value in enumerate((-0.1, -0.2, -0.3, 0.3, 0.25, 0.2)):
        np.testing.assert_allclose(found[channel], value, atol=1e-6)


def test_grey_counts_for_three() -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6, 1)
    found = prepare(grey, PLAIN)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[3], grey[:, 3:, 0] / 255, atol=1e-6)


def test_an_odd_width_is_an_images_own_error() -> None:
    with pytest.raises(CaseError, match="7 pixels wide: an odd width"):
        prepare(np.zeros((4, 7, 3), np.uint8), PLAIN)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"channels": 3, "mean": (0,) * 3, "std": (1,) * 3}, "this one has 3"),
        ({"channels": 6, "mean": (0,) * 6, "std": (1,) * 6, "fit": "crop"}, "not cropped"),
        ({"size": (4, 4, 4), "channels": 6, "mean": (0,) * 6, "std": (1,) * 6}, "volumes"),
    ],
)
def test_what_does_not_go_together(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Preprocessing(**{"size": (4, 4), "halves": "plain", **given})


@pytest.mark.parametrize("halves", ["plain", "mirror"])
def test_a_map_on_both_halves(halves: str) -> None:
    cells = np.array([[1, 2], [3, 4]], np.float32)
    found = whole_image_map(cells, 2, 4, halves)
    right = [[2, 1], [4, 3]] if halves == "mirror" else [[1, 2], [3, 4]]
    np.testing.assert_array_equal(found[:, :2], cells)
    np.testing.assert_array_equal(found[:, 2:], right)


def test_nothing_runs_over_the_midline() -> None:
    cells = np.array([[0, 0, 0, 1]], np.float32)
    found = whole_image_map(cells, 8, 64, "plain")
    # 1 at the left half's right edge, 0 at the right half's left edge.
    assert (found[:, 31] == 1).all()
    assert (found[:, 32] == 0).all()


def test_what_was_taken_at_the_input_is_whole() -> None:
    assert halves_of_map({"halves": "mirror"}, "gradcam/layer4") == "mirror"
    assert halves_of_map({"halves": "mirror"}, "gradient_x_input") == "no"
    assert halves_of_map({}, "gradcam/layer4") == "no"

"""Settings of preprocessing that can't be, and the part of an image that the model sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastcam.errors import InputError
from fastcam.read.inputs.preprocessing import Preprocessing, input_picture, input_region

PLAIN: dict[str, Any] = {"mean": (0.0,), "std": (1.0,)}
RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


def test_the_part_that_the_model_sees() -> None:
    tiled = np.tile(RGB[:24, :48], (2, 2, 1))
    preprocessing = Preprocessing(size=(24, 24), fit="crop")
    assert input_region(48, 96, preprocessing) == (24, 0, 72, 48)
    np.testing.assert_array_equal(
        input_picture(tiled, preprocessing),
        tiled[:, 24:72],
    )
    deep = np.array([[[300.0]], [[-3.0]], [[1.6]]], np.float32).repeat(3, axis=1)
    shown = input_picture(deep, Preprocessing(size=(3, 3), channels=1, **PLAIN))
    assert shown.dtype == np.uint8
    assert shown[:, 0, 0].tolist() == [255, 0, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": (5,)}, "image size"),
        ({"size": (0, 5)}, "image size"),
        ({"channels": 0, "mean": (), "std": ()}, "0 channels"),
        ({"mean": (0.5,)}, "mean has 1 numbers"),
        ({"std": (0.0, 1.0, 1.0)}, "above 0"),
        ({"mean": (0.0, np.nan, 1.0)}, "not finite"),
        ({"fit": "pad"}, "fit 'pad' is not known"),
        ({"interpolation": "lanczos"}, "interpolation 'lanczos' is not known"),
        ({"size": (5, 5, 5), "fit": "crop"}, "stretched"),
        ({"size": (5, 5, 5), "interpolation": "bicubic"}, "not bicubic"),
    ],
)
def test_settings_that_can_not_be(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Preprocessing(**{"size": (8, 8), **changes})

"""What a view is of: passes and models, with the pictures behind the maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fastcam.errors import InputError
from fastcam.jobs.vit.attention_views import attention_layers
from fastcam.jobs.vit.subject import pass_on, subject_of
from fastcam.models.vit import VisionTransformer, VitSettings

from .passes import pass_of_layers, random_weights

RNG = np.random.default_rng(8)
PICTURES = [RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(3)]


@pytest.fixture(scope="module")
def model() -> VisionTransformer:
    torch.manual_seed(0)
    settings = VitSettings(dim=12, depth=2, heads=3, patch_size=(8, 8), image_size=(32, 32))
    return VisionTransformer(settings).eval()


def test_a_model_is_run_on_the_images(model: VisionTransformer) -> None:
    subject = subject_of(model, PICTURES, index=-1)
    assert subject.vit.batch.shape == (3, 3, 32, 32)
    assert subject.index == 2
    assert np.array_equal(subject.picture, PICTURES[2])
    assert subject.vit.grid == (4, 4)


def test_a_model_and_its_pass_give_one_figure(model: VisionTransformer) -> None:
    subject = subject_of(model, PICTURES)
    of_model = attention_layers(model, PICTURES, index=1)
    of_pass = attention_layers(subject.vit, pictures=PICTURES, index=1)
    of_both = attention_layers(subject.vit, PICTURES, index=1)
    assert np.array_equal(of_model.pixels, of_pass.pixels)
    assert np.array_equal(of_model.pixels, of_both.pixels)


def test_a_pass_without_pictures_shows_its_batch() -> None:
    vit = pass_of_layers([random_weights(RNG, 2, 1, 13)], (3, 4))
    picture = subject_of(vit, index=1).picture
    image = vit.batch[1].numpy()
    expected = 255 * (image - image.min()) / (image.max() - image.min())
    assert np.abs(np.moveaxis(expected, 0, -1) - picture).max() <= 0.501


def test_pixels_without_a_patch_are_left_out() -> None:
    vit = pass_of_layers([random_weights(RNG, 1, 1, 13)], (3, 4))
    wide = replace(vit, batch=torch.zeros(1, 3, 12, 20))
    subject = subject_of(wide, pictures=[PICTURES[0]])
    assert np.array_equal(subject.picture, PICTURES[0][:, :48])


def test_grey_pictures() -> None:
    vit = pass_of_layers([random_weights(RNG, 1, 1, 13)], (3, 4))
    grey = PICTURES[0][..., 0]
    assert np.array_equal(subject_of(vit, pictures=[grey]).picture, grey[:, :, None])
    assert attention_layers(vit, pictures=[grey]).pixels.ndim == 3


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({}, "give images with a model"),
        ({"images": PICTURES, "index": 3}, "index 3: there are 3 images"),
        ({"images": PICTURES, "index": -4}, "index -4"),
        ({"images": PICTURES, "pictures": PICTURES[:2]}, "2 pictures were given for 3 images"),
        ({"images": PICTURES, "pictures": [p[..., :2] for p in PICTURES]}, "a picture is uint8"),
        ({"images": [np.zeros((4, 4))]}, r"images\[0\] is float64"),
    ],
)
def test_what_cannot_be_shown(model: VisionTransformer, named, said: str) -> None:
    with pytest.raises(InputError, match=said):
        subject_of(model, **named)


def test_a_second_model_is_run_on_the_same_batch(model: VisionTransformer) -> None:
    vit = subject_of(model, PICTURES).vit
    other = pass_on(model, vit)
    assert torch.equal(other.output, vit.output)
    assert pass_on(other, vit) is other
    fewer = subject_of(model, PICTURES[:2]).vit
    with pytest.raises(InputError, match="images 3, the second 2"):
        pass_on(fewer, vit)

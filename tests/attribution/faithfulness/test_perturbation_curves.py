"""Deletion and insertion against a plain loop, and on models whose region is known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from fastcam.attribution.faithfulness.perturbation_curves import (
    Curves,
    FaithfulnessSettings,
    faithfulness,
    one_map,
)
from fastcam.errors import InputError

from ..nets import Small


class Corner(nn.Module):
    """The energy of the upper left quarter of 16x16 pixels, as one number or a logit of class 1."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.02))
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        total = self.scale * x[:, :, :8, :8].square().sum((1, 2, 3)) - 1
        return total[:, None] if self.outputs == 1 else torch.stack([-total, total], 1)


def corner_images(count: int = 6) -> Tensor:
    return torch.randn(count, 2, 16, 16, generator=torch.Generator().manual_seed(0))


CORNER = torch.zeros(4, 4)
CORNER[:2, :2] = 1.0


def slow(model: nn.Module, image: Tensor, values: Tensor, target: int, steps: int) -> Any:
    """Both curves of one image, one image at a time, pixel lists made with Python's sort."""
    size = tuple(image.shape[1:])
    pixels = [(y, x) for y in range(size[0]) for x in range(size[1])]
    pixels.sort(key=lambda p: -float(values[p]))
    mean = image.mean((1, 2))
    blurred = torch.tensor(
        gaussian_filter(image.numpy(), (0, 0.05 * min(size), 0.05 * min(size)), mode="nearest")
    )
    deletion, insertion = [], []
    for k in range(steps + 1):
        without, added = image.clone(), blurred.clone()
        for y, x in pixels[: round(len(pixels) * k / steps)]:
            without[:, y, x] = mean
            added[:, y, x] = image[:, y, x]
        for curve, changed in ((deletion, without), (insertion, added)):
            curve.append(model(changed[None])[0].softmax(0)[target].item())
    return deletion, insertion


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_curves_are_those_of_a_plain_loop(batch: int) -> None:
    torch.manual_seed(1)
    model = Small().eval()
    # As large as the images: enlarged maps have equal values at their borders, in random order.
    images, maps = torch.randn(3, 3, 12, 10), torch.rand(3, 12, 10)
    settings = FaithfulnessSettings(steps=9, random_maps=1, batch_size=batch)
    found = faithfulness(model, images, maps, [4, 0, 2], settings=settings)
    assert found.kind == "probability"
    for place, target in enumerate((4, 0, 2)):
        deletion, insertion = slow(model, images[place], maps[place], target, 9)
        np.testing.assert_allclose(found.deletion[place], deletion, atol=2e-6)
        np.testing.assert_allclose(found.insertion[place], insertion, atol=2e-6)
        area = sum((a + b) / 18 for a, b in pairwise(deletion))
        assert found.auc("deletion")[place] == pytest.approx(area, abs=1e-5)


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_map_of_the_region_beats_noise_and_its_inverse(outputs: int) -> None:
    model, images = Corner(outputs), corner_images()
    maps = CORNER.expand(len(images), 4, 4)
    target = outputs - 1
    true = faithfulness(model, images, maps, target)
    false = faithfulness(model, images, -maps if outputs == 2 else 1 - maps, target)
    assert true.kind == ("probability" if outputs == 2 else "closeness")
    assert (true.auc("deletion") < true.auc("random_deletion") - 0.1).all()
    assert (true.auc("insertion") > true.auc("random_insertion") + 0.1).all()
    assert (true.auc("deletion") < false.auc("deletion") - 0.2).all()
    assert (true.auc("insertion") > false.auc("insertion") + 0.2).all()


def test_closeness_by_hand() -> None:
    """The output is the mean of the pixels 4, 0, 0, 0; deleted in that order, each becomes -4."""

    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))

    image = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]])
    maps = torch.tensor([[[9.0, 3.0], [2.0, 1.0]]])
    settings = FaithfulnessSettings(steps=4, blur=0.01, fill=(-4.0,), random_maps=1)
    found = faithfulness(Mean(), image, maps, settings=settings)
    # Outputs 1, -1, -2, -3, -4: the whole image is 1, the farthest -4, five away.
    np.testing.assert_allclose(found.deletion[0], [1, 3 / 5, 2 / 5, 1 / 5, 0], atol=1e-6)
    np.testing.assert_allclose(found.insertion[0], 1, atol=1e-6)
    assert found.auc("deletion")[0] == pytest.approx((0.5 + 0.6 + 0.4 + 0.2) / 4)


def test_against_a_regression_the_magnitude_counts() -> None:
    model, images = Corner(1), corner_images()
    maps = CORNER.expand(len(images), 4, 4)
    up, down = (faithfulness(model, images, sign * maps) for sign in (1, -1))
    np.testing.assert_array_equal(up.deletion, down.deletion)


def test_the_seed_decides_and_the_model_stays() -> None:
    torch.manual_seed(0)
    model = Small().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    images, maps = torch.randn(2, 3, 8, 8), torch.rand(2, 2, 2)
    state = torch.random.get_rng_state()
    runs = [
        faithfulness(model, images, maps, settings=FaithfulnessSettings(steps=5, seed=seed))
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0].random_deletion, runs[1].random_deletion)
    assert not np.array_equal(runs[0].random_deletion, runs[2].random_deletion)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())


def test_equal_values_are_deleted_in_random_order() -> None:
    """Of a map that is 0 but for one corner, the rest doesn't go from the top down."""

    class Rows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0, :8].mean((1, 2))[:, None]

    image = torch.cat([torch.ones(1, 1, 8, 16), torch.zeros(1, 1, 8, 16)], 2)
    maps = torch.zeros(1, 16, 16)
    maps[0, 15, 15] = 1.0
    settings = FaithfulnessSettings(steps=8, fill="zero", centre=False)
    found = faithfulness(Rows(), image, maps, settings=settings)
    # In the array's order it would be 0 at half of the pixels.
    assert found.deletion[0, 4] == pytest.approx(0.5, abs=0.15)


def test_images_without_curves_say_why() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full((len(x), 1), 3.0)

    images = torch.randn(3, 1, 8, 8)
    maps = torch.rand(3, 2, 2)
    maps[0], maps[1, 0, 0] = 0.5, torch.nan
    heard: list[int] = []
    found = faithfulness(Constant(), images, maps, on_progress=heard.append)
    assert heard == [1, 1, 1]
    assert "one value everywhere" in found.reasons[0]
    assert "not finite" in found.reasons[1]
    assert "the same whatever is deleted" in found.reasons[2]
    assert not found.known.any()
    assert np.isnan(found.auc("deletion")).all()


def test_volumes_have_curves_too() -> None:
    torch.manual_seed(0)
    model = Small(dims=3, outputs=1, channels=1).eval()
    settings = FaithfulnessSettings(steps=4, random_maps=1)
    found = faithfulness(
        model, torch.randn(2, 1, 6, 8, 8), torch.rand(2, 3, 4, 4), settings=settings
    )
    assert isinstance(found, Curves)
    assert found.known.all()
    assert found.deletion.shape == (2, 5)
    np.testing.assert_allclose(found.deletion[:, 0], 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"maps": torch.rand(3, 2, 2)}, "3, 2, 2"),
        ({"targets": [5, 0]}, "target 5"),
        ({"settings": FaithfulnessSettings(fill=(0.0,))}, "1 numbers"),
    ],
)
def test_what_does_not_fit_is_told(given: dict[str, Any], words: str) -> None:
    what = {"images": torch.randn(2, 3, 8, 8), "maps": torch.rand(2, 2, 2), **given}
    with pytest.raises(InputError, match=words):
        faithfulness(Small().eval(), **what)


@pytest.mark.parametrize("wrong", [{"steps": 1}, {"random_maps": 0}, {"blur": 0.0}, {"fill": "x"}])
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        FaithfulnessSettings(**wrong)


def test_one_map() -> None:
    values = torch.arange(2 * 3 * 2 * 4.0).reshape(2, 3, 2, 2, 2)
    assert torch.equal(one_map(values), values[:, 2].mean(1))
    assert torch.equal(one_map(values[:, 0]), values[:, 0, 0])
    assert torch.equal(one_map(values[:, 0, 0]), values[:, 0, 0])

"""View 5 against distances measured layer by layer, and what it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fastcam.attribution.attention.distance import mean_distance
from fastcam.attribution.attention.vit_pass import run_vit
from fastcam.errors import InputError
from fastcam.jobs.vit import attention_distance as distances
from fastcam.jobs.vit.attention_distance import attention_distance, distances_of, thirds
from fastcam.options import Style

from ...attribution.nets import Small
from ...report.plot_pixels import noise, pages, texts, vit


def test_of_a_model_are_those_of_its_pass() -> None:
    model, images = vit(), noise(3)
    seen = run_vit(model, images)
    found = distances_of(seen)
    assert found.shape == (3, 4, 3)
    layer = seen.layers[2].attention
    np.testing.assert_allclose(found[:, 2], mean_distance(layer, (4, 6), (8, 8), 1), rtol=1e-6)
    with pages(distances) as kept:
        of_model = attention_distance(model, images)
        of_pass = attention_distance(seen)
        of_numbers = attention_distance(found)
    assert np.array_equal(of_model.pixels, of_pass.pixels)
    assert np.array_equal(of_pass.pixels, of_numbers.pixels)
    assert "mean of 3 images" in texts(kept[0])


def test_dots_and_line_are_the_means_over_images() -> None:
    values = np.random.default_rng(0).uniform(5, 100, (4, 12, 6))
    with pages(distances) as kept:
        attention_distance(values)
    dots, bars = kept[0].axes
    heads = values.mean(0)
    drawn = dots.collections[0].get_offsets()
    np.testing.assert_allclose(drawn[:, 0], np.repeat(np.arange(12), 6))
    np.testing.assert_allclose(drawn[:, 1], heads.ravel())
    np.testing.assert_allclose(dots.lines[0].get_ydata(), heads.mean(1))
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(heights, [heads[:4].mean(), heads[8:].mean()])
    np.testing.assert_allclose(bars.collections[0].get_offsets()[:, 1], heads[:4].ravel())
    assert dots.get_ylim() == bars.get_ylim()
    assert dots.get_ylim()[1] > heads.max()
    assert dots.get_ylim()[0] == 0
    assert "Shallow: layers 0 to 3; deep: layers 8 to 11." in texts(kept[0])


def test_more_images_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_BATCH", 2)
    model, images = vit(), noise(5)
    expected = attention_distance(run_vit(model, images)).pixels
    found = attention_distance(model, images).pixels
    assert found.shape == expected.shape
    # Rounding may move a dot by less than a pixel.
    assert (found != expected).mean() < 0.001


@pytest.mark.parametrize(
    ("layers", "shallow", "deep"),
    [(12, range(4), range(8, 12)), (4, [0], [3]), (1, [0], [0]), (24, range(8), range(16, 24))],
)
def test_thirds(layers: int, shallow: Any, deep: Any) -> None:
    every = list(range(layers))
    first, last = thirds(layers)
    assert every[first] == list(shallow)
    assert every[last] == list(deep)


def test_two_models_on_one_scale() -> None:
    images = noise(2)
    first, second = run_vit(vit(), images), vit(seed=8)
    with pages(distances) as kept:
        attention_distance(first, compare=second, labels=("before", "after"), title="one case")
    left, right, bars = kept[0].axes
    assert left.get_ylim() == right.get_ylim() == bars.get_ylim()
    assert len(bars.patches) == 4
    np.testing.assert_allclose(
        right.collections[0].get_offsets()[:, 1],
        distances_of(run_vit(second, images)).mean(0, dtype=np.float64).ravel(),
        rtol=1e-6,
    )
    words = texts(kept[0])
    assert "before" in words
    assert "after" in words
    assert "one case" in words


def test_no_distance_at_all_is_drawn() -> None:
    assert attention_distance(np.zeros((1, 2, 1))).pixels.any()


def test_dark() -> None:
    figure = attention_distance(np.ones((1, 2, 3)), style=Style(theme="dark"))
    assert figure.pixels[0, 0].tolist() == [20, 21, 24]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((3, 4)), r"shape \(3, 4\)"),
        (np.zeros((0, 2, 3)), r"must be \(images, layers, heads\)"),
        (np.full((1, 2, 3), np.nan), "layer 0, head 0 isn't known"),
    ],
)
def test_wrong_distances(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        attention_distance(given)


def test_refusals() -> None:
    with pytest.raises(InputError, match="give images with a model"):
        attention_distance(vit())
    with pytest.raises(InputError, match="no attention"):
        attention_distance(Small(), torch.zeros(1, 3, 32, 32))
    with pytest.raises(InputError, match="4 layers of attention, the second 2"):
        attention_distance(vit(), noise(), compare=vit(depth=2))

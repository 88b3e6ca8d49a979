"""Synthetic episodes: what is in them, and what a query has in common with its support."""

from __future__ import annotations

import numpy as np
import pytest

from fastcam.demo.episodes import HELD_OUT, KINDS, TRAINED, draw_episode, model_input
from fastcam.read.inputs.preprocessing import MEAN, STD


def test_the_same_seed_gives_the_same_episode() -> None:
    one, same, other = (draw_episode(np.random.default_rng(s), "trained") for s in (4, 4, 5))
    np.testing.assert_array_equal(one.query.images, same.query.images)
    np.testing.assert_array_equal(one.support.kinds, same.support.kinds)
    assert not np.array_equal(one.query.images, other.query.images)


def test_kinds_held_out_are_never_trained_on() -> None:
    assert set(HELD_OUT) | set(TRAINED) == set(KINDS)
    assert not set(HELD_OUT) & set(TRAINED)
    assert len(HELD_OUT) == len(KINDS) // 4
    # Each shape and each colour is met in training, only not together.
    assert {shape for shape, _ in TRAINED} == {shape for shape, _ in KINDS}
    assert {colour for _, colour in TRAINED} == {colour for _, colour in KINDS}


@pytest.mark.parametrize(("pool", "kinds"), [("trained", TRAINED), ("held out", HELD_OUT)])
def test_what_an_episode_holds(pool, kinds) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        episode = draw_episode(rng, pool, ways=4, shots=2, queries=3)
        assert episode.support.images.shape == (8, 3, 64, 64)
        assert episode.query.images.shape == (12, 3, 64, 64)
        assert episode.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
        classes = episode.support.kinds[::2, 0]
        assert len(set(classes)) == 4
        np.testing.assert_array_equal(episode.support.kinds[1::2, 0], classes)
        np.testing.assert_array_equal(episode.query.kinds[:, 0], classes[episode.labels])
        others = np.concatenate([episode.support.kinds[:, 1], episode.query.kinds[:, 1]])
        assert not set(others) & set(classes)
        assert not set(episode.support.kinds[:, 1]) & set(episode.query.kinds[:, 1])
        assert {KINDS[kind] for kind in (*classes, *others)} <= set(kinds)


def test_masks_are_where_the_objects_are() -> None:
    pictures = draw_episode(np.random.default_rng(2), "trained").query
    for image, mask, other in zip(pictures.images, pictures.masks, pictures.others, strict=True):
        assert image.dtype == np.float32
        assert image.min() >= 0.0
        assert image.max() <= 1.0
        assert not (mask & other).any()
        grey = image[:, ~mask & ~other].mean(1)
        for inside in (mask, other):
            assert 60 < inside.sum() < 460
            assert np.abs(image[:, inside].mean(1) - grey).max() > 0.1


def test_the_models_input_is_normalised() -> None:
    episode = draw_episode(np.random.default_rng(3), "trained")
    found = model_input(episode).numpy()
    images = np.concatenate([episode.support.images, episode.query.images])
    for channel in range(3):
        expected = (images[:, channel] - MEAN[channel]) / STD[channel]
        np.testing.assert_allclose(found[:, channel], expected, atol=1e-5)

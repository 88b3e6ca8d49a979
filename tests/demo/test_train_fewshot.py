"""Training and measuring: the seed decides, all weights are trained, features decide the rates."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fastcam.attribution.reconstruction.maps import ridge_maps
from fastcam.demo.episodes import draw_episode, model_input
from fastcam.demo.fewshot_score import measure
from fastcam.demo.shapes_set import on_object
from fastcam.demo.train_fewshot import SMALL, TrainSettings, main, train
from fastcam.errors import InputError
from fastcam.models.checkpoints import load_into, read_state_dict
from fastcam.models.fewshot.build import FewshotOptions, build
from fastcam.models.fewshot.network import FewshotViT

# The same with fewer channels.
TINY = replace(SMALL, trunk=replace(SMALL.trunk, dim=24, depth=1, mlp_dim=24))


def test_the_same_seed_gives_the_same_weights_and_all_are_trained() -> None:
    state = torch.random.get_rng_state()
    one, same, other = (
        train(TrainSettings(episodes=2, seed=seed), TINY).state_dict() for seed in (3, 3, 4)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, same[key]) for key, value in one.items())
    assert not torch.equal(one["descriptor.weight"], other["descriptor.weight"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        start = FewshotViT(TINY).state_dict()
    stayed = [key for key, value in one.items() if torch.equal(value, start[key])]
    assert stayed == ["overlap.attn.sides"]


def test_the_loss_falls() -> None:
    losses: list[float] = []
    model = train(
        TrainSettings(episodes=16), TINY, lambda number, loss, accuracy: losses.append(loss)
    )
    assert len(losses) == 16
    assert np.mean(losses[-4:]) < 0.97 * np.mean(losses[:4])
    assert not model.training


class Seeing(FewshotViT):
    """Its features are the colours of the cells, less the background's grey."""

    def features(self, x: Tensor) -> Tensor:
        cells = torch.nn.functional.avg_pool2d(x, 8).flatten(2).transpose(1, 2)
        return cells - cells.median(dim=1, keepdim=True).values


class Blind(FewshotViT):
    """Noise in every cell."""

    def features(self, x: Tensor) -> Tensor:
        chance = torch.Generator().manual_seed(int(x.double().abs().sum()))
        return torch.randn(len(x), 64, 80, generator=chance)


def test_rates_are_high_for_features_of_the_object_and_at_chance_for_noise() -> None:
    seen, blind = measure(Seeing(TINY).eval(), 20), measure(Blind(TINY).eval(), 20)
    assert seen.accuracy_chance == pytest.approx(0.2)
    assert seen.peak_chance == blind.peak_chance
    assert 0.04 < seen.peak_chance < 0.15
    assert seen.accuracy > 0.3
    assert seen.peak > 0.4
    assert seen.object_peak > 0.8
    for rate in (blind.peak, blind.object_peak):
        assert abs(rate - blind.peak_chance) < 0.07
    assert abs(blind.accuracy - 0.2) < 0.09
    assert "chance 20.0%" in str(seen)


def test_the_measured_peak_is_that_of_the_maps() -> None:
    model, hits, shares = Seeing(TINY).eval(), [], []
    rng = np.random.default_rng(9)
    for _ in range(4):
        episode = draw_episode(rng, "held out")
        support, query = model.features(model_input(episode)).split([5, 10])
        maps = ridge_maps(query, [one[None] for one in support], (8, 8))
        objects = on_object(episode.support.masks, (8, 8))
        for at, label in enumerate(episode.labels):
            place = divmod(int(maps[label].received[at, 0].argmax()), 8)
            hits.append(objects[label][place])
            shares.append(objects[label].mean())
    found = measure(model, 4, seed=9)
    assert found.peak == pytest.approx(np.mean(hits))
    assert found.peak_chance == pytest.approx(np.mean(shares))


def test_only_ridge_is_measured() -> None:
    with pytest.raises(InputError, match="ridge"):
        measure(FewshotViT(replace(TINY, reconstruction="mutual")).eval(), 1)


@pytest.mark.parametrize(
    ("asked", "said"), [({"episodes": 0}, "episodes 0"), ({"learning_rate": -1.0}, "above 0")]
)
def test_settings_out_of_range(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        TrainSettings(**asked)


def test_the_script_writes_a_checkpoint_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "few.safetensors"
    main(path, episodes=1, held_out=1)
    rates = re.findall(r"[\d.]+%", capsys.readouterr().out.splitlines()[-1])
    assert len(rates) == 5
    state = read_state_dict(path)
    model = build(FewshotOptions(use_mab=True, use_ocab=True, use_drff=True), state)
    assert model.fewshot == SMALL
    assert load_into(model, state, path).complete

"""How a trained few-shot network does on episodes of kinds it has never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fastcam.demo.episodes import Episode, draw_episode, model_input, on_grid
from fastcam.errors import InputError
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.ridge import RidgeReconstruction, ridge_penalty, ridge_weights

# Far from the seeds people train with.
SEED = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """Shares of the queries of held-out episodes.

    ``told``: put into the right class. ``peak``: the place of the right class's support that
    receives the highest mass, the mean over all places of the query, lies on the object that both
    have in common; ``object_peak``: the same for the mean over the places of the query's object.
    Chance is one of the classes, and the share of the support's places that lie on the object.
    """

    told: float
    told_chance: float
    peak: float
    object_peak: float
    peak_chance: float

    def __str__(self) -> str:
        return (
            f"held-out episodes: {self.told:.1%} of the queries told right (chance "
            f"{self.told_chance:.1%}); the reconstruction's peak lies on the matching object for "
            f"{self.peak:.1%}, that of the query's object alone for {self.object_peak:.1%} (chance "
            f"{self.peak_chance:.1%})"
        )


@torch.no_grad()
def measure(model: FewshotViT, episodes: int = 100, seed: int = SEED) -> Found:
    """How ``model``, in eval mode, does on ``episodes`` held-out ones. InputError unless it
    reconstructs by ridge regression."""
    rng = np.random.default_rng(seed)
    shares = [_one(model, draw_episode(rng, "held out")) for _ in range(episodes)]
    return Found(*np.mean(shares, axis=0).tolist())


def _one(model: FewshotViT, episode: Episode) -> tuple[float, ...]:
    if not isinstance(model.reconstruct, RidgeReconstruction):
        raise InputError("the peak is measured for ridge reconstruction only")
    grid, labels = model.fewshot.trunk.grid, torch.from_numpy(episode.labels)
    described = model.features(model_input(episode))
    count = episode.ways * episode.shots
    support, query = described[:count].unflatten(0, (episode.ways, -1)), described[count:]
    support = support.flatten(1, 2)
    told = model.reconstruct(support, query).argmax(1) == labels
    penalty = ridge_penalty(support.shape[1], support.shape[2], model.reconstruct.alpha)
    weights = ridge_weights(query.double(), support[labels].double(), penalty)
    objects = _places(on_grid(episode.support.masks, grid)).reshape(episode.ways, -1)[labels]
    asking = _places(on_grid(episode.query.masks, grid)).double()[:, None]
    return (
        float(told.double().mean()),
        1 / episode.ways,
        _on_object(weights.mean(1), objects),
        _on_object((asking @ weights)[:, 0], objects),
        float(objects.double().mean()),
    )


def _places(cells: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Tensor:
    return torch.from_numpy(cells).flatten(1)


def _on_object(received: Tensor, objects: Tensor) -> float:
    return float(objects.gather(1, received.argmax(1, keepdim=True)).double().mean())

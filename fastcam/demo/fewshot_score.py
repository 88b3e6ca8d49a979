"""How a trained few-shot network does on episodes of kinds it has never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fastcam.demo.episodes import Episode, draw_episode, model_input
from fastcam.demo.shapes_set import on_object
from fastcam.errors import InputError
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.reconstruction import RidgeReconstruction, ridge_penalty, ridge_weights

# Far from the seeds people train with.
SEED = 1_000_000


@dataclass(frozen=True, slots=True)
class FewshotScore:
    """Shares of the queries of held-out episodes.

    Attributes:
        accuracy: put into the right class.
        accuracy_chance: one of the classes.
        peak: the cell of the right class's support that receives the highest mass, the mean over
            all cells of the query, lies on the object that both have in common.
        object_peak: the same for the mean over the cells of the query's object.
        peak_chance: of the support's cells, those that lie on the object.
    """

    accuracy: float
    accuracy_chance: float
    peak: float
    object_peak: float
    peak_chance: float

    def __str__(self) -> str:
        return (
            f"held-out episodes: {self.accuracy:.1%} of the queries classified correctly (chance "
            f"{self.accuracy_chance:.1%}); the reconstruction's peak lies on the matching object "
            f"for {self.peak:.1%}, that of the query's object alone for {self.object_peak:.1%} "
            f"(chance {self.peak_chance:.1%})"
        )


@torch.no_grad()
def measure(model: FewshotViT, episodes: int = 100, seed: int = SEED) -> FewshotScore:
    """How ``model``, in eval mode, does on ``episodes`` held-out ones. InputError unless it
    reconstructs by ridge regression."""
    rng = np.random.default_rng(seed)
    shares = [_measure_episode(model, draw_episode(rng, "held out")) for _ in range(episodes)]
    return FewshotScore(*np.mean(shares, axis=0).tolist())


def _measure_episode(model: FewshotViT, episode: Episode) -> tuple[float, ...]:
    if not isinstance(model.reconstruct, RidgeReconstruction):
        raise InputError("the peak is measured for ridge reconstruction only")
    grid, labels = model.fewshot.trunk.grid, torch.from_numpy(episode.labels)
    features = model.features(model_input(episode))
    count = episode.ways * episode.shots
    support, query = features[:count].unflatten(0, (episode.ways, -1)), features[count:]
    support = support.flatten(1, 2)
    right = model.reconstruct(support, query).argmax(1) == labels
    penalty = ridge_penalty(support.shape[1], support.shape[2], model.reconstruct.alpha)
    weights = ridge_weights(query.double(), support[labels].double(), penalty)
    objects = _flatten(on_object(episode.support.masks, grid)).reshape(episode.ways, -1)[labels]
    query_objects = _flatten(on_object(episode.query.masks, grid)).double()[:, None]
    return (
        float(right.double().mean()),
        1 / episode.ways,
        _on_object(weights.mean(1), objects),
        _on_object((query_objects @ weights)[:, 0], objects),
        float(objects.double().mean()),
    )


def _flatten(cells: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Tensor:
    return torch.from_numpy(cells).flatten(1)


def _on_object(received: Tensor, objects: Tensor) -> float:
    return float(objects.gather(1, received.argmax(1, keepdim=True)).double().mean())

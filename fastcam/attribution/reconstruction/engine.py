"""Queries compared with the support images of several classes, by a model's features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.tokens import image_size
from fastcam.attribution.cam.layers import default_layers, layer_modules
from fastcam.attribution.cam.reshape import require_layout, to_maps
from fastcam.attribution.cam.split import run_split
from fastcam.attribution.modules import as_input, eager_module, eval_mode, no_autocast
from fastcam.attribution.reconstruction.maps import (
    ClassMaps,
    check_support,
    mutual_maps,
    ridge_maps,
)
from fastcam.errors import InputError
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.reconstruction import MutualReconstruction, RidgeReconstruction

# Support images that go through the model together.
_SUPPORT_BATCH = 16


@dataclass(frozen=True, eq=False)
class ReconstructionMaps:
    """``b`` queries against every class.

    - ``maps``: by class, in the order of ``classes``
    - ``scores`` (b, classes) float32, logits: minus the distance times the temperature
    - ``trained``: whether the model was made for this comparison; without, probabilities only order
      the classes
    """

    maps: dict[str, ClassMaps]
    scores: Tensor
    trained: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the support."""
        return tuple(self.maps)

    @property
    def probability(self) -> Tensor:
        """(b, classes) float32, 0 to 1: the softmax of ``scores``."""
        return self.scores.softmax(1)


class ReconstructionEngine:
    """Where in the support images a query finds itself, and what it can't find there.

    engine = ReconstructionEngine(model, {"benign": images, "malignant": others})
    engine(queries).maps["benign"].received             # (b, k, h, w)

    ``support``: by class, images (k, c, h, w) preprocessed for ``model``; they go through it once,
    here. Of ``fewshot_vit`` without ``layer``: its own features and the reconstruction that it was
    trained with, ridge (FRN) or mutual (Bi-FRN). Of any other model, and with ``layer``, a dotted
    path: ridge regression on what the layer gives, by default the last with a grid of places, with
    λ and ρ where FRN starts; the features are scaled so that the mean squared norm of the support's
    places is 1 (FRN divides by √d, which does the same to normed features).

    Raises InputError without support, and for a layer that gives no grid.
    """

    def __init__(
        self, model: nn.Module, support: Mapping[str, Tensor], layer: str | None = None
    ) -> None:
        check_support(list(support.values()))
        model = eager_module(model)
        self._model = model
        self._own = model if isinstance(model, FewshotViT) and layer is None else None
        self._grid: tuple[int, ...] = ()
        self._scale = 1.0
        self.layer = ""
        if self._own is None:
            example = next(iter(support.values()))[:1]
            self.layer = layer or default_layers(model, example)[-1]
            self._module = layer_modules(model, [self.layer])[self.layer]
        self._support = {
            name: torch.cat([self._features(part) for part in images.split(_SUPPORT_BATCH)])
            for name, images in support.items()
        }
        if self._own is None:
            self._scale = self._unit_scale()
            self._support = {name: self._scale * f for name, f in self._support.items()}

    def __call__(self, batch: Tensor, query_index: int | None = None) -> ReconstructionMaps:
        """Maps of ``batch`` (b, c, h, w), preprocessed.

        ``query_index``: ``received`` is what this one place of the query gives, counted row by row,
        instead of the mean over all its places.
        """
        query = self._scale * self._features(batch)
        support, head = list(self._support.values()), None
        if self._own is not None:
            head = self._own.reconstruct
        if isinstance(head, MutualReconstruction):
            class_maps = mutual_maps(query, support, self._grid, head, query_index)
            distances = [
                head.shares[0] * m.distance
                + head.shares[1] * torch.as_tensor(m.support_error).flatten(1).mean(1)
                for m in class_maps
            ]
            temperature = head.temperature.item()
        else:
            alpha, beta, temperature = 0.0, 0.0, 1.0
            if isinstance(head, RidgeReconstruction):
                alpha, beta = head.alpha.item(), head.beta.item()
                temperature = head.temperature.item()
            class_maps = ridge_maps(query, support, self._grid, alpha, beta, query_index)
            distances = [m.distance for m in class_maps]
        scores = -temperature * torch.stack(distances, 1).detach().float()
        maps = dict(zip(self._support, class_maps, strict=True))
        return ReconstructionMaps(maps, scores, trained=self._own is not None)

    def _features(self, batch: Tensor) -> Tensor:
        """(b, places, d) in the layer's precision."""
        if self._own is not None:
            self._grid = self._own.fewshot.trunk.grid
            with torch.no_grad(), eval_mode(self._own):
                return self._own.features(as_input(self._own, batch))
        split = run_split(self._model, {self.layer: self._module}, batch, False)
        if len(split.activations) > 1:
            raise InputError(
                f"reconstruction compares what one call of a layer gives, and {self.layer!r} runs "
                f"{len(split.activations)} times: choose {' or '.join(split.activations)}"
            )
        (values,) = split.activations.values()
        layout = require_layout(
            self.layer,
            self._model,
            self._module,
            values,
            image_size(batch),
        )
        if self._grid and layout.grid != self._grid:
            raise InputError(
                f"layer {self.layer!r} gives a grid of {_grid(layout.grid)} for the query and of "
                f"{_grid(self._grid)} for the support: images must have one size"
            )
        self._grid = layout.grid
        return to_maps(values, layout).flatten(2).mT

    def _unit_scale(self) -> float:
        with no_autocast(next(iter(self._support.values()))):
            squares = torch.cat(
                [f.double().square().sum(-1).flatten() for f in self._support.values()]
            )
        mean = float(squares.mean())
        if not 0.0 < mean < float("inf"):
            raise InputError(
                f"layer {self.layer!r} gives {'zeros' if mean == 0 else 'NaN or infinite values'} "
                "for the support images: nothing can be compared; choose another layer"
            )
        return float(mean**-0.5)


def _grid(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))

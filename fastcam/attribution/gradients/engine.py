"""Gradients of a batch at the input: plain, smoothed over noise, integrated along a path."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from fastcam.attribution.baselines import baseline_images, image_slices, map_name
from fastcam.attribution.batch_maps import BatchMaps, Targets, check_batch
from fastcam.attribution.gradients.baseline_output import BaselineOutput
from fastcam.attribution.gradients.formulas import (
    input_x_gradient,
    integrated_gradients,
    noise_samples,
    path_nodes,
    saliency,
)
from fastcam.attribution.input_engine import InputEngine
from fastcam.attribution.modules import as_input, gradient_pass, no_autocast
from fastcam.attribution.nonfinite import keep_finite
from fastcam.attribution.targets import Score, TargetScores, score_of, target_scores
from fastcam.errors import InputError

COMPLETENESS = "integrated-gradients: completeness error"
_PLAIN = ("saliency", "inputxgradient")
_ROUNDING = 1e-6


class GradientEngine(InputEngine):
    """Maps of gradients at the input, for one batch after another.

    engine = GradientEngine(model, ["saliency", "integrated-gradients"])
    engine(images).maps["integrated-gradients"]         # (b, h, w)

    ``methods``: of saliency, inputxgradient, smoothgrad, integrated-gradients. ``targets``: what is
    explained, as :func:`target_scores` takes it. ``settings``: steps, baseline, samples and noise.
    inputxgradient and integrated-gradients are evidence for and against; saliency and smoothgrad
    are magnitudes.

    One image of the batch is one image in every pass, so that memory is that of a batch's forward
    and backward pass whatever the number of steps. Saliency and inputxgradient share a pass. Of a
    model with several images each has a map, ``saliency/NAME``; its numbers stay as they are.

    ``measures`` has of integrated-gradients the completeness error of each target: |Σ map - (y(x) -
    y(x'))| / |y(x) - y(x')|, 0 where the map accounts for all of the difference (Sundararajan et
    al. 2017, proposition 1).
    """

    @cached_property
    def _baseline_output(self) -> BaselineOutput:
        return BaselineOutput(self._model)

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w) or (b, c, d, h, w), named by their methods.

        Each is float32 (b, *s) at the input's resolution, (b, t, *s) where ``targets`` name t for
        each image; NaN where the model's output is not finite. Raises InputError for a batch that
        is no batch of images, wrong targets, and a model whose output has no gradient.
        """
        check_batch(batch)
        batch = as_input(self._model, batch)
        targets = self._targets if targets is None else targets
        with gradient_pass(self._model):
            batch = batch.clone() if batch.is_inference() else batch.detach()
            scores, gradients = self._first_pass(batch, targets)
            score = score_of(targets, scores)
            parts: dict[str, Tensor] = {}
            measures = None
            if gradients is not None:
                with torch.no_grad(), no_autocast(batch):
                    parts |= self._plain_maps(batch, gradients)
            if "smoothgrad" in self._methods:
                parts |= self._smoothgrad(batch, scores, score)
            if "integrated-gradients" in self._methods:
                integrated, measures = self._integrated(batch, scores, score)
                parts |= integrated
        maps = {
            name: keep_finite(values if scores.several else values[:, 0], scores.output)
            for name, values in sorted(parts.items(), key=lambda item: self._order(item[0]))
        }
        count = 0 if measures is None else measures.shape[1]
        return BatchMaps(
            maps,
            scores.output,
            targets=scores.classes,
            measures=measures,
            measure_names=(COMPLETENESS,) * count,
            **scores.answer_facts,
        )

    def _order(self, name: str) -> int:
        return self._methods.index(name.partition("/")[0])

    def _first_pass(
        self, batch: Tensor, targets: Targets
    ) -> tuple[TargetScores, list[Tensor] | None]:
        """What is explained, and where a method needs them the gradients (b, c, *s) by target."""
        plain = any(method in _PLAIN for method in self._methods)
        with torch.set_grad_enabled(plain):
            leaf = batch.requires_grad_() if plain else batch
            scores = target_scores(targets, self._model(leaf), len(batch), tuple(batch.shape[2:]))
        if len(scores.output) != len(batch):
            raise InputError(
                f"the model gives {len(scores.output)} answers for {len(batch)} images"
            )
        boxes = scores.boxes is not None
        return scores, _gradients(scores.values, leaf, boxes) if plain else None

    def _gradients_at(self, images: Tensor, score: Score, first: TargetScores) -> list[Tensor]:
        """∂y/∂x (b, c, *s) at ``images`` for each target; ``first``: of the images as they are."""
        leaf = images.detach().requires_grad_()
        rows = torch.arange(len(images), device=images.device)
        return _gradients(score(self._model(leaf), rows), leaf, first.boxes is not None)

    def _plain_maps(self, batch: Tensor, gradients: Sequence[Tensor]) -> dict[str, Tensor]:
        maps = {}
        for image, channels in image_slices(self._model, batch.shape[1]).items():
            of_image = [gradient[:, channels] for gradient in gradients]
            if "saliency" in self._methods:
                name = map_name("saliency", image)
                maps[name] = torch.stack([saliency(gradient) for gradient in of_image], 1)
            if "inputxgradient" in self._methods:
                products = [input_x_gradient(batch[:, channels], g) for g in of_image]
                name = map_name("inputxgradient", image)
                maps[name] = torch.stack(products, 1)
        return maps

    def _smoothgrad(self, batch: Tensor, scores: TargetScores, score: Score) -> dict[str, Tensor]:
        """max_c |mean of g_c over noisy images| (Smilkov et al. 2017, eq. 1)."""
        settings = self._settings
        slices = image_slices(self._model, batch.shape[1])
        numbers = _other_channels(slices, batch)
        totals: list[Tensor] = []
        for noisy in noise_samples(batch, settings.samples, settings.noise, settings.seed):
            images = _with_channels(noisy, batch, numbers)
            _add(totals, self._gradients_at(images, score, scores), 1.0)
        means = torch.stack([total / settings.samples for total in totals], 1)
        return {
            map_name("smoothgrad", image): means[:, :, channels].abs().amax(2)
            for image, channels in slices.items()
        }

    def _integrated(
        self, batch: Tensor, scores: TargetScores, score: Score
    ) -> tuple[dict[str, Tensor], Tensor]:
        kind = "black" if self._settings.baseline == "auto" else self._settings.baseline
        slices = image_slices(self._model, batch.shape[1])
        with torch.no_grad():
            batch = batch.detach()
            numbers = _other_channels(slices, batch)
            start = baseline_images(batch, kind, self._settings.black)
            start = _with_channels(start, batch, numbers)
            rows = torch.arange(len(batch), device=batch.device)
            alike = kind in ("black", "zero") and numbers is None
            empty = score(self._baseline_output(start, alike), rows)
            difference = scores.values.detach().float() - empty.float()
        totals: list[Tensor] = []
        for position, weight in path_nodes(self._settings.steps):
            images = torch.lerp(start, batch, position)
            _add(totals, self._gradients_at(images, score, scores), weight)
        maps: dict[str, Tensor] = {}
        with torch.no_grad(), no_autocast(batch):
            accounted = torch.zeros_like(difference)
            for image, channels in slices.items():
                parts = [
                    integrated_gradients(batch[:, channels], start[:, channels], of_target)
                    for of_target in (total[:, channels] for total in totals)
                ]
                values = torch.stack(parts, 1)
                accounted += values.double().flatten(2).sum(2).float()
                maps[map_name("integrated-gradients", image)] = values
            # Below rounding there is no difference that a map could account for.
            rounding = _ROUNDING * scores.values.detach().float().abs().clamp_min(_ROUNDING)
            error = (accounted - difference).abs() / difference.abs().maximum(rounding)
        return maps, error


def _gradients(values: Tensor, leaf: Tensor, boxes: bool) -> list[Tensor]:
    """∂ Σ values[:, i] / ∂leaf for each column i; 0 where these are the scores of ``boxes`` and
    there are none."""
    if boxes and not values.requires_grad and not bool(values.detach().any()):
        return [torch.zeros_like(leaf) for _ in range(values.shape[1])]
    if not values.requires_grad:
        raise InputError(
            "the output has no gradient at the input: the model, or the target, cuts the graph "
            "(detach, no_grad, argmax, numpy); use occlusion or rise, which need none"
        )
    count = values.shape[1]
    gradients: list[Tensor] = []
    for column in range(count):
        total = values[:, column].sum()
        (gradient,) = torch.autograd.grad(total, leaf, retain_graph=column < count - 1)
        gradients.append(gradient)
    return gradients


def _add(totals: list[Tensor], parts: Sequence[Tensor], weight: float) -> None:
    if not totals:
        totals += [torch.zeros_like(part, dtype=torch.float32) for part in parts]
    for total, part in zip(totals, parts, strict=True):
        total.add_(part, alpha=weight)


def _other_channels(slices: dict[str, slice], batch: Tensor) -> Tensor | None:
    """(c,) bool: channels that are no image's, of a model that takes numbers; None without."""
    others = torch.ones(batch.shape[1], dtype=torch.bool, device=batch.device)
    for channels in slices.values():
        others[channels] = False
    return others if bool(others.any()) else None


def _with_channels(changed: Tensor, batch: Tensor, others: Tensor | None) -> Tensor:
    """``changed``, but for the channels ``others``, which are those of ``batch``."""
    if others is None:
        return changed
    return torch.where(others.reshape(1, -1, *(1,) * (batch.ndim - 2)), batch, changed)

"""Occlusion and RISE of a batch: what the output loses where an image is covered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.baselines import baseline_images, image_slices, map_name
from fastcam.attribution.batch_maps import BatchMaps, Targets, check_batch, logits_of
from fastcam.attribution.input_engine import InputEngine
from fastcam.attribution.modules import as_input, eager_mode, frozen_eval
from fastcam.attribution.nonfinite import keep_finite
from fastcam.attribution.perturbations.masks import random_masks, window_geometry, windows
from fastcam.attribution.targets import Score, TargetScores, score_of, target_scores
from fastcam.errors import InputError


class PerturbationEngine(InputEngine):
    """Maps of occlusion and RISE, for one batch after another.

    engine = PerturbationEngine(model, ["occlusion", "rise"])
    engine(images).maps["rise"]                         # (b, h, w)

    ``targets``: what is explained, as :func:`target_scores` takes it. ``settings``: the window,
    the masks, and what covers an image; ``pass_size`` covered images are in a forward pass, so that
    memory is that of a batch whatever the number of masks.

    Of a model with several images each has a map, ``rise/NAME``, for which it alone is covered.
    """

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w) or (b, c, d, h, w), named by their methods.

        Each is float32 (b, *s) at the input's resolution, (b, t, *s) where ``targets`` name t for
        each image; NaN where the model's output is not finite. Raises InputError for a batch that
        is no batch of images and wrong targets.
        """
        check_batch(batch)
        batch = as_input(self._model, batch)
        targets = self._targets if targets is None else targets
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            frozen_eval(self._model),
            eager_mode(self._model),
        ):
            batch = batch.clone() if batch.is_inference() else batch
            scores = target_scores(targets, self._model(batch), len(batch), tuple(batch.shape[2:]))
            if len(scores.output) != len(batch):
                raise InputError(
                    f"the model gives {len(scores.output)} answers for {len(batch)} images"
                )
            score = score_of(targets, scores)
            maps = {
                map_name(method, image): self._maps(method, channels, batch, scores, score)
                for method in self._methods
                for image, channels in image_slices(self._model, batch.shape[1]).items()
            }
        return BatchMaps(
            {
                name: keep_finite(values if scores.several else values[:, 0], scores.output)
                for name, values in maps.items()
            },
            scores.output,
            targets=scores.classes,
            **scores.answer_facts,
        )

    def _maps(
        self, method: str, channels: slice, batch: Tensor, scores: TargetScores, score: Score
    ) -> Tensor:
        """Maps (b, t, *s) of a method, image by image."""
        kind = "zero" if self._settings.baseline == "auto" else self._settings.baseline
        covers = baseline_images(batch, kind, self._settings.black)
        make_map = self._occlusion if method == "occlusion" else self._rise
        if method == "rise":
            score = self._probabilities(score, scores)
        maps = [
            make_map(_CoveredImage(self._model, batch, covers, channels, row, score))
            for row in range(len(batch))
        ]
        return torch.stack(maps)

    def _occlusion(self, image: _CoveredImage) -> Tensor:
        """(t, *s): at each pixel the mean loss of the output over the windows that cover it (Zeiler
        & Fergus 2014, section 4.2)."""
        settings = self._settings
        sides, strides = window_geometry(
            image.size, settings.occlusion_size, settings.occlusion_stride
        )
        boxes = windows(image.size, sides, strides)
        whole = image.scores(image.visible(1))
        sums = image.visible(whole.shape[1]).zero_()
        counts = image.visible(1)[0].zero_()
        for start in range(0, len(boxes), settings.pass_size):
            part = boxes[start : start + settings.pass_size]
            masks = image.visible(len(part))
            for mask, box in zip(masks, part, strict=True):
                mask[box] = 0.0
            losses = whole - image.scores(masks)
            for box, loss in zip(part, losses, strict=True):
                sums[(slice(None), *box)] += loss.reshape(-1, *(1,) * len(box))
                counts[box] += 1.0
        return sums / counts

    def _rise(self, image: _CoveredImage) -> Tensor:
        """(t, *s): Σ_i (s_i - mean s) M_i / (N p) (Petsiuk et al. 2018, eq. 6).

        The mean of the scores is taken off: it would add the mean of the masks, which has nothing
        to do with the image and is no more than noise between N masks.
        """
        settings = self._settings
        masks = random_masks(
            image.size,
            settings.masks,
            settings.cells,
            settings.keep,
            settings.seed,
            settings.pass_size,
        )
        weighted_sum: Tensor | None = None
        mask_sum = torch.zeros(image.size, device=image.batch.device)
        totals: list[Tensor] = []
        for part in masks:
            visible = part.to(image.batch.device)
            scores = image.scores(visible)
            of_part = torch.einsum("mt,m...->t...", scores, visible)
            weighted_sum = of_part if weighted_sum is None else weighted_sum + of_part
            mask_sum += visible.sum(0)
            totals.append(scores.sum(0))
        assert weighted_sum is not None
        mean = torch.stack(totals).sum(0) / settings.masks
        centered = weighted_sum - mean.reshape(-1, *(1,) * mask_sum.ndim) * mask_sum
        return centered / (settings.masks * settings.keep)

    def _probabilities(self, score: Score, first: TargetScores) -> Score:
        """``score`` as the probability of a class; as it is of a regression and of a callable."""
        classes, multilabel = first.classes, self._settings.multilabel
        number = first.output.shape[1] == 1 and not multilabel
        if classes is None or first.segmentation or first.boxes is not None or number:
            return score

        def probability(output: Any, rows: Tensor) -> Tensor:
            logits = logits_of(output, len(rows)).float()
            shares = logits.sigmoid() if multilabel else logits.softmax(1)
            return shares.gather(1, classes[rows])

        return probability


@dataclass(frozen=True, eq=False)
class _CoveredImage:
    """One image of a batch, whose ``channels`` are covered by those of ``covers``.

    - ``batch``, ``covers`` (b, c, *s): the images, and what covers them
    - ``row``: which of the batch
    - ``score``: what is explained
    """

    model: nn.Module
    batch: Tensor
    covers: Tensor
    channels: slice
    row: int
    score: Score

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(self.batch.shape[2:])

    def visible(self, count: int) -> Tensor:
        """``count`` masks (count, *s) that cover nothing."""
        return torch.ones((count, *self.size), device=self.batch.device)

    def scores(self, masks: Tensor) -> Tensor:
        """What is explained (m, t) float32 of the image seen through ``masks`` (m, *s), 1 where it
        is visible."""
        image, cover = self.batch[self.row], self.covers[self.row]
        images = image.expand(len(masks), *image.shape).clone()
        weights = masks[:, None].to(image.dtype)
        part, beneath = image[self.channels], cover[self.channels]
        images[:, self.channels] = beneath + weights * (part - beneath)
        rows = torch.full((len(masks),), self.row, device=image.device)
        return self.score(self.model(images), rows).float()

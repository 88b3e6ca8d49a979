"""Deletion and insertion: does the output follow the pixels that a map marks?

Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models", section
4.1. Deletion removes the pixels, those with the highest map values first; a faithful map makes the
output fall early, so a small area under the curve is good. Insertion adds them in the same order to
a blurred image; a large area is good. An area alone says little, since it depends on model and
image: beside each map stand maps of noise at the same resolution, and a Gaussian in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.batch_maps import logits_of
from fastcam.attribution.faithfulness.pixel_order import (
    blurred,
    center_map,
    map_failure,
    pixel_ranks,
)
from fastcam.attribution.modules import as_input, device_of, frozen_eval
from fastcam.errors import InputError

Task = Literal["classification", "multilabel", "regression"]
Fill = Literal["mean", "zero"]
Kind = Literal["probability", "closeness"]
# Below this share of the output's size a change is rounding.
_ROUNDING = 1e-5

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class FaithfulnessSettings:
    """How curves are measured.

    - ``steps``: into how many equal parts the pixels are cut
    - ``random_maps``: maps of noise an image
    - ``centre``: whether a Gaussian in the middle is measured as well
    - ``fill``: what deleted pixels become: "mean", the image's mean of each channel; "zero", 0 in
      the model's input, as in the paper; or a number for each channel
      (:func:`fastcam.attribution.baselines.black_of`)
    - ``blur``: standard deviation of the blur that insertion starts from, as a share of the
      shortest side, above 0 and below 1
    - ``batch_size``: images in one forward pass
    - ``seed``: the same gives the same noise

    Raises InputError for values out of range.
    """

    steps: int = 50
    random_maps: int = 3
    centre: bool = True
    fill: Fill | tuple[float, ...] = "mean"
    blur: float = 0.05
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 2), ("random_maps", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} {getattr(self, name)} is too small: at least {least}")
        if isinstance(self.fill, str) and self.fill not in get_args(Fill):
            raise InputError(f"fill {self.fill!r}: use mean, zero, or a number for each channel")
        if not 0.0 < self.blur < 1.0:
            raise InputError(f"blur {self.blur}: must be between 0 and 1, a share of the side")


@dataclass(frozen=True, eq=False, kw_only=True)
class Curves:
    """Curves of n images.

    - ``kind`` probability: that of the explained class, by softmax (multilabel: sigmoid).
      closeness, for a regression: 1 - |output - output of the whole image| / the largest such
      change that any curve of the image has; 1 is the whole image's output, 0 the farthest from it
    - ``fractions`` (steps + 1,) float64, shares of the pixels, 0 to 1
    - ``deletion``, ``insertion`` (n, steps + 1) float32, over ``fractions``; NaN for images without
    - ``random_deletion``, ``random_insertion``: the same, mean over the maps of noise
    - ``centre_deletion``, ``centre_insertion``: the same of the Gaussian in the middle; None where
      it is left out
    - ``reasons`` (n): why an image has no curves, empty where all is well
    """

    kind: Kind
    fractions: NDArray[np.float64]
    deletion: Floats
    insertion: Floats
    random_deletion: Floats
    random_insertion: Floats
    centre_deletion: Floats | None
    centre_insertion: Floats | None
    reasons: tuple[str, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,): which images have curves."""
        return np.array([not reason for reason in self.reasons], np.bool_)

    def auc(self, name: str) -> NDArray[np.float64]:
        """Area under each curve called ``name``, by the trapezoidal rule: (n,), NaN without one."""
        values = getattr(self, name).astype(np.float64)
        areas: NDArray[np.float64] = np.trapezoid(values, self.fractions, axis=1)
        return areas


def faithfulness(
    model: nn.Module,
    images: Tensor,
    maps: Tensor | NDArray[np.float32],
    targets: Tensor | Sequence[int] | int | None = None,
    *,
    task: Task | Literal["auto"] = "auto",
    settings: FaithfulnessSettings | None = None,
    channels: Tensor | None = None,
    on_progress: Callable[[int], None] = lambda more: None,
) -> Curves:
    """Curves of ``images`` (n, c, *S), preprocessed, whose ``maps`` (n, *s) are raw.

    Maps are enlarged to the images linearly (align_corners=False), as in the figures; equal values
    are put in random order. Evidence for and against both matter to a regression: there pixels are
    ordered by magnitude. ``targets``: the output that each map explains, None the predicted class.
    ``task`` "auto": a regression where the model has one output. ``channels`` (c,) bool: those that
    the maps lie over, which alone are deleted; None for all. ``on_progress`` gets 1 after each
    image. For each image the model sees 2 (steps - 1) (1 + random_maps + centre) + 3 pictures, 493
    by default. It is left as it was.

    Raises InputError where maps and images don't fit together.
    """
    return faithfulness_of_methods(
        model,
        images,
        {"": torch.as_tensor(maps)},
        targets,
        task=task,
        settings=settings,
        channels=channels,
        on_progress=on_progress,
    )[""]


def faithfulness_of_methods(
    model: nn.Module,
    images: Tensor,
    maps: Mapping[str, Tensor],
    targets: Tensor | Sequence[int] | int | None = None,
    *,
    task: Task | Literal["auto"] = "auto",
    settings: FaithfulnessSettings | None = None,
    channels: Tensor | None = None,
    on_progress: Callable[[int], None] = lambda more: None,
) -> dict[str, Curves]:
    """:func:`faithfulness` of several methods' maps of the same images, by their names.

    They share noise, Gaussian and, of a regression, the largest change: for each image the model
    sees 2 (steps - 1) (methods + random_maps + centre) + 3 pictures.
    """
    settings = settings or FaithfulnessSettings()
    device = device_of(model)
    for values in maps.values():
        if values.ndim != images.ndim - 1 or len(values) != len(images) or not len(images):
            shapes = f"{tuple(values.shape)} maps for {tuple(images.shape)} images"
            raise InputError(f"{shapes}: one map (n, h, w) each")
    curve_run = _CurveRun(model, settings, device, channels)
    results: dict[str, list[dict[str, Floats]]] = {name: [] for name in maps}
    reasons: dict[str, list[str]] = {name: [] for name in maps}
    with torch.inference_mode(False), torch.no_grad(), frozen_eval(model):
        classes, task = curve_run.targets_of(images, targets, task)
        for index in range(len(images)):
            own = {name: values[index].to(device).float() for name, values in maps.items()}
            failures = {name: map_failure(values) for name, values in own.items()}
            usable = {name: values for name, values in own.items() if not failures[name]}
            curves = curve_run.curves(
                images[index].to(device), usable, int(classes[index]), task, index
            )
            for name, reason in failures.items():
                of_map = curves.get(name, {})
                reason = reason or _output_failure(of_map)
                reasons[name].append(reason)
                results[name].append(of_map if not reason else {})
            on_progress(1)
    kind: Kind = "closeness" if task == "regression" else "probability"
    return {name: _stack_curves(results[name], reasons[name], settings, kind) for name in maps}


def one_map(values: Tensor, dims: int = 2) -> Tensor:
    """One map an image, (b, *s), of a :class:`BatchMaps` entry for images of ``dims`` axes.

    Of several targets the first; of attention (b, layers, heads, *s) the last layer's mean head.
    """
    axes = values.ndim - dims
    if axes == 3:
        return values[:, -1].mean(1)
    return values[:, 0] if axes == 2 else values


class _CurveRun:
    """The model with all that stays the same from image to image."""

    def __init__(
        self,
        model: nn.Module,
        settings: FaithfulnessSettings,
        device: torch.device,
        channels: Tensor | None,
    ) -> None:
        self.model, self.settings, self.device = model, settings, device
        self.channels = None if channels is None else channels.to(device)

    def outputs(self, images: Iterator[Tensor]) -> Tensor:
        """Raw answers (m, k) float32 to images (c, *S), ``batch_size`` at a time."""
        outputs, batch = [], []
        for image in images:
            batch.append(image)
            if len(batch) == self.settings.batch_size:
                outputs.append(self.answer(torch.stack(batch)))
                batch = []
        if batch:
            outputs.append(self.answer(torch.stack(batch)))
        return torch.cat(outputs)

    def answer(self, batch: Tensor) -> Tensor:
        if batch.ndim == 4:
            batch = batch.contiguous(memory_format=torch.channels_last)
        return logits_of(self.model(as_input(self.model, batch)), len(batch)).float()

    def targets_of(
        self, images: Tensor, targets: Any, task: Task | Literal["auto"]
    ) -> tuple[Tensor, Task]:
        if targets is None:
            raw = self.outputs(image.to(self.device) for image in images)
            classes, outputs = raw.argmax(1), raw.shape[1]
        else:
            outputs = self.answer(images[:1].to(self.device)).shape[1]
            classes = torch.as_tensor(targets).reshape(-1).expand(len(images))
        if int(classes.min()) < 0 or int(classes.max()) >= outputs:
            raise InputError(f"target {int(classes.max())}: the model has {outputs} outputs")
        if task == "auto":
            task = "regression" if outputs == 1 else "classification"
        return classes.cpu(), task

    def curves(
        self, image: Tensor, maps: Mapping[str, Tensor], target: int, task: Task, index: int
    ) -> dict[str, dict[str, Floats]]:
        """By map and name the curves (steps + 1,) of one image."""
        if not maps:
            return {}
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + index)
        # Noise is as coarse as the first of the maps.
        grid, size = next(iter(maps.values())).shape, image.shape[1:]
        orders = [
            pixel_ranks(values.abs() if task == "regression" else values, size, generator)
            for values in maps.values()
        ]
        for _ in range(self.settings.random_maps):
            noise = torch.rand(grid, generator=generator).to(self.device)
            orders.append(pixel_ranks(noise, size, generator))
        if self.settings.centre:
            orders.append(pixel_ranks(center_map(size).to(self.device), size, generator))
        filled = self.over_channels(self.filled(image), image)
        smooth = self.over_channels(blurred(image, self.settings.blur), image)
        steps, pixels = self.settings.steps, orders[0].numel()
        counts = [round(pixels * k / steps) for k in range(1, steps)]
        ends = self.answer(torch.stack([image, filled, smooth]))

        def changed() -> Iterator[Tensor]:
            for base, below in ((filled, True), (smooth, False)):
                for order in orders:
                    for count in counts:
                        first = order < count
                        yield torch.where(first if below else ~first, base, image)

        scores = _scores(torch.cat([ends, self.outputs(changed())]), target, task)
        whole, none, start = scores[:3].tolist()
        parts = scores[3:].reshape(2, len(orders), steps - 1).cpu().numpy()
        rows = len(orders)
        deletion = np.hstack([np.full((rows, 1), whole), parts[0], np.full((rows, 1), none)])
        insertion = np.hstack([np.full((rows, 1), start), parts[1], np.full((rows, 1), whole)])
        both = np.stack([deletion, insertion])
        if task == "regression":
            away = np.abs(both - whole)
            largest = float(away.max())
            changes = largest > _ROUNDING * max(abs(whole), 1e-30)
            both = 1 - away / largest if changes else np.full_like(both, np.nan)
        first, last = len(maps), len(maps) + self.settings.random_maps
        curves: dict[str, dict[str, Floats]] = {map_name: {} for map_name in maps}
        for name, table in zip(("deletion", "insertion"), both.astype(np.float32), strict=True):
            for row, of_map in enumerate(curves.values()):
                of_map[name] = table[row]
                of_map[f"random_{name}"] = table[first:last].mean(0)
                if self.settings.centre:
                    of_map[f"centre_{name}"] = table[last]
        return curves

    def over_channels(self, changed: Tensor, image: Tensor) -> Tensor:
        """``changed`` (c, *S) in the channels that maps lie over, and ``image`` in the others."""
        if self.channels is None:
            return changed
        return torch.where(self.channels.reshape(-1, *(1,) * (image.ndim - 1)), changed, image)

    def filled(self, image: Tensor) -> Tensor:
        shape = (-1, *(1,) * (image.ndim - 1))
        fill = self.settings.fill
        if fill == "mean":
            return image.mean(tuple(range(1, image.ndim)), keepdim=True).expand_as(image)
        if fill == "zero":
            return torch.zeros_like(image)
        if len(fill) != len(image):
            raise InputError(f"fill has {len(fill)} numbers for images of {len(image)} channels")
        return torch.tensor(fill, device=self.device).reshape(shape).expand_as(image)


def _scores(output: Tensor, target: int, task: Task) -> Tensor:
    if task == "classification":
        return output.softmax(1)[:, target]
    return output.sigmoid()[:, target] if task == "multilabel" else output[:, target]


def _output_failure(curves: dict[str, Floats]) -> str:
    if curves and not math.isfinite(float(sum(values.sum() for values in curves.values()))):
        return "the output is not finite, or the same whatever is deleted"
    return ""


def _stack_curves(
    results: list[dict[str, Floats]], reasons: list[str], settings: FaithfulnessSettings, kind: Kind
) -> Curves:
    none = np.full(settings.steps + 1, np.nan, np.float32)

    def table(name: str) -> Floats:
        return np.stack([curves.get(name, none) for curves in results])

    return Curves(
        kind=kind,
        fractions=np.linspace(0.0, 1.0, settings.steps + 1),
        deletion=table("deletion"),
        insertion=table("insertion"),
        random_deletion=table("random_deletion"),
        random_insertion=table("random_insertion"),
        centre_deletion=table("centre_deletion") if settings.centre else None,
        centre_insertion=table("centre_insertion") if settings.centre else None,
        reasons=tuple(reasons),
    )

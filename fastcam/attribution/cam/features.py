"""CAMs with measures of the same pass: of activations, and of the left half against the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets
from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.formulas import GRADIENT_METHODS
from fastcam.attribution.cam.split import Split, gradients_of
from fastcam.attribution.detection import DetectionTargets
from fastcam.attribution.modules import no_autocast
from fastcam.attribution.request import GRADIENT_X_INPUT, MapRequest
from fastcam.attribution.targets import TargetScores
from fastcam.attribution.windowed import WindowedEngine
from fastcam.errors import InputError

# Longer side of a half's map at the input, in cells: as fine as the finest layer of most models.
_HALF_SIDE = 56
_INPUT = ".input"


class FeatureEngine:
    """The maps of a :class:`CamEngine` for ``request``, of one target an image, and measures.

    ``measures`` (b, 6 · layers) float32, layer by layer those of :func:`_activation_measures`. With
    bilateral halves (``halves`` other than "no") there is one more, the left half's share of
    Σ|gradient × input|, and a map of the same, ``gradient_x_input`` (b, h, w), over the whole
    image: left half beside right half, the right one as it lies in the image. It takes a backward
    pass to the input, the rest a few sums.

    Not the gradient alone: a model that compares the halves moves as much by either, wherever the
    finding is. ``black`` (c,) is black in each channel of the batch, as it is normalized: the input
    is counted from it, since empty background has no part in an answer.

    Where ``request`` has windows, maps are stitched as :class:`WindowedEngine` does it, and an
    image's measures are of the activations of all its windows together: what two of them cover
    counts twice.

    Raises InputError where ``request`` names several classes or boxes, and windows or boxes of
    bilateral halves.
    """

    def __init__(
        self,
        model: nn.Module,
        request: MapRequest,
        halves: str,
        compiled: bool,
        black: Sequence[float] = (0.0,),
    ) -> None:
        if len(request.classes) + len(request.boxes) > 1:
            raise InputError("--target: an analysis explains one output, or box, of each image")
        if request.boxes and halves != "no":
            raise InputError(
                f"--target {request.boxes[0]} and --asymmetry: a box lies on one image, and not on "
                "its two halves; leave one of them out"
            )
        if request.windows is not None and halves != "no":
            raise InputError(
                "--window and --asymmetry: the left half's share is of the whole image, which such "
                "a model compares with its right half; leave one of them out"
            )
        targets: Targets = DetectionTargets(request.boxes) if request.boxes else None
        targets = next(iter(request.classes), targets)
        self._halves = halves
        self._black = torch.tensor(black)[:, None, None]
        self._engine = _RecordingEngine(
            model,
            request.layers,
            request.methods,
            targets=targets,
            prefix_tokens=request.prefix_tokens,
            # A hook at the input would not be seen by a compiled model.
            compile=compiled and halves == "no",
        )
        self._engine.to_input = halves != "no"
        self._numbers: list[list[_ActivationNumbers]] = []
        self._maps: Engine = self._measured
        if request.windows is not None:
            self._maps = WindowedEngine(
                model,
                self._measured,
                request.windows,
                targets=targets,
                batch_size=request.settings.pass_size,
            )

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps and measures of ``batch`` (b, c, h, w)."""
        self._numbers = []
        result = self._maps(batch, targets)
        measures = [
            _measures(list(of_layer), len(batch)) for of_layer in zip(*self._numbers, strict=True)
        ]
        maps = dict(result.maps)
        gradient = self._engine.input_gradient
        if gradient is not None:
            magnitudes = (gradient.float() * (batch - self._black.to(batch))).abs()
            left, right = magnitudes.flatten(2).chunk(2, 1)
            sums = torch.stack([left.sum((1, 2)), right.sum((1, 2))], 1)
            # Nobody's share where nothing has a gradient: half and half.
            total = sums.sum(1, keepdim=True)
            measures.append(torch.where(total > 0, sums[:, :1] / total, 0.5))
            maps[GRADIENT_X_INPUT] = _bilateral_map(magnitudes, self._halves)
        self._engine.release()
        self._numbers = []
        return replace(result, maps=maps, measures=torch.cat(measures, 1))

    def _measured(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps of a batch, or of some windows of it; the numbers of each layer are kept."""
        result = self._engine(batch, targets)
        self._numbers.append([_numbers(values) for values in self._engine.activations.values()])
        return result


class _RecordingEngine(CamEngine):
    """Keeps the activations of the last batch as (b, k, h, w), and the gradient at the input."""

    to_input = False
    input_gradient: Tensor | None = None

    def release(self) -> None:
        self.activations: dict[str, Tensor] = {}
        self.input_gradient = None

    def _run(self, layers: Mapping[str, nn.Module], batch: Tensor, gradients: bool) -> Split:
        self.release()
        leaves: list[Tensor] = []

        def enter(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            # Within run_split's no_grad, which puts the mode back.
            torch.set_grad_enabled(True)
            leaves.append(args[0].detach().requires_grad_())
            return (leaves[0].clone(), *args[1:])

        with_input = self.to_input and gradients
        handle = self._model.register_forward_pre_hook(enter) if with_input else None
        try:
            split = super()._run(layers, batch, gradients)
        finally:
            if handle is not None:
                handle.remove()
        with torch.no_grad(), no_autocast(batch):
            self.activations = {
                name: self._maps(name, values, batch) for name, values in split.activations.items()
            }
        sources = split.sources | ({_INPUT: leaves[0]} if leaves else {})
        return Split(split.output, split.activations, sources)

    def _gradient_maps(
        self, split: Split, scores: TargetScores, methods: Sequence[str], batch: Tensor
    ) -> dict[str, Tensor]:
        boxes = scores.boxes is not None
        gradients = gradients_of(scores.values.sum(), split, partly=boxes)
        self.input_gradient = gradients.pop(_INPUT, None)
        maps = {}
        with torch.no_grad(), no_autocast(batch):
            for layer, gradient in gradients.items():
                if not boxes:
                    self._check_reached(layer, split.activations[layer], gradient, batch)
                gradient_maps = self._maps(layer, gradient, batch)
                for method in methods:
                    formula = GRADIENT_METHODS[method]
                    maps[f"{method}/{layer}"] = formula(self.activations[layer], gradient_maps)
        return maps


class _ActivationNumbers(NamedTuple):
    """Of the activations of n inputs of one size, from which those of several are put together.

    - ``mean``, ``variance`` (ddof 0), ``low``, ``high``, ``positive`` (share above 0), each (n,)
    - ``energy`` (n, k): the mean square of each channel, times a factor that is the same for all
    """

    mean: Tensor
    variance: Tensor
    low: Tensor
    high: Tensor
    positive: Tensor
    energy: Tensor


def _numbers(values: Tensor) -> _ActivationNumbers:
    """Those of activations (n, k, h, w)."""
    # Without flattening: channels-last activations would be copied for it, and again for squares.
    plain = values.float()
    variance, mean = torch.var_mean(plain, (1, 2, 3), correction=0)
    return _ActivationNumbers(
        mean=mean,
        variance=variance,
        low=plain.amin((1, 2, 3)),
        high=plain.amax((1, 2, 3)),
        positive=(plain > 0).sum((1, 2, 3)) / plain[0].numel(),
        energy=torch.linalg.vector_norm(plain, dim=(2, 3)).square(),
    )


def _measures(parts: Sequence[_ActivationNumbers], images: int) -> Tensor:
    """Six numbers of each image's activations in a layer, all its windows together: (b, 6) float32.

    Mean, standard deviation (ddof 0), lowest and highest value, share above 0, and
    (Σ e)² / Σ e² with e the mean square of each channel: how many channels of equal strength would
    spread as the k channels do. ``parts`` hold the windows of the first image, then of the next.
    """
    # Each (b, windows), and (b, windows, k) of the energy.
    mean, variance, low, high, positive, energy = (
        torch.cat(values).unflatten(0, (images, -1)) for values in zip(*parts, strict=True)
    )
    # Windows are of one size: the variance of all is the mean of theirs, and that of their means.
    spread = variance.mean(1) + mean.var(1, correction=0)
    energy = energy.sum(1)
    effective = energy.sum(1).square() / energy.square().sum(1).clamp_min(
        torch.finfo(torch.float32).tiny
    )
    return torch.stack(
        [mean.mean(1), spread.sqrt(), low.amin(1), high.amax(1), positive.mean(1), effective], 1
    )


def _bilateral_map(magnitudes: Tensor, halves: str) -> Tensor:
    """Magnitudes (b, c, h, w) of two halves, summed over channels, as a map of the whole image.

    Cells are means of their pixels; each half is scaled so that its mean stays that of its pixels,
    also where the cells don't divide them.
    """
    height, width = magnitudes.shape[2:]
    step = max(1, -(-max(height, width) // _HALF_SIDE))
    cells = (-(-height // step), -(-width // step))
    parts = []
    for half in magnitudes.chunk(2, 1):
        plain = half.sum(1)
        pooled = torch.nn.functional.adaptive_avg_pool2d(plain[:, None], cells)[:, 0]
        mean, own = plain.mean((1, 2), keepdim=True), pooled.mean((1, 2), keepdim=True)
        parts.append(pooled * torch.where(own > 0, mean / own, 1.0))
    left, right = parts
    return torch.cat([left, right.flip(2) if halves == "mirror" else right], 2)

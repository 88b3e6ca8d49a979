"""CAMs and what the same pass tells besides: numbers of the activations, left against right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import BatchMaps
from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.formulas import GRADIENT_METHODS, signed
from fastcam.attribution.cam.split import Split, gradients_of
from fastcam.attribution.cam.targets import Scores, Targets
from fastcam.attribution.precision import exact
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError

# Of a layer's activations (k, h, w): mean, standard deviation (ddof 0), lowest and highest value,
# share above 0, and (Σ e)² / Σ e² with e the mean square of each channel: how many channels of
# equal strength would spread as the k channels do.
ACTIVATION_MEASURES = ("mean", "std", "min", "max", "positive_share", "effective_channels")
# Σ over channels of |∂y/∂x · (x - black)| at the input (gradient × input, Shrikumar et al. 2016).
# Not of |∂y/∂x| alone: a model that compares the halves moves as much by either, wherever the
# finding is. Counted from black, since empty background has no part in an answer.
AT_INPUT = "gradient_x_input"
# Longer side of that map of a half, in cells: as fine as the finest layer of most models.
_CELLS = 56
_INPUT = ".input"


class FeatureEngine:
    """As a :class:`CamEngine` of ``wanted`` gives them, maps of one target an image, and more.

    ``measures`` (b, layers * len(ACTIVATION_MEASURES)), layer by layer; with ``halves`` other than
    "no" one more, the left half's share of Σ|gradient × input|, and a map of these,
    ``gradient_x_input`` (b, h, w), over the whole image: left half beside right half, the right one
    as it lies in the image. It takes a backward pass to the input, the rest a few sums. ``black``
    (c,) is black in each channel of the batch, as it is normalised; none: 0.
    """

    def __init__(
        self,
        model: nn.Module,
        wanted: MapRequest,
        halves: str,
        compiled: bool,
        black: Sequence[float] = (0.0,),
    ) -> None:
        if len(wanted.classes) > 1:
            raise InputError("--target: an analysis explains one output of each image")
        self._halves = halves
        self._black = torch.tensor(black)[:, None, None]
        self._engine = _Engine(
            model, wanted.layers, wanted.methods, targets=next(iter(wanted.classes), None),
            prefix_tokens=wanted.prefix_tokens, sign=wanted.sign,
            # A hook at the input would not be seen by a compiled model.
            compile=compiled and halves == "no",
        )  # fmt: skip
        self._engine.to_input = halves != "no"

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps and measures of ``batch`` (b, c, h, w)."""
        made = self._engine(batch, targets)
        measured = [
            _activation_measures(values) for values in self._engine.activations.values()
        ]  # fmt: skip
        maps = dict(made.maps)
        flow = self._engine.flow
        if flow is not None:
            flow = (flow.float() * (batch - self._black.to(batch))).abs()
            left, right = flow.flatten(2).chunk(2, 1)
            sums = torch.stack([left.sum((1, 2)), right.sum((1, 2))], 1)
            # Nobody's share where nothing has a gradient: half and half.
            total = sums.sum(1, keepdim=True)
            measured.append(torch.where(total > 0, sums[:, :1] / total, 0.5))
            maps[AT_INPUT] = _side_by_side(flow, self._halves)
        self._engine.let_go()
        return replace(made, maps=maps, measures=torch.cat(measured, 1))


class _Engine(CamEngine):
    """Keeps the activations of the last batch as (b, k, h, w), and the gradient at the input."""

    to_input = False
    flow: Tensor | None = None

    def let_go(self) -> None:
        self.activations: dict[str, Tensor] = {}
        self.flow = None

    def _run(self, layers: Mapping[str, nn.Module], batch: Tensor, gradients: bool) -> Split:
        self.let_go()
        leaf: list[Tensor] = []

        def enter(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            # Within run_split's no_grad, which puts the mode back.
            torch.set_grad_enabled(True)
            leaf.append(args[0].detach().requires_grad_())
            return (leaf[0].clone(), *args[1:])

        hooked = self.to_input and gradients
        handle = self._model.register_forward_pre_hook(enter) if hooked else None
        try:
            split = super()._run(layers, batch, gradients)
        finally:
            if handle is not None:
                handle.remove()
        with torch.no_grad(), exact(batch):
            self.activations = {
                name: self._maps(name, values, batch) for name, values in split.activations.items()
            }
        sources = split.sources | ({_INPUT: leaf[0]} if leaf else {})
        return Split(split.output, split.activations, sources)

    def _gradient_maps(
        self, split: Split, scores: Scores, methods: Sequence[str], batch: Tensor
    ) -> dict[str, Tensor]:
        gradients = gradients_of(scores.values.sum(), split)
        self.flow = gradients.pop(_INPUT, None)
        made = {}
        with torch.no_grad(), exact(batch):
            for layer, gradient in gradients.items():
                self._check_reached(layer, split.activations[layer], gradient, batch)
                flow = self._maps(layer, gradient, batch)
                for method in methods:
                    found = GRADIENT_METHODS[method](self.activations[layer], flow)
                    made[f"{method}/{layer}"] = signed(found, self._sign)
        return made


def _activation_measures(values: Tensor) -> Tensor:
    """(b, k, h, w) -> (b, len(ACTIVATION_MEASURES)) float32."""
    # Without flattening: channels-last activations would be copied for it, and again for squares.
    plain = values.float()
    variance, mean = torch.var_mean(plain, (1, 2, 3), correction=0)
    energy = torch.linalg.vector_norm(plain, dim=(2, 3)).square()
    effective = energy.sum(1).square() / energy.square().sum(1).clamp_min(
        torch.finfo(torch.float32).tiny
    )
    positive = (plain > 0).sum((1, 2, 3)) / plain[0].numel()
    low, high = plain.amin((1, 2, 3)), plain.amax((1, 2, 3))
    return torch.stack([mean, variance.sqrt(), low, high, positive, effective], 1)


def _side_by_side(flow: Tensor, halves: str) -> Tensor:
    """Magnitudes (b, c, h, w) of two halves, summed over channels, as a map of the whole image.

    Cells are means of their pixels; each half is scaled so that its mean stays that of its pixels,
    also where the cells don't divide them.
    """
    height, width = flow.shape[2:]
    step = max(1, -(-max(height, width) // _CELLS))
    cells = (-(-height // step), -(-width // step))
    parts = []
    for half in flow.chunk(2, 1):
        plain = half.sum(1)
        pooled = torch.nn.functional.adaptive_avg_pool2d(plain[:, None], cells)[:, 0]
        mean, own = plain.mean((1, 2), keepdim=True), pooled.mean((1, 2), keepdim=True)
        parts.append(pooled * torch.where(own > 0, mean / own, 1.0))
    left, right = parts
    return torch.cat([left, right.flip(2) if halves == "mirror" else right], 2)

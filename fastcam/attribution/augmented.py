"""An engine that sees each image several times, changed, and says how far its maps agree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets
from fastcam.attribution.request import Augmentation
from fastcam.attribution.segmentation import SegmentationTargets, with_regions
from fastcam.errors import InputError

DEVIATION = "-deviation"
STABILITY = "stability"
# How far images are shifted, as a share of each side.
_SHIFT = 1 / 16


@dataclass(frozen=True)
class Transform:
    """A change of images (..., *s) that can be undone in their maps, whatever the maps' size.

    - ``change``: of images
    - ``undo``: of maps (..., *cells)
    """

    change: Callable[[Tensor], Tensor]
    undo: Callable[[Tensor], Tensor]


class AugmentedEngine:
    """``engine`` on each image as it is and changed; its maps are changed back and averaged.

    ``METHOD-deviation/LAYER`` is the standard deviation of the changed-back maps, place by place.
    ``measures`` has of each map its stability: the mean correlation (Pearson) of the maps with
    their average, 1 where all are alike, NaN becoming 0 where one has no differences. What is
    explained and the output are those of the image as it is.

    ``kind``: "flips" along each axis and, of images, both; "rotations" by quarter turns in the
    plane, of square images; "shifts" by a sixteenth of each side, either way. ``usual``: what the
    engine explains where a call doesn't say it; of a segmentation the pixels that are summed move
    with the image.
    """

    def __init__(self, engine: Engine, kind: Augmentation, usual: Targets = None) -> None:
        self._engine = engine
        self._kind = kind
        self._usual = usual

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w) or (b, c, d, h, w), and their deviations.

        InputError for rotations of images that aren't square, and what the engine raises.
        """
        size = tuple(batch.shape[2:])
        plain = self._engine(batch, targets)
        targets = self._usual if targets is None else targets
        segments = targets if isinstance(targets, SegmentationTargets) else None
        if segments is not None and plain.labels is not None:
            segments = with_regions(segments, plain.labels, plain.output.shape[1], size)
        if plain.targets is not None and segments is None:
            several = any(_has_targets(v, plain, len(size)) for v in plain.maps.values())
            targets = plain.targets if several else plain.targets[:, 0]
        maps = {name: [values] for name, values in plain.maps.items()}
        for transform in transforms_of(self._kind, size):
            if segments is not None and segments.regions is not None:
                targets = replace(segments, regions=transform.change(segments.regions))
            of_changed = self._engine(transform.change(batch), targets)
            for name, values in of_changed.maps.items():
                maps[name].append(transform.undo(values))
        averages: dict[str, Tensor] = {}
        deviations: dict[str, Tensor] = {}
        measures: list[Tensor] = []
        names: list[str] = []
        for name, parts in maps.items():
            stack = torch.stack(parts)
            averages[name] = stack.mean(0)
            method, slash, layer = name.partition("/")
            deviations[f"{method}{DEVIATION}{slash}{layer}"] = stack.std(0, correction=0)
            stability = _stability(stack, averages[name], len(size))
            measures.append(stability)
            names += [f"{name}: {STABILITY}"] * stability.shape[1]
        if plain.measures is not None:
            measures.insert(0, plain.measures)
        return replace(
            plain,
            maps={**averages, **deviations},
            measures=torch.cat(measures, 1),
            measure_names=(*plain.measure_names, *names),
            fields=plain.fields | {_deviation_of(name): own for name, own in plain.fields.items()},
            notes=plain.notes | {_deviation_of(name): note for name, note in plain.notes.items()},
            layer_names=plain.layer_names
            | {_deviation_of(name): own for name, own in plain.layer_names.items()},
        )


def transforms_of(kind: Augmentation, size: Sequence[int]) -> list[Transform]:
    """The transforms of images of ``size`` (h, w) or (d, h, w) that change something."""
    axes = tuple(range(-len(size), 0))
    if kind == "flips":
        groups: list[tuple[int, ...]] = [(axis,) for axis in axes]
        groups += [axes] if len(size) == 2 else []
        return [_flip(group) for group in groups]
    if kind == "rotations":
        if size[-1] != size[-2]:
            raise InputError(
                f"--tta rotations: quarter turns need square images, and the model sees "
                f"{' x '.join(map(str, size))}; use flips or shifts"
            )
        return [_rotation(turns) for turns in (1, 2, 3)]
    steps = {axis: max(1, round(size[axis] * _SHIFT)) for axis in axes}
    return [
        _shift(axis, sign * steps[axis], size[axis])
        for axis, sign in itertools.product(axes, (1, -1))
    ]


def _flip(axes: tuple[int, ...]) -> Transform:
    return Transform(lambda images: images.flip(axes), lambda maps: maps.flip(axes))


def _rotation(turns: int) -> Transform:
    return Transform(
        lambda images: images.rot90(turns, (-2, -1)), lambda maps: maps.rot90(-turns, (-2, -1))
    )


def _shift(axis: int, pixels: int, side: int) -> Transform:
    """What leaves the image at one edge comes in at the other."""

    def undo(maps: Tensor) -> Tensor:
        cells = pixels * maps.shape[axis] / side
        before = math.floor(cells)
        share = cells - before
        low, high = maps.roll(-before, axis), maps.roll(-before - 1, axis)
        return low if share == 0 else torch.lerp(low, high, share)

    return Transform(lambda images: images.roll(pixels, axis), undo)


def _deviation_of(name: str) -> str:
    method, slash, layer = name.partition("/")
    return f"{method}{DEVIATION}{slash}{layer}"


def _has_targets(values: Tensor, maps: BatchMaps, dims: int) -> bool:
    """Whether a map has an axis for targets."""
    assert maps.targets is not None
    return values.ndim == dims + 2 and values.shape[1] == maps.targets.shape[1]


def _stability(stack: Tensor, average: Tensor, dims: int) -> Tensor:
    """Mean correlation of maps (m, b, [t,] *s) with their average: (b, t), of attention (b, 1)."""
    between = average.ndim - 1 - dims
    # Of attention, whose layers and heads are one map each, all of them together.
    rows = average.shape[1] if between == 1 else 1
    flat = stack.reshape(len(stack), len(average), rows, -1).float()
    mean = average.reshape(1, len(average), rows, -1).float()
    flat = flat - flat.mean(-1, keepdim=True)
    mean = mean - mean.mean(-1, keepdim=True)
    scale = flat.norm(dim=-1) * mean.norm(dim=-1)
    products = (flat * mean).sum(-1)
    correlation = torch.where(scale > 0, products / scale.clamp_min(1e-30), 0.0)
    stable: Tensor = correlation.mean(0)
    return stable

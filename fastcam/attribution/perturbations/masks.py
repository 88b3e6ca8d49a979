"""Where an image is covered: windows that slide over it, and random masks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

# Of a side, where no window is given.
_WINDOWS = 7


def window_geometry(
    size: Sequence[int], side: int = 0, stride: int = 0
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sides and strides of the occlusion window over images of ``size``, an entry an axis.

    ``side`` 0: a seventh of each side, rounded up; ``stride`` 0: half of it in images, all of it in
    volumes, which would take eight times as many passes. A window is never larger than the image.
    """
    sides = tuple(min(side or math.ceil(extent / _WINDOWS), extent) for extent in size)
    part = 2 if len(size) == 2 else 1
    strides = tuple(min(stride, own) if stride else max(1, own // part) for own in sides)
    return sides, strides


def windows(
    size: Sequence[int], sides: Sequence[int], strides: Sequence[int]
) -> list[tuple[slice, ...]]:
    """The windows that cover images of ``size``, every ``strides`` from the first edge on; those at
    the last edge are cut off there."""
    starts = [
        range(0, math.ceil((extent - side) / stride) * stride + 1, stride)
        for extent, side, stride in zip(size, sides, strides, strict=True)
    ]
    return [
        tuple(
            slice(start, min(start + side, extent))
            for start, side, extent in zip(corner, sides, size, strict=True)
        )
        for corner in itertools.product(*starts)
    ]


def random_masks(
    size: Sequence[int], count: int, cells: int, keep: float, seed: int, chunk: int
) -> Iterator[Tensor]:
    """RISE's masks (m, *size) float32, 0 to 1, ``count`` in all, at most ``chunk`` at a time.

    A grid of ``cells`` an axis, each 1 with the probability ``keep``, is enlarged linearly by one
    cell more than the image has, and cut out at a random offset within a cell (Petsiuk et al. 2018,
    section 3.2). Made on the CPU from ``seed``: the same on every device, and for every ``chunk``.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = [math.ceil(extent / cells) for extent in size]
    enlarged = [(cells + 1) * step for step in steps]
    mode = "bilinear" if len(size) == 2 else "trilinear"
    for start in range(0, count, chunk):
        masks = []
        for _ in range(min(chunk, count - start)):
            grid = (torch.rand([cells] * len(size), generator=generator) < keep).float()
            offsets = [int(torch.randint(step, (1,), generator=generator)) for step in steps]
            large = functional.interpolate(
                grid[None, None], size=enlarged, mode=mode, align_corners=False
            )[0, 0]
            masks.append(
                large[tuple(slice(o, o + extent) for o, extent in zip(offsets, size, strict=True))]
            )
        yield torch.stack(masks)

"""An engine that sees an image window by window, and stitches what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets, logits_of, pixel_logits
from fastcam.attribution.layer_names import open_module
from fastcam.attribution.modules import as_input, frozen_forward
from fastcam.attribution.segmentation import (
    Segmentation,
    SegmentationTargets,
    resized_regions,
    segment,
)
from fastcam.attribution.targets import as_classes
from fastcam.attribution.window_plan import LEAST, SIGMA, Blend, WindowPlan
from fastcam.store.map_fields import over_input


class WindowedEngine:
    """``engine`` on windows of each image, its maps stitched into one of the whole image.

    Overlapping windows are averaged by the weights of MONAI's ``sliding_window_inference``, maps at
    their own resolution. What is explained is that of the whole image: its predicted class is that
    of the mean of the windows' outputs, its pixels are those of the stitched segmentation, found by
    a pass without a graph, unless no method explains an output (``targeted``). So the model's
    memory is that of ``batch_size`` windows, whatever the size of the image.
    """

    def __init__(
        self,
        model: nn.Module,
        engine: Engine,
        plan: WindowPlan,
        *,
        targets: Targets = None,
        targeted: bool = True,
        batch_size: int = 4,
    ) -> None:
        self._model = open_module(model)
        self._engine = engine
        self._plan = plan
        self._targets = targets
        self._targeted = targeted
        self._batch_size = batch_size

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w) or (b, c, d, h, w), as the engine's own, of whole images.

        InputError for windows that don't fit the batch, and what the engine raises.
        """
        batch = as_input(self._model, batch)
        targets = self._targets if targets is None else targets
        size = tuple(batch.shape[2:])
        sides, starts = self._plan.sides(size), self._plan.starts(size)
        output: Tensor | None = None
        segmentation: Segmentation | None = None
        if isinstance(targets, SegmentationTargets) or (targets is None and self._targeted):
            output, segmentation = self._whole_answer(batch, targets)
            if targets is None and output is not None:
                targets = output.argmax(1).cpu()
        # Windows are cut out of them in pixels of the input.
        regions = None if segmentation is None else resized_regions(segmentation.regions, size)
        weights = blend_weights(sides, self._plan.blend).to(batch.device)
        canvases: dict[str, _Canvas] = {}
        outputs: list[Tensor] = []
        measures: list[Tensor] = []
        last: BatchMaps | None = None
        for rows, corners, windows in self._windows(batch, starts, sides):
            of_windows = _targets_of(targets, regions, rows, corners, sides, len(batch))
            last = self._engine(windows, of_windows)
            outputs.append(last.output)
            if last.measures is not None:
                measures.append(last.measures)
            for name, values in last.maps.items():
                plain = _over_window(values, last, name)
                if name not in canvases:
                    canvases[name] = _Canvas(plain, len(batch), size, sides, weights)
                for row, corner, window in zip(rows, corners, plain, strict=True):
                    canvases[name].add(row, corner, window)
        assert last is not None
        count = len(starts)
        pooled = torch.cat(outputs).reshape(len(batch), count, -1).mean(1)
        facts: dict[str, Any] = {}
        if segmentation is not None:
            facts = {"labels": segmentation.labels, "pixels": segmentation.pixels}
            pooled = segmentation.shares
        explained = None if last.targets is None else _of_images(last, targets, len(batch))
        return replace(
            last,
            maps={name: canvas.values() for name, canvas in canvases.items()},
            output=pooled,
            targets=explained,
            measures=torch.cat(measures).reshape(len(batch), count, -1).mean(1)
            if measures
            else None,
            fields={},
            notes={
                name: "; ".join(filter(None, [last.notes.get(name), f"of {count} windows"]))
                for name in canvases
            },
            **facts,
        )

    def _whole_answer(
        self, batch: Tensor, targets: Targets
    ) -> tuple[Tensor | None, Segmentation | None]:
        """The mean of the windows' outputs (b, k), or what the stitched output says of pixels."""
        size = tuple(batch.shape[2:])
        sides, starts = self._plan.sides(size), self._plan.starts(size)
        weights = blend_weights(sides, self._plan.blend).to(batch.device)
        canvas: _Canvas | None = None
        sums: Tensor | None = None
        for rows, corners, windows in self._windows(batch, starts, sides):
            returned = frozen_forward(self._model, windows)
            if not isinstance(targets, SegmentationTargets):
                logits = logits_of(returned, len(windows)).float()
                sums = logits.new_zeros(len(batch), logits.shape[1]) if sums is None else sums
                sums.index_add_(0, torch.tensor(rows, device=logits.device), logits)
                continue
            dense = pixel_logits(returned, len(windows))
            if dense is None:
                return None, None
            dense = dense.float()
            canvas = canvas or _Canvas(dense, len(batch), size, sides, weights)
            for row, corner, window in zip(rows, corners, dense, strict=True):
                canvas.add(row, corner, window)
        if canvas is not None and isinstance(targets, SegmentationTargets):
            return None, segment(canvas.values(), targets, size)
        return None if sums is None else sums / len(starts), None

    def _windows(
        self, batch: Tensor, starts: Sequence[tuple[int, ...]], sides: Sequence[int]
    ) -> Iterator[tuple[list[int], list[tuple[int, ...]], Tensor]]:
        """Rows of the batch, first pixels, and the windows themselves, some at a time."""
        pairs = [(row, corner) for row in range(len(batch)) for corner in starts]
        for first in range(0, len(pairs), self._batch_size):
            part = pairs[first : first + self._batch_size]
            rows, corners = [row for row, _ in part], [corner for _, corner in part]
            windows = [batch[row][(slice(None), *_box(corner, sides))] for row, corner in part]
            yield rows, corners, torch.stack(windows)


class _Canvas:
    """Values of windows, averaged where these overlap, at the windows' own resolution."""

    def __init__(
        self,
        example: Tensor,
        rows: int,
        size: Sequence[int],
        sides: Sequence[int],
        weights: Tensor,
    ) -> None:
        dims = len(size)
        cells = example.shape[-dims:]
        self._cells = tuple(cells)
        self._size, self._sides = tuple(size), tuple(sides)
        self._grid = tuple(
            max(1, round(extent * count / side))
            for extent, count, side in zip(size, cells, sides, strict=True)
        )
        between = example.shape[1:-dims]
        self._sums = example.new_zeros((rows, *between, *self._grid), dtype=torch.float32)
        self._totals = example.new_zeros((rows, *self._grid), dtype=torch.float32)
        mode = "bilinear" if dims == 2 else "trilinear"
        self._weights = (
            weights
            if tuple(weights.shape) == self._cells
            else functional.interpolate(
                weights[None, None], size=self._cells, mode=mode, align_corners=False
            )[0, 0]
        )

    def add(self, row: int, corner: Sequence[int], window: Tensor) -> None:
        """Add what a window (..., *cells) of an image gave, whose first pixel is at ``corner``."""
        weighted, weights = window.float() * self._weights, self._weights
        box = []
        for axis in range(len(self._size)):
            first, last, positions = self._positions(axis, corner[axis])
            box.append(slice(first, last))
            if positions is not None:
                weighted = _resampled(weighted, axis - len(self._size), positions)
                weights = _resampled(weights, axis - len(self._size), positions)
        sums, totals = self._sums[row], self._totals[row]
        for axis, part in enumerate(box):
            sums = sums.narrow(axis - len(box), part.start, part.stop - part.start)
            totals = totals.narrow(axis, part.start, part.stop - part.start)
        sums += weighted
        totals += weights

    def values(self) -> Tensor:
        """The averages (b, ..., *grid)."""
        between = self._sums.ndim - self._totals.ndim
        totals = self._totals.reshape(len(self._totals), *(1,) * between, *self._grid)
        return self._sums / totals

    def _positions(self, axis: int, start: int) -> tuple[int, int, Tensor | None]:
        """The cells of the canvas that a window covers, and where they lie among the window's own;
        None where these are the same cells."""
        cell = self._size[axis] / self._grid[axis]
        own = self._sides[axis] / self._cells[axis]
        first, last = start / cell, (start + self._sides[axis]) / cell
        if abs(cell - own) < 1e-9 and abs(first - round(first)) < 1e-6:
            return round(first), round(first) + self._cells[axis], None
        # Cells whose middle lies in the window; at least one.
        begin = min(max(0, round(first)), self._grid[axis] - 1)
        end = max(begin + 1, min(self._grid[axis], round(last)))
        middles = (torch.arange(begin, end) + 0.5) * cell
        positions = (middles - start) / own - 0.5
        return begin, end, positions.clamp(0, self._cells[axis] - 1)


def blend_weights(sides: Sequence[int], blend: Blend) -> Tensor:
    """The weight of each pixel of a window, float32, above 0."""
    weights = torch.ones(tuple(sides))
    if blend == "constant":
        return weights
    for axis, side in enumerate(sides):
        distances = torch.arange(side) - (side - 1) / 2
        bell = (-0.5 * (distances / (SIGMA * side)).square()).exp()
        weights = weights * bell.reshape(-1, *(1,) * (len(sides) - axis - 1))
    return weights.clamp_min(max(float(weights.min()), LEAST))


def _resampled(values: Tensor, axis: int, positions: Tensor) -> Tensor:
    """``values`` at fractional ``positions`` along ``axis``, linearly."""
    positions = positions.to(values.device)
    before = positions.floor().long()
    after = (before + 1).clamp_max(values.shape[axis] - 1)
    share = (positions - before).to(values.dtype)
    share = share.reshape(-1, *(1,) * (-axis - 1))
    low, high = values.index_select(axis, before), values.index_select(axis, after)
    return low + (high - low) * share


def _box(corner: Sequence[int], sides: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + side) for start, side in zip(corner, sides, strict=True))


def _over_window(values: Tensor, maps: BatchMaps, name: str) -> Tensor:
    """A map whose cells share the window out between them."""
    field = maps.fields.get(name)
    if field is None:
        return values
    laid_out = over_input(values.detach().float().cpu().numpy(), field)
    return torch.from_numpy(laid_out).to(values.device)


def _targets_of(
    targets: Targets,
    regions: Tensor | None,
    rows: Sequence[int],
    corners: Sequence[tuple[int, ...]],
    sides: Sequence[int],
    batch: int,
) -> Targets:
    """What is explained of some windows: what is explained of the images that they are of."""
    if isinstance(targets, SegmentationTargets):
        if regions is None:
            return targets
        parts = [
            regions[row][(slice(None), *_box(corner, sides))]
            for row, corner in zip(rows, corners, strict=True)
        ]
        return SegmentationTargets(targets.targets, regions=torch.stack(parts))
    if targets is None or (callable(targets) and not isinstance(targets, Tensor)):
        return targets
    classes = as_classes(targets)
    if classes.ndim == 0:
        return classes
    if classes.ndim == 2 and len(classes) == 1:
        classes = classes.expand(batch, -1)
    return classes[list(rows)]


def _of_images(last: BatchMaps, targets: Targets, batch: int) -> Tensor | None:
    """The outputs (b, t) that the maps of whole images explain."""
    assert last.targets is not None
    if isinstance(targets, SegmentationTargets) or targets is None or callable(targets):
        return last.targets[:1].expand(batch, -1)
    classes = as_classes(targets)
    if classes.ndim == 0:
        classes = classes.expand(batch)
    elif classes.ndim == 2 and len(classes) == 1:
        classes = classes.expand(batch, -1)
    return classes.reshape(batch, -1).to(last.output.device)

"""Where the places of a tensor lie in the image that it comes of, and what that makes of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """Where the places of a tensor lie in the image, along (y, x) or (z, y, x), in its pixels.

    All have one entry for each axis, in the order in which the tensor has them.

    - ``sizes``: how many places
    - ``offset``, ``stride``: place i is centered at offset + (i + 1/2) stride
    - ``low``, ``high``: the part of the image that the tensor was made of
    - ``cells``: the largest stride on the way from the image: what was enlarged again is no finer
    - ``dims``: the tensor's axes along which they are; None where they are no longer axes, as of
      tokens
    - ``rolled``: by how many places they were moved around the edge, along each axis; empty: not
    - ``one_row``: whether all of the image lies in one row of features, as before a classifier
    - ``order``: which axis of the image each entry is along, where the model has turned them;
      empty: each along its own
    - ``loose``: whether the axes were put together while they were turned, as tokens of (b, c, w,
      h) are: nobody knows then whether they are turned back
    """

    sizes: tuple[int, ...]
    offset: Numbers
    stride: Numbers
    low: Numbers
    high: Numbers
    cells: Numbers
    dims: tuple[int, ...] | None
    rolled: tuple[int, ...] = ()
    one_row: bool = False
    order: tuple[int, ...] = ()
    loose: bool = False

    def reordered(self, entries: Sequence[int]) -> Grid:
        """The same with its entries in the order ``entries``."""

        def moved(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[entry] for entry in entries)

        own = tuple(range(len(self.sizes)))
        order = moved(self.order or own)
        return replace(
            self,
            sizes=moved(self.sizes),
            offset=moved(self.offset),
            stride=moved(self.stride),
            low=moved(self.low),
            high=moved(self.high),
            cells=moved(self.cells),
            dims=None if self.dims is None else moved(self.dims),
            rolled=moved(self.rolled) if self.rolled else (),
            order=() if order == own else order,
        )

    @property
    def upright(self) -> Grid:
        """The same in the order of the image's axes."""
        if not self.order:
            return self
        return self.reordered([self.order.index(axis) for axis in range(len(self.order))])

    @property
    def without_axes(self) -> Grid:
        """The same of a tensor in which the places are no longer axes."""
        return replace(self.upright, dims=None, loose=self.loose or bool(self.order))

    def axes_in(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The axes next to each other that have the places' sizes in a tensor of ``shape``; empty
        where none or several have."""
        count = len(self.sizes)
        starts = [
            start
            for start in range(len(shape) - count + 1)
            if tuple(shape[start : start + count]) == self.sizes
        ]
        return tuple(range(starts[0], starts[0] + count)) if len(starts) == 1 else ()

    def fitted(self, sizes: Sequence[int]) -> Grid | None:
        """The same for as many places as ``sizes``, where neighbors were put together, or places
        divided, evenly; None where that can't be."""
        if tuple(sizes) == self.sizes:
            return self
        factors = []
        for before, after in zip(self.sizes, sizes, strict=True):
            if after < 1:
                return None
            joined, divided = -(-before // after), after / before
            if after <= before and -(-before // joined) == after:
                factors.append(float(joined))
            elif divided == int(divided):
                factors.append(1 / divided)
            else:
                return None
        stride = tuple(step * factor for step, factor in zip(self.stride, factors, strict=True))
        return self.at(sizes, self.offset, stride)

    def at(self, sizes: Sequence[int], offset: Numbers, stride: Numbers) -> Grid:
        """The same with these places."""
        cells = tuple(max(cell, abs(step)) for cell, step in zip(self.cells, stride, strict=True))
        return replace(self, sizes=tuple(sizes), offset=offset, stride=stride, cells=cells)


@dataclass(frozen=True, eq=False)
class Call:
    """One operation, and one tensor that it gave.

    - ``func``: PyTorch's operator
    - ``args``, ``kwargs``: what it was called with
    - ``result``: the tensor, the ``number``-th of them
    - ``inputs``: the tensors given that come of the image, with their grids; None for one that was
      made of parts of the image that lie apart, so that it has no place
    - ``axes``: of the image, 2 or 3
    """

    func: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    result: Tensor
    number: int
    inputs: list[tuple[Tensor, Grid | None]]
    axes: int

    def argument(self, name: str, default: Any = None) -> Any:
        names = [argument.name for argument in self.func._schema.arguments]
        place = names.index(name) if name in names else len(self.args)
        value = self.args[place] if place < len(self.args) else self.kwargs.get(name)
        return default if value is None else value

    def numbers(self, name: str, default: float | Sequence[int] = 0) -> Numbers:
        """An argument of one number an axis of the image, or one for all."""
        value = self.argument(name)
        value = default if value is None or value == [] else value
        values = value if isinstance(value, Sequence) else [value]
        return tuple(map(float, values)) if len(values) > 1 else (float(values[0]),) * self.axes

    @property
    def source(self) -> Tensor:
        tensor: Tensor = self.args[0]
        return tensor

    @property
    def grid(self) -> Grid | None:
        """That of the first argument."""
        return next((grid for tensor, grid in self.inputs if tensor is self.source), None)

    @property
    def dense(self) -> Grid | None:
        """The same as (b, c, *s); None for tensors that don't lie so."""
        grid, source = self.grid, self.source
        if grid is None or grid.rolled or source.ndim != self.axes + 2:
            return None
        dims = tuple(range(2, source.ndim))
        if grid.dims == dims:
            return grid
        fitted = None if grid.dims is not None else grid.fitted(source.shape[2:])
        return None if fitted is None else replace(fitted, dims=dims)

    @property
    def passed_on(self) -> Grid | None:
        return passed_on_grid(self.inputs, self.result)


def passed_on_grid(inputs: Sequence[tuple[Tensor, Grid | None]], result: Tensor) -> Grid | None:
    """The grid of what ``result`` was computed of: of the tensors of its own shape, or else of the
    largest. None where two of them lie apart."""
    same = [entry for entry in inputs if entry[0].shape == result.shape]
    if not same:
        most = max(tensor.numel() for tensor, _ in inputs)
        same = [entry for entry in inputs if entry[0].numel() == most]
    grids = [grid for _, grid in same if grid is not None]
    if len(grids) < len(same) or any(_apart(grids[0], grid) for grid in grids[1:]):
        return None
    # What was enlarged and put together with what is finer lies where that does.
    first = min(grids, key=lambda grid: (grid.cells, grid.dims is None, grid.loose))
    if first.dims is None:
        return first
    in_place = result.ndim == same[0][0].ndim and first.sizes == tuple(
        result.shape[dim] for dim in first.dims
    )
    return first if in_place else first.without_axes


def _apart(first: Grid, second: Grid) -> bool:
    """Whether the ends of two grids are more than a cell of the coarser one from each other, or
    only one of them was moved around the edge, or turned."""
    if first.order != second.order:
        if first.dims is not None and second.dims is not None:
            return True
        first, second = first.upright, second.upright
    if first.rolled != second.rolled:
        return True
    if first.sizes != second.sizes:
        return False
    for axis, count in enumerate(first.sizes):
        cell = max(first.cells[axis], second.cells[axis])
        start = first.offset[axis] - second.offset[axis]
        end = start + count * (first.stride[axis] - second.stride[axis])
        if max(abs(start), abs(end)) > cell:
            return True
    return False

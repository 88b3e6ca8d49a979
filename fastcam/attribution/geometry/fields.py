"""The field of a layer's map: where its cells lie in the model's input, found on one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from fastcam.attribution.geometry.grids import Grid
from fastcam.attribution.geometry.tracker import GridTracker
from fastcam.attribution.layer_names import call_name, split_call
from fastcam.attribution.modules import as_input, first_tensor, frozen_forward
from fastcam.store.map_fields import MapField

# What figures and the run say of a map whose operations can't be followed.
NOT_FOLLOWED = "laid over the whole image: where its cells lie can't be followed"
# Of a pixel: strides are quotients of sizes.
_ROUNDING = 1e-6


def layer_grids(
    model: nn.Module, layers: Mapping[str, nn.Module], example: Tensor
) -> dict[str, Grid | None]:
    """Where the places of what ``layers`` give lie in ``example`` (1, c, *s), by call.

    None where that can't be followed; nothing where the model can't be followed at all. Names of
    single calls in ``layers`` mean their layer. One forward pass.
    """
    grids: dict[nn.Module, list[Grid | None]] = {module: [] for module in layers.values()}
    image = as_input(model, example.detach().clone())
    tracker = GridTracker(image)

    def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
        tensor = first_tensor(output)
        grids[module].append(None if tensor is None else tracker.grid(tensor))

    handles = []
    try:
        handles += [module.register_forward_hook(hook) for module in grids]
        with tracker:
            frozen_forward(model, image)
    except (RuntimeError, NotImplementedError, TypeError):
        # Operations of a user's own may not run under a mode; the maps are drawn as equal parts.
        return {}
    finally:
        for handle in handles:
            handle.remove()
    names = {split_call(name)[0]: module for name, module in layers.items()}
    return {
        call_name(name, number, len(grids[module])): grid
        for name, module in names.items()
        for number, grid in enumerate(grids[module])
    }


def placement_note(grid: Grid | None, cells: Sequence[int]) -> str:
    """What is to be said of a map of ``cells``: that its place isn't known; else nothing."""
    lost = grid is None or grid.rolled or grid.loose or grid.upright.fitted(cells) is None
    return NOT_FOLLOWED if lost else ""


def field_of(grid: Grid | None, cells: Sequence[int], size: Sequence[int]) -> MapField | None:
    """The field of a map of ``cells`` (h, w) or (d, h, w) in an input of ``size``.

    None where the cells share the input out between them, so that the map is laid over the whole
    of it, and where the field isn't known. A window of 3 every 2 pixels, padded by 1, is centered
    half a pixel before the 2 that it stands for, and five such layers 15.5 pixels before their 32.
    As long as that is within half a cell (of the coarsest layer on the way), and the cells tile
    the input, they are taken for equal parts of it, as everybody draws them.
    """
    fitted = None if grid is None or grid.rolled else grid.upright.fitted(cells)
    if fitted is None:
        return None
    whole = all(
        stride > 0
        and abs(stride * count - side) < _ROUNDING
        and abs(offset) < cell / 2 + _ROUNDING
        and (low, high) == (0, side)
        for stride, count, side, offset, cell, low, high in zip(
            fitted.stride,
            fitted.sizes,
            size,
            fitted.offset,
            fitted.cells,
            fitted.low,
            fitted.high,
            strict=True,
        )
    )
    if whole:
        return None
    return MapField(
        tuple(size), fitted.offset, fitted.stride, tuple(zip(fitted.low, fitted.high, strict=True))
    )

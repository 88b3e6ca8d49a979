"""The grids of all tensors of a forward pass, followed from operation to operation."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from fastcam.attribution.geometry.grids import Call, Grid, passed_on_grid
from fastcam.attribution.geometry.operations import OPERATIONS
from fastcam.attribution.geometry.reordering import REORDERINGS, REORDERINGS_BY_NAME
from fastcam.attribution.modules import tensors_of

_HANDLERS = {**OPERATIONS, **REORDERINGS}


class GridTracker(TorchDispatchMode):
    """While it is open, keeps the grid of every tensor that comes of ``image`` (b, c, *s)."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        size = tuple(image.shape[2:])
        zeros, ones = (0.0,) * len(size), (1.0,) * len(size)
        ends = tuple(map(float, size))
        self._axes = len(size)
        self._grids = WeakTensorKeyDictionary()
        # None: made of parts of the image that lie elsewhere, so that it has no place of its own.
        self._grids[image] = Grid(size, zeros, ones, zeros, ends, ones, tuple(range(2, image.ndim)))

    def grid(self, tensor: Tensor) -> Grid | None:
        """Where the places of ``tensor`` are; None where that isn't known."""
        found: Grid | None = self._grids.get(tensor)
        return found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [
            (t, self._grids[t]) for t in tensors_of((*args, *kwargs.values())) if t in self._grids
        ]
        output = func(*args, **kwargs)
        if not inputs:
            return output
        handler = _HANDLERS.get(func.overloadpacket) or REORDERINGS_BY_NAME.get(
            str(func.overloadpacket)
        )
        results = output if isinstance(output, tuple | list) else (output,)
        for number, result in enumerate(results):
            if not isinstance(result, Tensor):
                continue
            if handler is None:
                self._grids[result] = passed_on_grid(inputs, result)
            else:
                call = Call(func, args, kwargs, result, number, inputs, self._axes)
                self._grids[result] = handler(call)
        return output

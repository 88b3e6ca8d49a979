"""A batch that doesn't fit into memory is run in halves, and the ones after it in that size."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fastcam.attribution.batch_maps import BatchMaps, Engine
from fastcam.errors import InputError

# Where a CPU has no memory left, PyTorch raises a plain RuntimeError with one of these.
_MEMORY_MESSAGES = ("can't allocate memory", "out of memory", "not enough memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        message in str(error).lower() for message in _MEMORY_MESSAGES
    )


class Halving:
    """Calls ``engine`` on at most ``size`` images at a time; ``size`` falls when memory runs out.

    ``log`` gets one line each time it does. Raises InputError when one image doesn't fit.
    """

    def __init__(self, engine: Engine, size: int, log: Callable[[str], None]) -> None:
        self._engine = engine
        self._log = log
        self.size = size

    def __call__(self, batch: Tensor, targets: Tensor | None = None) -> BatchMaps:
        """The maps of ``batch`` (n, c, *size), whatever the number of pieces.

        ``targets`` (n,) or (n, t) goes to the engine in the same pieces.
        """
        pieces: list[BatchMaps] = []
        start = 0
        while start < len(batch):
            rows = slice(start, start + self.size)
            part = batch[rows]
            maps = self._attempt(part, None if targets is None else targets[rows])
            if maps is None:
                self._halve(len(part), tuple(batch.shape[1:]))
                continue
            pieces.append(maps)
            start += len(part)
        return concatenate(pieces)

    def _attempt(self, part: Tensor, targets: Tensor | None) -> BatchMaps | None:
        try:
            return self._engine(part, targets)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return None

    # Outside the except clause: the exception's frames hold the tensors that must go first.
    def _halve(self, failed: int, shape: tuple[int, ...]) -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if failed == 1:
            raise InputError(
                f"out of memory with a single image of shape {shape}; use a smaller --image-size, "
                "fewer layers, or a device with more memory"
            )
        self.size = max(1, failed // 2)
        self._log(f"out of memory with {failed} images at once: going on with {self.size}")


def concatenate(pieces: Sequence[BatchMaps]) -> BatchMaps:
    """The maps of pieces of one batch as those of the whole."""
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0]
    targets = None
    if first.targets is not None:
        targets = torch.cat([p.targets for p in pieces if p.targets is not None])
    measures = None
    if first.measures is not None:
        measures = torch.cat([p.measures for p in pieces if p.measures is not None])
    maps = {name: torch.cat([p.maps[name] for p in pieces]) for name in first.maps}
    gates = {path: torch.cat([p.gates[path] for p in pieces]) for path in first.gates}
    return BatchMaps(
        maps,
        torch.cat([p.output for p in pieces]),
        targets=targets,
        measures=measures,
        gates=gates,
        layer_names=first.layer_names,
        notes=first.notes,
        fields=first.fields,
    )

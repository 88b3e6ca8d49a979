"""A batch that doesn't fit into memory is run in halves, and the ones after it in that size."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fastcam.attribution.batch_maps import BatchMaps, Engine
from fastcam.attribution.segmentation import SegmentationTargets
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

    ``log`` gets one line each time it does, ``advance`` the number of images after each call.
    Raises InputError when one image doesn't fit.
    """

    def __init__(
        self,
        engine: Engine,
        size: int,
        log: Callable[[str], None],
        advance: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._engine = engine
        self._log = log
        self._advance = advance
        self.size = size

    def __call__(
        self, batch: Tensor, targets: Tensor | SegmentationTargets | None = None
    ) -> BatchMaps:
        """The maps of ``batch`` (n, c, *size), whatever the number of pieces.

        ``targets`` (n,) or (n, t), or with masks, goes to the engine in the same pieces.
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
            self._advance(len(part))
        return concatenate(pieces)

    def _attempt(
        self, part: Tensor, targets: Tensor | SegmentationTargets | None
    ) -> BatchMaps | None:
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
                "fewer layers, of methods with many passes a smaller --batch-size, or a device "
                "with more memory"
            )
        self.size = max(1, failed // 2)
        self._log(f"out of memory with {failed} images at once: going on with {self.size}")


def concatenate(pieces: Sequence[BatchMaps]) -> BatchMaps:
    """The maps of pieces of one batch as those of the whole."""
    if len(pieces) == 1:
        return pieces[0]
    first = pieces[0]
    maps = {name: torch.cat([p.maps[name] for p in pieces]) for name in first.maps}
    gates = {path: torch.cat([p.gates[path] for p in pieces]) for path in first.gates}
    return BatchMaps(
        maps,
        torch.cat([p.output for p in pieces]),
        targets=_joined([p.targets for p in pieces]),
        measures=_joined([p.measures for p in pieces]),
        measure_names=first.measure_names,
        labels=_joined([p.labels for p in pieces]),
        pixels=_joined([p.pixels for p in pieces]),
        boxes=_joined([p.boxes for p in pieces]),
        gates=gates,
        layer_names=first.layer_names,
        notes=first.notes,
        fields=first.fields,
    )


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Rows of all pieces; None where the pieces have none."""
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors) if tensors else None

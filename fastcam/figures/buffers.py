"""Large arrays that are used again for every figure, one set for each thread.

A figure's canvas and its filtered rows are 4 MB each: allocated anew they come back from the
system page by page, which took 1.3 ms a figure, as long as drawing it.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Buffers(threading.local):
    """Arrays by name; what is in them lasts until the same thread takes the name again.

    ``contents`` is for whoever fills them to note what it left there.
    """

    def __init__(self) -> None:
        self._held: dict[str, NDArray[np.uint8]] = {}
        self._taken: dict[str, tuple[tuple[int, ...], DTypeLike, NDArray[Any]]] = {}
        self.contents: Any = None

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An uninitialised C-contiguous array; it shares memory with the last of that name."""
        taken = self._taken.get(name)
        if taken is not None and taken[0] == shape and taken[1] is dtype:
            return taken[2]  # 0.3 us instead of 3.5, four times a figure
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        held = self._held.get(name)
        if held is None or held.size < needed:
            held = self._held[name] = np.empty(needed, dtype=np.uint8)
        array = held[:needed].view(dtype).reshape(shape)
        self._taken[name] = shape, dtype, array
        return array

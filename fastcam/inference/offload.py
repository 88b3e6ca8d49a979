"""Results from the device to the host while the next batch runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Offload:
    """Copies tensors to the host: at once from a CPU, on a side stream from a GPU.

    On CUDA the copy goes into pinned memory on a stream of its own, which waits for the work that
    was queued before it; :meth:`Copies.wait` is for the writer thread.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None

    def start(self, tensors: dict[str, Tensor]) -> Copies:
        """Begin to copy; the tensors may be let go of at once."""
        if self._stream is None:
            return Copies({name: t.detach().cpu() for name, t in tensors.items()}, None)
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        hosts = {}
        with torch.cuda.stream(self._stream):
            for name, tensor in tensors.items():
                source = tensor.detach()
                host = torch.empty(source.shape, dtype=source.dtype, pin_memory=True)
                host.copy_(source, non_blocking=True)
                # The allocator must not give this memory to the next batch before it is copied.
                source.record_stream(self._stream)
                hosts[name] = host
            done = torch.cuda.Event()
            done.record(self._stream)
        return Copies(hosts, done)


class Copies:
    """Tensors on their way to the host."""

    def __init__(self, tensors: dict[str, Tensor], done: Any) -> None:
        self._tensors = tensors
        self._done = done

    def wait(self) -> dict[str, NDArray[Any]]:
        """The arrays, once they are there."""
        if self._done is not None:
            self._done.synchronize()
        return {name: np.asarray(tensor.numpy()) for name, tensor in self._tensors.items()}

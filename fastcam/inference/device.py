"""Where a model runs and in which arithmetic, and how batches get there and results back."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from fastcam.errors import InputError
from fastcam.run.cgroups import cores

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(option: str) -> torch.device:
    """The device by its option. Raises InputError where there is no GPU and one was asked for."""
    name, _, index = option.partition(":")
    if name not in get_args(Device) or (index and not index.isdecimal()):
        raise InputError(
            f"--device {option!r} is not known: use one of {', '.join(get_args(Device))}"
        )
    available = torch.cuda.is_available()
    if name == "cpu" or (name == "auto" and not available):
        return torch.device("cpu")
    if not available:
        cause = "was built without CUDA" if torch.version.cuda is None else "finds no GPU"
        raise InputError(
            f"--device {option}: this PyTorch ({torch.__version__}) {cause}; use --device cpu, or "
            "install a CUDA build of PyTorch"
        )
    if index and int(index) >= torch.cuda.device_count():
        raise InputError(f"--device {option}: there are {torch.cuda.device_count()} GPUs")
    return torch.device("cuda", int(index) if index else torch.cuda.current_device())


def choose_precision(option: str, device: torch.device) -> torch.dtype:
    """The dtype of the model's arithmetic; that of the maps is float32 always.

    ``auto`` is bf16 on CUDA and fp32 on a CPU, where bf16 pays only with AVX-512-BF16 or AMX.
    """
    if option not in get_args(Precision):
        raise InputError(
            f"--precision {option!r} is not known: use one of {', '.join(get_args(Precision))}"
        )
    if option == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if option == "fp16" and device.type == "cpu":
        raise InputError("--precision fp16 needs a GPU; use bf16 or fp32 on a CPU")
    return _DTYPES[option]


def arithmetic(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """The context in which the model runs: autocast, unless it is float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def folds_norms(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether batch normalizations are computed by the convolutions before them: on a CPU in low
    precision.

    In float32 the numbers are those of the model as it is; a GPU adds the bias in a step of its
    own, which takes as long as the normalization.
    """
    return device.type == "cpu" and dtype != torch.float32


def takes_all_cores(device: torch.device) -> bool:
    """Whether a model on ``device`` computes with all the cores that this process may use."""
    return device.type == "cpu" and torch.get_num_threads() >= cores()


def batch_on(device: torch.device, tensors: Sequence[Tensor] | Tensor) -> Tensor:
    """Tensors (c, *size) on the host as one batch (n, c, *size) on the device. They may be the rows
    of one tensor. Numbers of images lie channels last, levels (uint8) plane by plane.

    For a GPU they are stacked in pinned memory, from which it copies while it computes.
    """
    if device.type == "cuda":
        shape = (len(tensors), *tensors[0].shape)
        batch = torch.empty(shape, dtype=tensors[0].dtype, pin_memory=True)
        if isinstance(tensors, Tensor):
            batch.copy_(tensors)
        else:
            torch.stack(list(tensors), out=batch)
    else:
        batch = tensors if isinstance(tensors, Tensor) else torch.stack(list(tensors))
    batch = batch.to(device, non_blocking=True)
    return batch.contiguous(memory_format=_layout(batch.ndim, batch.dtype))


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors (c, *size) of one shape and type as one (n, c, *size), laid out as by `batch_on`.

    In a process that reads for another one it lies in shared memory from the beginning, so that it
    need not be copied there.
    """
    shape, dtype = (len(tensors), *tensors[0].shape), tensors[0].dtype
    layout = _layout(len(shape), dtype)
    if get_worker_info() is None:
        batch = torch.empty(shape, dtype=dtype, memory_format=layout)
    else:
        strides = torch.empty(shape, dtype=dtype, device="meta", memory_format=layout).stride()
        storage = torch.UntypedStorage._new_shared(math.prod(shape) * dtype.itemsize)
        batch = torch.empty(0, dtype=dtype).set_(storage, 0, shape, strides)
    for row, tensor in zip(batch, tensors, strict=True):
        row.copy_(tensor)
    return batch


def _layout(axes: int, dtype: torch.dtype) -> torch.memory_format:
    if dtype != torch.uint8 and axes in _CHANNELS_LAST:
        return _CHANNELS_LAST[axes]
    # Tensors of (c, ...) without two or three axes of size have no other layout.
    return torch.contiguous_format


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
            event = torch.cuda.Event()
            event.record(self._stream)
        return Copies(hosts, event)


class Copies:
    """Tensors on their way to the host."""

    def __init__(self, tensors: dict[str, Tensor], event: Any) -> None:
        self._tensors = tensors
        self._event = event

    def wait(self) -> dict[str, NDArray[Any]]:
        """The arrays, once they are there."""
        if self._event is not None:
            self._event.synchronize()
        return {name: np.asarray(tensor.numpy()) for name, tensor in self._tensors.items()}

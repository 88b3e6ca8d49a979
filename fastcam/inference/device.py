"""Where a model runs and in which arithmetic: ``--device`` and ``--precision``."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Literal, get_args

import torch

from fastcam.errors import InputError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

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

"""``--devices``: on which devices the worker processes of one machine run the model."""

from __future__ import annotations

import torch

from fastcam.errors import InputError
from fastcam.inference.device import choose_device

_MOST = 1024


def worker_devices(devices: str, device: str, gpus: int | None = None) -> tuple[str, ...]:
    """A device for each worker process, by the option ``--devices`` and, cpu or cuda where both are
    there, ``--device``.

    ``all`` are the machine's GPUs, a number the first so many of them, or where there is none as
    many processes on the CPU; numbers with commas are those GPUs. ``gpus``: how many there are;
    None: those that PyTorch finds. InputError for GPUs that aren't there.

    >>> worker_devices("2", "auto", gpus=4), worker_devices("0,3,", "auto", gpus=4)
    (('cuda:0', 'cuda:1'), ('cuda:0', 'cuda:3'))
    >>> worker_devices("3", "cpu", gpus=4)
    ('cpu', 'cpu', 'cpu')
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"--devices {devices} and --device {device}: give one of them")
    if gpus is None:
        choose_device(device)
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = 0 if device == "cpu" else gpus
    numbers = _numbers(devices, gpus)
    if not gpus:
        return ("cpu",) * len(numbers)
    missing = [number for number in numbers if number >= gpus]
    if missing:
        there = "there is 1 GPU" if gpus == 1 else f"there are {gpus} GPUs"
        raise InputError(
            f"--devices {devices}: there is no GPU {missing[0]}; {there}, counted from 0"
        )
    return tuple(f"cuda:{number}" for number in numbers)


def _numbers(devices: str, gpus: int) -> list[int]:
    """Which GPUs ``devices`` names, or without GPUs a number for each process."""
    text = devices.strip()
    parts = [part.strip() for part in text.rstrip(",").split(",")]
    if not gpus and (text == "all" or "," in text):
        raise InputError(
            f"--devices {devices}: there is no GPU here; give a number, as in --devices 2, for "
            "so many processes on the CPU"
        )
    if text == "all":
        return list(range(gpus))
    if not all(part.isdecimal() and len(part) < len(str(_MOST)) + 1 for part in parts):
        raise InputError(
            f"--devices {devices!r}: give all, a number of devices, or those to use with commas "
            "between, as in 0,2,5"
        )
    if "," not in text:
        count = int(text)
        if not 0 < count <= _MOST:
            raise InputError(f"--devices {devices}: give at least 1, and {_MOST} at most")
        if gpus and count > gpus:
            there = "there is 1 GPU" if gpus == 1 else f"there are {gpus} GPUs"
            raise InputError(f"--devices {devices}: {there}")
        return list(range(count))
    numbers = list(map(int, parts))
    if len(set(numbers)) < len(numbers):
        raise InputError(f"--devices {devices}: names a GPU twice")
    return numbers

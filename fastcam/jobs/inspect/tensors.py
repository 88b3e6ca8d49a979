"""The tensors of a checkpoint by name, type and shape, without building a model."""

from __future__ import annotations

import json
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.read.results.content import MOST_HEADER
from fastcam.read.results.pickle_cost import TooCostlyError
from fastcam.read.results.scalars import printable
from fastcam.read.results.tensors import TORCH_ERRORS, load_torch

_MOST_AXES = 64


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a checkpoint: its name, its number type as the file calls it, its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def safetensors_entries(path: Path) -> list[TensorEntry]:
    """The header: 8 bytes of little-endian length, then JSON of name -> dtype, shape, offsets.

    InputError where it isn't whole.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MOST_HEADER, path.stat().st_size - 8):
                raise InputError(
                    f"{path}: is not a complete safetensors file (header of {length} bytes)"
                )
            header = json.loads(file.read(length))
        return [
            TensorEntry(name, str(entry["dtype"]), _counts(entry["shape"]))
            for name, entry in header.items()
            if name != "__metadata__"
        ]
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: its safetensors header is damaged ({error})") from error


def _counts(shape: list[Any]) -> tuple[int, ...]:
    counts = tuple(int(n) for n in shape)
    # What is no shape of any tensor takes as long as it likes to be multiplied.
    if len(counts) > _MOST_AXES or not all(0 <= n < 2**63 for n in counts):
        raise ValueError("a shape that is none")
    return counts


def _reason(error: Exception) -> str:
    """What torch objects to, without its advice to load the file all the same."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    telling = (line for line in lines if "GLOBAL" in line or "Unsupported" in line)
    return next(telling, lines[0].partition(". In PyTorch 2.6")[0])


def torch_entries(path: Path) -> list[TensorEntry]:
    """The tensors of what ``torch.save`` wrote, nested names joined by dots.

    None where it holds no tensors. InputError, with torch's own words, where torch refuses it.
    """
    import torch

    if path.suffix == ".safetensors":  # torch.load goes by the name there
        raise InputError(f"{path}: is what torch.save() wrote, under another name; call it .pth")
    try:
        with warnings.catch_warnings():
            # Torch's warnings about odd files: it reads them, or says in an error why not.
            warnings.simplefilter("ignore", UserWarning)
            loaded = load_torch(path, mmap=zipfile.is_zipfile(path))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except TooCostlyError as error:
        raise InputError(f"{path}: is refused: {error}") from error
    except TORCH_ERRORS as error:
        raise InputError(
            f"{path}: torch.load(weights_only=True) refuses it: {_reason(error):.300}"
        ) from error
    tensors: list[TensorEntry] = []
    waiting: list[tuple[str, Any]] = [("", loaded)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            tensors.append(TensorEntry(name or "(the file)", dtype, tuple(value.shape)))
        elif isinstance(value, dict) and name.count(".") < 20:
            keys = [key if isinstance(key, str) else printable(key) for key in value]
            inner = [
                (f"{name}.{key}" if name else key, part)
                for key, part in zip(keys, value.values(), strict=True)
            ]
            waiting += reversed(inner)
    return tensors

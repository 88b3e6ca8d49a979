"""Files of ``torch.save`` and tensors in pickles, under ``torch.load(weights_only=True)``'s rules.

Tensors of a results file come back as NumPy arrays. torch is imported only when a file holds a
tensor or was written by ``torch.save``.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.read.regular_files import check_regular
from fastcam.read.results.deep_stack import call_deep, stack_for_tuples
from fastcam.read.results.numpy_stand_ins import STAND_INS as NUMPY_STAND_INS
from fastcam.read.results.numpy_stand_ins import Call, PendingArray, PendingDtype, Sealed, refuse
from fastcam.read.results.pickle_cost import TooCostlyError
from fastcam.read.results.torch_cost import measure_torch

if TYPE_CHECKING:
    import torch

# What torch.load raises on bytes that make no sense.
TORCH_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    zipfile.BadZipFile,
    NotImplementedError,
    struct.error,
)


def numpy_stand_ins() -> list[Any]:
    """Stand-ins for NumPy's arrays and numbers, for ``torch.serialization.safe_globals``.

    They check their arguments and run nothing of NumPy's own unpickling.
    """
    stand_ins: list[Any] = [
        (stand_in, f"{module}.{name}")
        for (module, name), stand_in in NUMPY_STAND_INS.items()
        if module.startswith(("numpy", "_codecs"))
    ]
    # BUILD is allowed for these two types only if they have a name. A name without a dot can't
    # be written in a pickle, so the file can't ask for the types themselves.
    return [*stand_ins, (PendingArray, "pending array"), (PendingDtype, "pending dtype")]


def load_torch(
    path: Path, mmap: bool = False, convert: Callable[[object], object] | None = None
) -> object:
    """What ``torch.load(weights_only=True)`` makes of a file, on the CPU.

    ``mmap``: tensors stay in the file until they are read. ``convert`` is called with what was
    loaded, and its result returned. Both may raise what torch raises (``TORCH_ERRORS``).

    Keys of the file may be tuples in tuples in tuples ...: hashing them, here or in ``convert``,
    would overflow the stack of a thread and end the process. A file that costs too much is refused
    before anything of it is built, TooCostlyError.
    """
    import torch

    check_regular(path)
    with path.open("rb") as file:
        cost = measure_torch(file)

    def load() -> object:
        loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        cost.check_walk()
        return loaded if convert is None else convert(loaded)

    return call_deep(load, stack_for_tuples(cost.depth))


def load_torch_file(path: Path) -> object:
    """Read a zip file that ``torch.save`` wrote; its tensors become arrays.

    Raises InputError with torch's own words when torch refuses it.
    """
    import torch

    try:
        with torch.serialization.safe_globals(numpy_stand_ins()):
            return load_torch(path, convert=_as_arrays)
    except TooCostlyError as error:
        raise InputError(f"{path}: is refused: {error}") from error
    except TORCH_ERRORS as error:
        lines = str(error).splitlines() or [type(error).__name__]
        reason = next((line for line in lines if "GLOBAL" in line), lines[0]).strip()
        raise InputError(
            f"{path}: torch.load(weights_only=True) refuses it: {reason:.300}"
        ) from error


def _as_arrays(value: Any, depth: int = 0) -> Any:
    """``value`` with its tensors as arrays, down to positions: file > case > list > dict > bbox."""
    import torch

    if isinstance(value, torch.Tensor):
        dense = value.detach()
        return (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()
    if depth < 5 and isinstance(value, dict):
        return {key: _as_arrays(part, depth + 1) for key, part in value.items()}
    if depth < 5 and isinstance(value, list | tuple):
        return type(value)(_as_arrays(part, depth + 1) for part in value)
    return value


def _load_storage(data: object) -> torch.TypedStorage:
    import torch

    if not isinstance(data, bytes):
        refuse("a tensor without bytes")
    # Nested legacy files are small; torch's own unpickler reads them, weights only.
    try:
        measure_torch(io.BytesIO(data)).check_walk()
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        refuse(f"a tensor that torch.save didn't write ({error})")
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.TypedStorage):
        refuse("a tensor whose storage is something else")
    return storage


def _rebuild_tensor(
    storage: object, offset: object, shape: object, stride: object, *_autograd: object
) -> NDArray[Any]:
    import torch

    numbers: tuple[torch.dtype, ...] = (torch.float16, torch.float32, torch.float64, torch.bool)
    numbers += (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    if not isinstance(storage, torch.TypedStorage) or storage.dtype not in numbers:
        refuse("a tensor of something other than numbers")
    (start,), sizes, steps = counts((offset,)), counts(shape), counts(stride)
    # storage.untyped() warns; torch's own rebuilding reads this attribute as well.
    flat = torch.tensor([], dtype=storage.dtype).set_(storage._untyped_storage)
    # set_() and as_strided() check nothing, so the last number's position is checked here.
    last = start + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if 0 not in sizes and last >= len(flat):
        refuse(f"a tensor of shape {sizes} in a storage of {len(flat)} numbers")
    if math.prod(sizes) > len(flat):
        refuse(f"a tensor of shape {sizes} that repeats its {len(flat)} numbers")
    return np.array(torch.as_strided(flat, sizes, steps, start).numpy()).view(PendingArray)


def counts(numbers: object) -> tuple[int, ...]:
    """A tensor's shape, stride or offset out of a pickle, checked."""
    if not isinstance(numbers, tuple) or not all(type(n) is int and n >= 0 for n in numbers):
        refuse("a tensor whose shape, stride or offset are no counts")
    return numbers


STAND_INS: dict[tuple[str, str], Sealed] = {
    ("torch.storage", "_load_from_bytes"): Call(_load_storage),
    ("torch._utils", "_rebuild_tensor_v2"): Call(_rebuild_tensor),
}

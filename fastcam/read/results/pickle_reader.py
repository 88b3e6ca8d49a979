"""Read a pickle without trusting it: an exact list of globals, and nothing else runs."""

from __future__ import annotations

import mmap
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastcam.errors import InputError, one_line
from fastcam.read.collector import collector_paused
from fastcam.read.results import pickle_cost, pickle_scan, tensors
from fastcam.read.results.deep_stack import call_deep, stack_for_tuples
from fastcam.read.results.numpy_stand_ins import STAND_INS, Sealed

# What the C unpickler raises on bytes that make no sense, beside UnpicklingError.
BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ImportError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)


ALLOWED = STAND_INS | tensors.STAND_INS


class ForeignGlobalError(pickle.UnpicklingError):
    """The file asks for a function or class that is not on the list. ``name`` is module.name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def load(path: Path) -> object:
    """Unpickle ``path``; arrays and tensors come back as NumPy arrays of numbers.

    Nothing but the callables of this module runs. Raises InputError when the file can't be
    read, is not a complete pickle, or names a global that is not allowed.
    """
    with named_errors(path), path.open("rb") as file:
        if is_zip(file):
            return tensors.load_torch_file(path)
        return _load_checked(file)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """What goes wrong with a pickle as an InputError that names the file."""
    try:
        yield
    except ForeignGlobalError as error:
        raise InputError(
            f"{path}: the pickle asks for {one_line(error.name):.200}, which is not on the list of "
            "things a results file may hold; nothing in it was run. Save plain NumPy arrays, "
            "numbers, strings, lists and dicts"
        ) from error
    except pickle_scan.ScanError as error:
        raise InputError(
            f"{path}: not a whole pickle: {error}. Is it the results file, copied completely?"
        ) from error
    except pickle_cost.TooCostlyError as error:
        raise InputError(f"{path}: the pickle is refused: {error}") from error
    except BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: the pickle is damaged ({reason:.200}). Copy or write it again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def is_zip(file: BinaryIO) -> bool:
    """Whether a file, from whose beginning is read, is one that ``torch.save`` writes today."""
    start = file.read(4)
    file.seek(0)
    return start == b"PK\x03\x04"


def _load_checked(file: BinaryIO) -> object:
    if file.seek(0, 2) == 0:
        raise pickle_scan.ScanError("the file is empty")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        cost = pickle_cost.measure(data)
    file.seek(0)
    loaded = unpickle(file, cost)
    cost.check_walk()
    return loaded


def unpickle(
    file: BinaryIO,
    cost: pickle_cost.PickleCost,
    names: Mapping[tuple[str, str], Sealed] | None = None,
    storage: Callable[[object], object] | None = None,
) -> object:
    """What a pickle holds whose cost was measured. ``names`` are allowed beside the usual ones;
    ``storage`` gives what a persistent id stands for. Raises what ``pickle`` does."""
    unpickler = _Unpickler(file, encoding="latin1")
    unpickler.names = ALLOWED | dict(names or {})
    unpickler.storage = storage
    with collector_paused():
        return call_deep(unpickler.load, stack_for_tuples(cost.depth))


class _Unpickler(pickle.Unpickler):
    names: Mapping[tuple[str, str], Sealed]
    storage: Callable[[object], object] | None

    def find_class(self, module: str, name: str, /) -> object:
        try:
            return self.names[module, name]
        except KeyError:
            raise ForeignGlobalError(f"{module}.{name}") from None

    def persistent_load(self, identity: object, /) -> object:
        if self.storage is None:
            raise pickle.UnpicklingError("it refers to data outside of it")
        return self.storage(identity)

"""Checked stand-ins for the NumPy and stdlib callables that a results pickle may name.

An allow-list of names is not enough. ``numpy.dtype.__setstate__`` takes its flags from the file,
so a crafted state makes NumPy read raw bytes as object pointers; ``ndarray`` called directly
reserves whatever size it is called with. So nothing of NumPy is handed to the unpickler: each
name stands for one of the small callables below, which take the arguments that NumPy itself writes
(protocols 0 to 5, NumPy 1 and 2) and build plain arrays of numbers.
"""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

# Of the numbers that NumPy writes: their struct codes.
_STRUCT = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
_MOST_AXES = 64
_DTYPE_CODES = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|U[0-9]{1,5})")


def refuse(subject: str) -> NoReturn:
    raise pickle.UnpicklingError(f"refused: {subject}")


class Sealed:
    """Base of everything ``find_class`` returns: BUILD may not put state into it."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        refuse(f"state for {type(self).__name__.strip('_')}")


class Call(Sealed):
    """A function of this module, out of reach of BUILD (which sets a function's attributes)."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object) -> object:
        return self._function(*args)


class _NdarrayName(Sealed):
    """What ``numpy.ndarray`` stands for: only ``_reconstruct`` takes it, it can't be called."""

    __slots__ = ()


class PendingDtype:
    """A numeric dtype on its way out of a pickle; only the byte order is taken from its state.

    ``unpack`` makes a Python number in a tuple of the bytes of one; None for text.
    """

    __slots__ = ("real", "unpack")

    def __init__(self, real: np.dtype[Any]) -> None:
        self._become(real)

    def _become(self, real: np.dtype[Any]) -> None:
        self.real = real
        order, code = real.str[0], _STRUCT.get(real.str[1:])
        self.unpack = code and struct.Struct((order if order == ">" else "<") + code).unpack

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) >= 5 and state[0] in (3, 4)):
            refuse("a dtype state that NumPy doesn't write")
        order, *structure = state[1:5]
        if order not in ("<", ">", "|", "=") or structure != [None, None, None]:
            refuse("a structured dtype")
        self._become(self.real.newbyteorder(order))


class PendingArray(np.ndarray[Any, Any]):
    """An array that is still waiting for its contents."""

    def __new__(cls) -> PendingArray:
        return super().__new__(cls, (0,), np.uint8)

    def __setstate__(self, state: Any, /) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            refuse("an array state that NumPy doesn't write")
        _version, shape, dtype, fortran, data = state
        real = _numeric(dtype)
        if not isinstance(data, bytes | bytearray):
            refuse("an array whose contents are not bytes")
        _check_length(shape, real, data)
        contents: Any = (1, shape, real, bool(fortran), bytes(data))
        super().__setstate__(contents)


def _numeric(dtype: object) -> np.dtype[Any]:
    if not isinstance(dtype, PendingDtype) or dtype.real.kind not in "biuf":
        refuse("an array of something other than numbers")
    return dtype.real


def _check_length(shape: object, dtype: np.dtype[Any], data: bytes | bytearray) -> None:
    # Longer ones are no shapes of NumPy's, and multiplying them takes as long as they like.
    if not (
        isinstance(shape, tuple)
        and len(shape) <= _MOST_AXES
        and all(type(n) is int and 0 <= n < 2**63 for n in shape)
    ):
        refuse("an array shape that is not a tuple of counts")
    count = 1
    for n in shape:
        count *= n
    if count * dtype.itemsize != len(data):
        refuse(f"an array of shape {shape} with {len(data)} bytes of data")


def _make_dtype(code: object, align: object = False, copy: object = True) -> PendingDtype:
    if not (isinstance(code, str) and _DTYPE_CODES.fullmatch(code)):
        refuse(f"arrays of dtype {code!r:.40}; only numbers can be read")
    return PendingDtype(np.dtype(code))


def _make_array(subtype: object, shape: object, kind: object) -> PendingArray:
    if not isinstance(subtype, _NdarrayName) or shape != (0,) or kind not in (b"b", "b"):
        refuse("an array subclass")
    return PendingArray()


class _MakeScalar(Sealed):
    """``numpy.core.multiarray.scalar``: a Python number of the same value, or text.

    240,000 of them take 0.19 s; by way of NumPy's own scalars they took 0.49.
    """

    __slots__ = ()

    def __call__(self, dtype: object, data: object) -> object:
        if type(dtype) is not PendingDtype or type(data) is not bytes:
            refuse("a NumPy scalar without bytes")
        if dtype.unpack:
            try:
                return dtype.unpack(data)[0]
            except struct.error:
                pass
        if len(data) != dtype.real.itemsize:
            refuse(f"a NumPy {dtype.real} of {len(data)} bytes")
        big = dtype.real.str.startswith(">")
        return data.decode("utf-32-be" if big else "utf-32-le").rstrip("\0")


def _from_buffer(
    data: object, dtype: object, shape: Any, order: object, axes: Any = None
) -> NDArray[Any]:
    real = _numeric(dtype)
    if not isinstance(data, bytes | bytearray) or order not in ("C", "F", "K"):
        refuse("an array buffer that NumPy doesn't write")
    _check_length(shape, real, data)
    array: NDArray[Any] = np.frombuffer(bytes(data), real)
    array = array.reshape(shape, order="F" if order == "F" else "C")
    if order == "K" and axes is not None:
        array = array.transpose(axes)
    return array.view(PendingArray)


def _encode_latin1(text: object, encoding: object = None) -> bytes:
    # Protocols 0 to 2 have no bytes: they write them as text of the same code points.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        refuse("_codecs.encode for anything but bytes written as latin1")
    return text.encode("latin1")


def _make_set(*items: object) -> set[object]:
    if len(items) > 1 or not all(isinstance(part, list | tuple) for part in items):
        refuse("builtins.set of anything but a list")
    return set(*items)


def _make_dict(*items: object) -> dict[object, object]:
    # A plain dict keeps its order as well, and has no attributes for BUILD to replace.
    if len(items) > 1 or not all(isinstance(part, list | tuple) for part in items):
        refuse("collections.OrderedDict of anything but pairs")
    return dict(*items)


_MULTIARRAY = {"_reconstruct": Call(_make_array), "scalar": _MakeScalar()}
_NUMERIC = {"_frombuffer": Call(_from_buffer)}

STAND_INS: dict[tuple[str, str], Sealed] = {
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in _MULTIARRAY.items()
    },
    **{
        (f"numpy.{core}.numeric", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in _NUMERIC.items()
    },
    ("numpy", "ndarray"): _NdarrayName(),
    ("numpy", "dtype"): Call(_make_dtype),
    ("_codecs", "encode"): Call(_encode_latin1),
    ("builtins", "set"): Call(_make_set),
    ("__builtin__", "set"): Call(_make_set),  # as protocols 0 to 2 spell it
    ("collections", "OrderedDict"): Call(_make_dict),
}

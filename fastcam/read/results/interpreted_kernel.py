"""A compiled kernel as the Python that it was written in: slow, and ready at once."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

# NumPy as the kernels use it. Numba calculates with 64 bits what it takes out of a table of 32;
# NumPy's sums would wrap.
_NUMPY = SimpleNamespace(
    empty=np.empty, full=np.full, zeros=np.zeros, uint8=np.uint8, int32=np.int64, int64=np.int64
)


def interpreted(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """``kernel``, and all kernels that it calls, run by Python. Bytes go in place of (n,) uint8."""
    return _interpreted(kernel, {})


def _interpreted(kernel: Any, known: dict[int, FunctionType]) -> FunctionType:
    if id(kernel) in known:
        return known[id(kernel)]
    source: FunctionType = getattr(kernel, "py_func", kernel)
    names: dict[str, Any] = {"__builtins__": __builtins__}
    function = known[id(kernel)] = FunctionType(source.__code__, names, source.__name__)
    for name in source.__code__.co_names:
        value = source.__globals__.get(name)
        if value is np:
            names[name] = _NUMPY
        elif isinstance(value, np.ndarray):
            # A list gives Python's own integers, three times as fast.
            names[name] = value.tolist()
        elif hasattr(value, "py_func") or isinstance(value, FunctionType):
            names[name] = _interpreted(value, known)
        elif name in source.__globals__:
            names[name] = value
    return function

"""Bring an argument into the one form its kernel is compiled for."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def plain(array: NDArray[Any], dtype: type[Scalar]) -> NDArray[Scalar]:
    """``array`` itself when it is of ``dtype``, C-contiguous and writeable, else such a copy.

    Numba compiles one version per dtype, layout and writeability; a kernel that sees one form
    only is compiled (and later loaded) once.
    """
    flags, kind = array.flags, array.dtype
    # Types are compared by identity: sixty times a figure, 0.15 us each time.
    if kind.type is dtype and kind.isnative and flags.c_contiguous and flags.writeable:
        return array
    return np.array(array, dtype=dtype, order="C")

"""The one place with compile options. A kernel elsewhere is ``@kernel`` and its loop.

Kernels are serial: the scheduler above runs one work item per core, so a kernel that took
threads of its own would only take them from its neighbor. They release the GIL.

Machine code is cached beside the source or, where that folder can't be written, in the user's
cache folder (Numba's own fall-back).
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# Of what the result of a kernel is made that holds no arrays.
_PLAIN = {"None", "tuple", "bool", "int", "float", "np", "uint8", "int32", "uint32"}


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


_FINGERPRINT = _fingerprint()


def is_cached(function: Callable[..., Any]) -> bool:
    """Whether some process has compiled this kernel, in its present form, on this machine."""
    cache = getattr(function, "_cache", None)
    folder = getattr(cache, "cache_path", None)  # none where nothing can be cached
    if folder is None:
        return False
    return any(Path(folder).glob(f"*{function.__qualname__}-*.nbi"))


def kernel(function: Function) -> Function:
    """Compile ``function`` on its first call for the argument types it then gets.

    To a type checker this is the identity. Division by zero follows NumPy, so that loops
    vectorise.
    """
    return _compiled(function, counted=True)


def borrowing_kernel(function: Function) -> Function:
    """As :func:`kernel`, for one that makes no arrays and gives none back: its arguments are
    borrowed from the caller, and nothing in it counts references.

    Numba has a kernel count each array that it is given, twice a call, by atomic instructions:
    for those that are called for each row of a panel that was a tenth of a whole job, and two
    thirds of the time in which a pickle is checked. TypeError where the annotation says that it
    gives back what may hold arrays: they would be freed while they are in use.
    """
    result = str(function.__annotations__["return"])
    if not set(re.findall(r"\w+", result)) <= _PLAIN:
        raise TypeError(f"{function.__qualname__} gives {result}, which may hold arrays")
    return _compiled(function, counted=False)


def _compiled(function: Function, *, counted: bool) -> Function:
    # Numba drops cached code when its own file changes, not when a kernel it calls from another
    # file does. The cache file carries this name, so the fingerprint of all files does it.
    function.__qualname__ = f"{function.__qualname__}_{_FINGERPRINT}"
    # Said in either case, or it would be as in the kernel that calls it first.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": counted}
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:
        # Neither the package nor the home folder can be written (a container without a home):
        # compile in every process rather than not at all.
        compiled = njit(**options)(function)
    return cast(Function, compiled)


@contextmanager
def without_blas() -> Iterator[None]:
    """While it is open Numba takes BLAS for missing, as where SciPy isn't installed.

    The first function that a process compiles or loads has Numba import scipy.linalg, to see
    whether matrices can be multiplied: 0.2 of 0.4 s. No kernel does that. It is for processes that
    run nobody else's code: functions compiled in them can't multiply matrices afterwards.
    """
    from numba.np import linalg

    before = getattr(linalg, "ensure_blas", None)
    if before is None or "numba.np.arraymath" in sys.modules:
        yield
        return

    def missing() -> None:
        raise ImportError("not looked for")

    linalg.ensure_blas = missing
    try:
        yield
    finally:
        linalg.ensure_blas = before

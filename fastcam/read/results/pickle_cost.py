"""What a pickle may cost: refused before anything in it is built.

A kilobyte can ask for more than a computer ever does: tuples in tuples, ten times the one below in
each, make a hash of 10**40 steps as soon as one is a key. ``pickle`` can't be stopped meanwhile.
"""

from __future__ import annotations

import mmap
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from fastcam_kernels import pickle_cost
from fastcam_kernels._jit import is_cached
from fastcam_kernels.pickle_objects import INFINITE

from fastcam.read.meanwhile import meanwhile
from fastcam.read.results import pickle_scan
from fastcam.read.results.interpreted_kernel import interpreted

# A step of hashing or comparing is 10 ns. 100 cases of 2400 patches take a million of them.
_MOST_HASHING = 200_000_000
# Bytes that its calls may copy, as of arrays, at least and for each byte of the file.
_MOST_BUILDING, _BUILDING_PER_BYTE = 1 << 28, 8
# Objects, each as often as it is there, at least and for each byte of the file: cases that share
# the list of their positions have 8 a byte.
_MOST_OBJECTS, _OBJECTS_PER_BYTE = 2_000_000, 16
# Bytes of a pickle that Python walks through, and what its calls may copy there, in bytes: 0.12 s
# where the compiled kernel takes 0.6 to be loaded, and some ten to be compiled. The worst that 64
# KiB can ask for takes half a second.
_SMALL, _MOST_INTERPRETED = 1 << 16, 1 << 22
# Tuples inside each other: hashing them takes 128 MB of stack.
_MOST_DEPTH = 1_000_000


class TooCostlyError(pickle.UnpicklingError):
    """A small file that asks for work without end."""


@dataclass(frozen=True)
class PickleCost:
    """What a pickle costs.

    - ``end``: the offset behind it
    - ``size``: its bytes
    - ``objects``: how many it holds, each counted as often as it is there
    - ``depth``: tuples inside each other
    - ``hashing``: steps of looking up its keys
    """

    end: int
    size: int
    objects: int
    depth: int
    hashing: int = 0

    def check_walk(self) -> None:
        """TooCostlyError where walking through all that the pickle holds takes too long."""
        if self.objects > _MOST_OBJECTS + _OBJECTS_PER_BYTE * self.size:
            many = (
                "objects without end"
                if self.objects >= INFINITE
                else f"{float(self.objects):.2g} objects"
            )
            raise TooCostlyError(
                f"its {self.size} bytes stand for {many}: the same lists or dicts over and over, "
                "inside each other; save plain lists of dicts"
            )


def measure(data: bytes | mmap.mmap, start: int = 0, hashed: int = 0) -> PickleCost:
    """What the pickle in ``data`` that begins at ``start`` costs; nothing of it is built.

    ``hashed``: steps of looking up keys that other parts of the same file have taken. ScanError
    where it is not a complete pickle, TooCostlyError where building it takes too long or too much
    memory.
    """
    result, end, hashing, objects, depth = _walk(data, start, _MOST_HASHING - hashed)
    if result == pickle_cost.DAMAGED:
        pickle_scan.check(data if start == 0 else data[start:])
        raise pickle.UnpicklingError(f"byte {end} doesn't fit what is before it")
    if result == pickle_cost.HASHING:
        many = "steps without end" if hashing >= INFINITE else f"more than {_MOST_HASHING} steps"
        raise TooCostlyError(
            f"byte {end} uses a key, of a dict or set, that takes {many} to look up: tuples inside "
            "tuples, or large numbers; use texts as keys"
        )
    if result == pickle_cost.BUILDING:
        raise TooCostlyError(f"byte {end} makes arrays or sets far larger than the file")
    if result == pickle_cost.UNBOUNDED:
        raise pickle.UnpicklingError(f"byte {end} calls what may cost anything: a size, a codec")
    if depth > _MOST_DEPTH:
        raise TooCostlyError(f"it holds {depth} tuples inside each other; {_MOST_DEPTH} are enough")
    return PickleCost(end, end - start, objects, depth, hashing)


def _walk(data: bytes | mmap.mmap, start: int, most_hashing: int) -> tuple[int, int, int, int, int]:
    """(result, offset behind it, steps of hashing, objects, depth) as the kernel counts them."""
    if len(data) - start <= _SMALL:
        result, end, _, hashed, _, objects, depth = _interpreted_cost()(
            data[start:], 0, most_hashing, _MOST_INTERPRETED
        )
        if result != pickle_cost.BUILDING:
            return result, start + int(end), int(hashed), int(objects), int(depth)
    announce_compiling()
    codes = np.frombuffer(data, np.uint8)
    with meanwhile(partial(pickle_cost.cost, codes[:0], 0, 0, 0)):
        result, end, _, hashed, _, objects, depth = pickle_cost.cost(
            codes, start, most_hashing, _MOST_BUILDING + _BUILDING_PER_BYTE * len(codes)
        )
    del codes  # the file could not be unmapped
    return result, end, hashed, objects, depth


@cache
def _interpreted_cost() -> Callable[..., tuple[int, ...]]:
    return interpreted(pickle_cost.cost)


def announce_compiling() -> None:
    """A warning before the seconds in which the kernel is compiled: nothing else would say why
    the first file of an installation takes so long."""
    signatures = getattr(pickle_cost.cost, "signatures", ())
    if not signatures and not is_cached(pickle_cost.cost):
        warnings.warn(
            "first use: compiling what checks large pickles takes some ten seconds, once for this "
            "installation",
            stacklevel=1,
        )

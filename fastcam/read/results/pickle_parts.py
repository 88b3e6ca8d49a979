"""A large pickled list in parts, each a pickle of its own, so that memory holds one at a time.

A million positions are 58 MB of pickle and 600 MB of dicts: whoever takes over part by part what
they say never has more than a few MB of them.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from fastcam_kernels import pickle_items, pickle_pieces
from fastcam_kernels.pickle_items import BEGIN, BEHIND, END
from numpy.typing import NDArray

from fastcam.read.results.pickle_cost import announce_compiling

# Smaller files are read whole: the kernels take seconds to be compiled.
LARGE = 16 << 20
# Bytes of a part, at least: 13 MB of dicts.
_PART = 1 << 20
# All parts together have at most this many bytes for each of the file. More is a file in which
# everything shares everything.
_MOST_BYTES = 2
# Rounds in which is found what the definitions take that the parts take. Real files take one.
_MOST_ROUNDS = 16


@dataclass(frozen=True, eq=False)
class PickleParts:
    """A pickled list whose items can be read part by part.

    - ``data``: the pickle
    - ``items`` (n, 4), ``definitions`` (m, 4) int64: as :func:`fastcam_kernels.pickle_items.spans`
      gives them, the definitions sorted and none inside another
    """

    data: bytes | mmap.mmap
    items: NDArray[np.int64]
    definitions: NDArray[np.int64]

    def pickles(self) -> Iterator[bytes]:
        """Pickles of lists that make up the list; they end early, with an empty one, where the
        next would be too long."""
        codes = np.frombuffer(self.data, np.uint8)
        left = _MOST_BYTES * len(codes)
        begins = self.items[:, BEGIN]
        bounds = np.flatnonzero(np.diff(begins // _PART, prepend=-1, append=-1)).tolist()
        for first, behind in pairwise(bounds):
            part = self.items[first:behind]
            pickled = pickle_pieces.piece(codes, part, self.definitions, left).tobytes()
            left -= len(pickled)
            yield pickled
            if not pickled:
                return
            _forget(self.data, int(part[-1, END]))


def parts_of(data: bytes | mmap.mmap) -> PickleParts | None:
    """How the pickle ``data`` is read in parts; None where it is no list, or what is in it doesn't
    come in the order in which ``pickle`` writes. Nothing of it is built."""
    announce_compiling()
    codes = np.frombuffer(data, np.uint8)
    nothing = np.zeros(0, np.uint8)
    good, items, definitions = pickle_items.spans(codes, 0, len(codes), nothing)
    if not good or len(items) < 2:
        return None
    items = items.copy()
    wanted = np.zeros(int(items[-1, BEHIND]), np.uint8)
    pickle_items.recalled(codes, items, wanted)
    for _ in range(_MOST_ROUNDS):
        # Definitions are complete where the item that they lie in is.
        last = int(np.flatnonzero(wanted).max(initial=-1))
        stop = int(items[np.searchsorted(items[:, BEHIND], last, side="right"), END])
        good, _, definitions = pickle_items.spans(codes, 0, stop, wanted)
        if not good:
            return None
        if not pickle_items.recalled(codes, definitions, wanted):
            _forget(data, len(codes))
            return PickleParts(data, items, _outermost(definitions))
    return None


def _outermost(definitions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those that lie in no other, sorted."""
    ordered = definitions[np.lexsort((-definitions[:, END], definitions[:, BEGIN]))]
    behind = np.maximum.accumulate(ordered[:, END])
    return ordered[np.diff(behind, prepend=-1) > 0]


def _forget(data: bytes | mmap.mmap, end: int) -> None:
    """Let go of a mapped file's memory up to an offset; it is read again if it is needed."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        length = end // mmap.PAGESIZE * mmap.PAGESIZE
        if length:
            data.madvise(mmap.MADV_DONTNEED, 0, length)

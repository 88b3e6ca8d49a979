"""Planning a run on several workers: which batches go to a worker together. Integers and names."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fastcam.read.inputs.inputs import Item

# Ranges a worker gets, about: enough that all end together. A range begins with nothing read
# ahead, so that it has as many batches as that allows, and no more than are quickly done again.
_RANGES, _MOST_BATCHES = 8, 32


@dataclass(frozen=True, eq=False)
class BatchRange:
    """Batches that a worker runs one after the other.

    - ``numbers``: theirs in the store, ascending
    - ``items``: the images or volumes that they are of, by their 0-based number in the run
    """

    numbers: tuple[int, ...]
    items: Mapping[int, Item]


def batch_ranges(numbers: Sequence[int], workers: int) -> list[tuple[int, ...]]:
    """``numbers``, ascending, cut into ranges of about equal length for ``workers``.

    >>> batch_ranges([0, 1, 2, 5, 6], 1)
    [(0,), (1,), (2,), (5,), (6,)]
    >>> [len(part) for part in batch_ranges(range(100), 2)]
    [6, 7, 7, 6, 7, 7, 6, 7, 7, 6, 7, 7, 6, 7, 7]
    """
    size = min(max(1, -(-len(numbers) // (workers * _RANGES))), _MOST_BATCHES)
    parts = -(-len(numbers) // size)
    bounds = [len(numbers) * part // parts for part in range(parts + 1)] if parts else []
    return [tuple(numbers[start:stop]) for start, stop in pairwise(bounds)]


def range_of(
    numbers: tuple[int, ...],
    rows: Callable[[int], range],
    case_of: Callable[[int], int],
    items: Sequence[Item],
) -> BatchRange:
    """The range of the batches ``numbers``, by ``rows`` of a batch and ``case_of`` a row."""
    cases = dict.fromkeys(case_of(row) for number in numbers for row in rows(number))
    return BatchRange(numbers, {case: items[case] for case in cases})


def split_ranges(ranges: Sequence[BatchRange], queues: int) -> list[deque[BatchRange]]:
    """The ranges in ``queues`` queues: neighbors together, which may be slices of one volume."""
    bounds = [len(ranges) * queue // queues for queue in range(queues + 1)]
    return [deque(ranges[start:stop]) for start, stop in pairwise(bounds)]

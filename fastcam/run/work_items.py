"""Planning: which cases, which slices, in which work items. Integers and names, no pixels.

A work item is 32 figures or more that share a volume: enough that the main process's 8 ms of work
for a task, most of them Dask's messages, do not count, few enough that the cores end together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from typing import TypeVar

ITEM_FIGURES = 32
# A job of more figures than 32 times this has larger items rather than more of them, up to three
# times as large: 10,000 figures are 200 items of 50 where they were 400 of 25, which takes 1.8 s
# of the main process's CPU time instead of 3.1 (on a busy machine without AVX-512).
_MANY_ITEMS = 128
# Cases of one figure each are still a volume each to decode: few enough of them to an item that
# progress stays visible.
ITEM_CASES = 4


@dataclass(frozen=True, slots=True)
class CaseSlices:
    """Figures of one case.

    Attributes:
        case: the case's 0-based index in the store.
        slices: the 0-based slices to draw; of an image without slices, the numbers of its figures.
        summary: whether the text beside the figures is written, too.
        image: file or folder of its volume; None where there is none.
        image_missing: why there is none.
        mask: file or folder of its mask; None where there is none.
        mask_missing: why there is none; empty where no mask is used.
        inputs: the other files that its figures are made of.
        following: the case that is drawn next, without its figures; None after the last one.
    """

    case: int
    slices: tuple[int, ...]
    summary: bool
    image: str | None
    image_missing: str
    mask: str | None
    mask_missing: str
    inputs: tuple[str, ...] = ()
    following: CaseSlices | None = None


WorkItem = tuple[CaseSlices, ...]
Queued = TypeVar("Queued")


def figures_of(item: Iterable[CaseSlices]) -> int:
    """Number of figures of a work item, or of any cases."""
    return sum(len(case_slices.slices) for case_slices in item)


def work_items(cases: Iterable[CaseSlices]) -> list[WorkItem]:
    """Cut cases with many figures into items, put cases with few together."""
    cases = list(cases)
    size = min(max(ITEM_FIGURES, figures_of(cases) // _MANY_ITEMS), 3 * ITEM_FIGURES)
    items: list[WorkItem] = []
    small: list[CaseSlices] = []

    def close() -> None:
        if small:
            items.append(tuple(small))
            small.clear()

    for case_slices in _with_following(cases):
        if len(case_slices.slices) <= ITEM_FIGURES // ITEM_CASES:
            small.append(case_slices)
            if len(small) == ITEM_CASES:
                close()
            continue
        close()
        items += [(part,) for part in _equal_parts(case_slices, size)]
    close()
    return items


def _with_following(cases: Sequence[CaseSlices]) -> Iterator[CaseSlices]:
    for case_slices, after in zip_longest(cases, cases[1:]):
        following = None if after is None else replace(after, slices=(), summary=False)
        yield replace(case_slices, following=following)


def _equal_parts(case_slices: CaseSlices, size: int) -> list[CaseSlices]:
    """A case in parts of at most ``size`` figures: 33 are 17 and 16, not 32 and 1."""
    slices = case_slices.slices
    parts = -(-len(slices) // size)
    bounds = [len(slices) * part // parts for part in range(parts + 1)]
    return [
        replace(
            case_slices,
            slices=slices[start:stop],
            summary=case_slices.summary and start == 0,
        )
        for start, stop in pairwise(bounds)
    ]


def batches(cases: Sequence[CaseSlices], size: int) -> list[WorkItem]:
    """Cases, ``size`` at a time; for work that draws nothing."""
    return [tuple(cases[start : start + size]) for start in range(0, len(cases), size)]


def assign(items: Sequence[WorkItem], queues: int) -> list[deque[WorkItem]]:
    """Split the items into ``queues`` queues, of about equal numbers of figures.

    Each thread of a worker has a queue. Items of a case stay together, so that its volume is
    decoded by one worker; queues that run dry take from the others (:func:`steal_work`).
    """
    assigned: list[deque[WorkItem]] = [deque() for _ in range(queues)]
    total = sum(figures_of(item) or 1 for item in items)
    assigned_figures = 0
    queue = 0
    previous = -1
    for item in items:
        boundary = total * (queue + 1) / queues
        if assigned_figures >= boundary and item[0].case != previous and queue < queues - 1:
            queue += 1
        assigned[queue].append(item)
        assigned_figures += figures_of(item) or 1
        previous = item[-1].case
    return assigned


def steal_work(queues: list[deque[Queued]], thief: int) -> None:
    """Move the second half of the longest queue to an empty one, ``thief``.

    Items of a case may end up in both.
    """
    victim = max(range(len(queues)), key=lambda queue: len(queues[queue]))
    if victim == thief:
        return
    stolen = [queues[victim].pop() for _ in range((len(queues[victim]) + 1) // 2)]
    queues[thief].extend(reversed(stolen))

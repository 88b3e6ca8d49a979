"""Planning: which cases, which slices, in which work items. Integers and names, no pixels.

A work item is figures that share a volume. Queues hold them in parts that can be given to other
workers; a worker gets parts of them, or several, that keep it busy for about a second
(:class:`ItemSizes`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from time import perf_counter
from typing import TypeVar

from fastcam.run.seen_inputs import SeenFile

# Of an item before it is known how long a figure takes.
ITEM_FIGURES = 32
# Figures of a queue's items, and the most that are ever given to a worker at once.
_MOST_FIGURES, _MOST_GIVEN = 4 * ITEM_FIGURES, 16 * ITEM_FIGURES
# An item takes the main process 6 ms, most of them Dask's messages, and a worker 4: with a second
# of work in each they are a hundredth. Of more than 64 queues each has longer items.
_ITEM_SECONDS, _SECONDS_PER_QUEUE = 1.0, 1 / 64
# What is left of a job is cut into so many items for each queue, that the cores end together; not
# below so many figures.
_LAST_ITEMS, _FEWEST_FIGURES = 3, 16
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
        seen: the files that the model was given, as far as they were recorded.
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
    seen: tuple[SeenFile, ...] = ()
    following: CaseSlices | None = None


WorkItem = tuple[CaseSlices, ...]
Queued = TypeVar("Queued")


def figures_of(item: Iterable[CaseSlices]) -> int:
    """Number of figures of a work item, or of any cases."""
    return sum(len(case_slices.slices) for case_slices in item)


def work_items(cases: Iterable[CaseSlices]) -> list[WorkItem]:
    """Cut cases with many figures into items, put cases with few together."""
    items: list[WorkItem] = []
    small: list[CaseSlices] = []

    def close() -> None:
        if small:
            items.append(tuple(small))
            small.clear()

    for case_slices in _with_following(list(cases)):
        if len(case_slices.slices) <= ITEM_FIGURES // ITEM_CASES:
            small.append(case_slices)
            if len(small) == ITEM_CASES:
                close()
            continue
        close()
        items += [(part,) for part in _equal_parts(case_slices, _MOST_FIGURES)]
    close()
    return items


def _with_following(cases: Sequence[CaseSlices]) -> Iterator[CaseSlices]:
    for case_slices, after in zip_longest(cases, cases[1:]):
        following = None if after is None else replace(after, slices=(), summary=False)
        yield replace(case_slices, following=following)


def _equal_parts(case_slices: CaseSlices, size: int) -> list[CaseSlices]:
    """A case in parts of at most ``size`` figures: 129 are 65 and 64, not 128 and 1."""
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


class ItemSizes:
    """How many figures a worker is given at once.

    As many as take it about a second, by what the figures of the job have taken so far; near the
    end fewer, so that the workers end together.
    """

    def __init__(self, figures: int, clock: Callable[[], float] = perf_counter) -> None:
        """``figures``: of the whole job. The time counts from here."""
        self._given = self._done = 0
        self._figures, self._clock, self._start = figures, clock, clock()

    def done(self, item: WorkItem) -> None:
        """An item has been drawn."""
        self._done += figures_of(item)

    def take(self, waiting: deque[WorkItem], queues: int) -> WorkItem:
        """Take out of a queue, which isn't empty, what its worker gets next, where there are so
        many queues: a part of its first item, or several items."""
        size = self._size(queues)
        item = waiting.popleft()
        count = figures_of(item)
        parts = round(count / size)
        if len(item) == 1 and parts > 1:
            (whole,) = item
            count = -(-count // parts)
            waiting.appendleft((replace(whole, slices=whole.slices[count:], summary=False),))
            item = (replace(whole, slices=whole.slices[:count]),)
        while waiting and count + figures_of(waiting[0]) / 2 <= size:
            count += figures_of(waiting[0])
            item += waiting.popleft()
        self._given += count
        return item

    def _size(self, queues: int) -> float:
        size = float(ITEM_FIGURES)
        if self._done:
            each = (self._clock() - self._start) * queues / self._done
            size = max(_ITEM_SECONDS, _SECONDS_PER_QUEUE * queues) / each if each else _MOST_GIVEN
        left = (self._figures - self._given) / (_LAST_ITEMS * queues)
        return max(1.0, min(size, max(left, _FEWEST_FIGURES), _MOST_GIVEN))


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

"""Planning: which cases, which slices, in which work items. Integers and names, no pixels.

A work item is 32 figures or more that share a volume: enough that the main process's 8 ms of work
for a task, most of them Dask's messages, do not count, few enough that the cores end together.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from fastcam.errors import InputError
from fastcam.options import Selection
from fastcam.read.results.results import Rejected

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
    """Figures of one case, which counts from 0 in the store.

    ``image`` and ``mask`` are the files or folders of its volumes, None where there is none; why
    is said in ``image_missing`` and ``mask_missing`` (empty: no mask was asked for).
    """

    case: int
    slices: tuple[int, ...]
    summary: bool
    image: str | None
    image_missing: str
    mask: str | None
    mask_missing: str


WorkItem = tuple[CaseSlices, ...]


def figures_of(item: WorkItem) -> int:
    """Number of figures of a work item."""
    return sum(len(portion.slices) for portion in item)


class Selectable(Protocol):
    """What is asked of a case before it is chosen."""

    @property
    def name(self) -> str: ...
    @property
    def correct(self) -> bool | None: ...


def select(
    headers: Sequence[Selectable], selection: Selection, rejected: Sequence[Rejected] = ()
) -> list[int]:
    """Indices of the chosen cases, in the order of the results file.

    Filters come first, then ``offset`` and ``max_samples`` count what they leave. InputError for
    a ``--patient`` that is unknown, or among the ``rejected``.
    """
    names = {header.name for header in headers}
    reasons = {entry.name: entry.reason for entry in rejected}
    for wanted in selection.patients:
        if wanted not in names and wanted in reasons:
            raise InputError(f"--patient {wanted!r} can't be drawn: {reasons[wanted]}")
        if wanted not in names:
            near = difflib.get_close_matches(wanted, names, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise InputError(f"--patient {wanted!r} is not among the {len(names)} cases{hint}")
    chosen = [
        index
        for index, header in enumerate(headers)
        if (not selection.patients or header.name in selection.patients)
        and not (selection.only_errors and header.correct is not False)
    ]
    stop = None if selection.max_samples is None else selection.offset + selection.max_samples
    return chosen[selection.offset : stop]


def work_items(portions: Iterable[CaseSlices]) -> list[WorkItem]:
    """Cut cases with many figures into items, put cases with few together."""
    portions = list(portions)
    total = sum(len(portion.slices) for portion in portions)
    size = min(max(ITEM_FIGURES, total // _MANY_ITEMS), 3 * ITEM_FIGURES)
    items: list[WorkItem] = []
    gathered: list[CaseSlices] = []

    def close() -> None:
        if gathered:
            items.append(tuple(gathered))
            gathered.clear()

    for portion in portions:
        if len(portion.slices) <= ITEM_FIGURES // ITEM_CASES:
            gathered.append(portion)
            if len(gathered) == ITEM_CASES:
                close()
            continue
        close()
        # Equal parts: 33 slices are 17 and 16, not 32 and 1.
        parts = -(-len(portion.slices) // size)
        bounds = [len(portion.slices) * part // parts for part in range(parts + 1)]
        for part, (start, stop) in enumerate(pairwise(bounds)):
            slices = portion.slices[start:stop]
            items.append((replace(portion, slices=slices, summary=portion.summary and not part),))
    close()
    return items


def batches(portions: Sequence[CaseSlices], size: int) -> list[WorkItem]:
    """Portions, ``size`` at a time; for work that draws nothing."""
    return [tuple(portions[start : start + size]) for start in range(0, len(portions), size)]


def deal(items: Sequence[WorkItem], lanes: int) -> list[deque[WorkItem]]:
    """Split the items into one run for each lane, of about equal numbers of figures.

    A lane is one thread of one worker. Items of a case stay together, so that its volume is
    decoded by one worker; lanes that run dry take from the others (:func:`steal`).
    """
    dealt: list[deque[WorkItem]] = [deque() for _ in range(lanes)]
    total = sum(figures_of(item) or 1 for item in items)
    done = 0
    lane = 0
    previous = -1
    for item in items:
        boundary = total * (lane + 1) / lanes
        if done >= boundary and item[0].case != previous and lane < lanes - 1:
            lane += 1
        dealt[lane].append(item)
        done += figures_of(item) or 1
        previous = item[-1].case
    return dealt


def steal(lanes: list[deque[WorkItem]], thief: int) -> None:
    """Move the second half of the longest lane to an empty one; cases are cut if they must be."""
    victim = max(range(len(lanes)), key=lambda lane: len(lanes[lane]))
    if victim == thief:
        return
    taken = [lanes[victim].pop() for _ in range((len(lanes[victim]) + 1) // 2)]
    lanes[thief].extend(reversed(taken))

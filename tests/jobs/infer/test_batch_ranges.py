"""Which batches go to a worker together: integers, by hand and by hypothesis."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fastcam.jobs.infer.batch_ranges import BatchRange, batch_ranges, range_of, split_ranges
from fastcam.read.inputs.inputs import Item


@given(st.sets(st.integers(0, 2000)), st.integers(1, 40))
def test_every_batch_once_and_in_order(numbers: set[int], workers: int) -> None:
    ordered = sorted(numbers)
    ranges = batch_ranges(ordered, workers)
    assert [number for part in ranges for number in part] == ordered
    lengths = {len(part) for part in ranges}
    assert not lengths or (max(lengths) <= 32 and max(lengths) - min(lengths) <= 1)
    # As many as there are batches, or enough for all workers to end together.
    assert len(ranges) == len(ordered) or len(ranges) > 4 * workers


@given(st.integers(0, 50), st.integers(1, 9))
def test_queues_are_even(count: int, queues: int) -> None:
    ranges = [BatchRange((number,), {}) for number in range(count)]
    split = split_ranges(ranges, queues)
    assert [part for queue in split for part in queue] == ranges
    lengths = [len(queue) for queue in split]
    assert len(lengths) == queues
    assert max(lengths) - min(lengths) <= 1


def test_the_cases_of_a_range() -> None:
    items = [Item(name, "", Path(name)) for name in "abcd"]
    # Batches of two rows; cases of 3, 1, 4 and 2 of them.
    cases = [0, 0, 0, 1, 2, 2, 2, 2, 3, 3]
    part = range_of((1, 2), lambda n: range(2 * n, 2 * n + 2), cases.__getitem__, items)
    assert part.numbers == (1, 2)
    assert part.items == {0: items[0], 1: items[1], 2: items[2]}

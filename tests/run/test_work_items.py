from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.run import work_items
from fastcam.run.work_items import CaseSlices


@st.composite
def plans(draw) -> list[CaseSlices]:
    counts = draw(st.lists(st.integers(0, 150), max_size=30))
    return [
        CaseSlices(
            case,
            tuple(range(5, 5 + 2 * count, 2)),
            draw(st.booleans()),
            f"{case}.nii",
            "",
            None,
            "",
        )
        for case, count in enumerate(counts)
    ]


def bare(case_slices: CaseSlices) -> CaseSlices:
    """A case without its figures."""
    return replace(case_slices, slices=(), summary=False)


def figures(items) -> Counter:
    return Counter((part.case, index) for item in items for part in item for index in part.slices)


@given(plans())
def test_every_figure_and_summary_is_planned_once_in_items_of_about_32(planned):
    items = work_items.work_items(planned)
    wanted = Counter((part.case, index) for part in planned for index in part.slices)
    assert figures(items) == wanted
    assert Counter(part.case for item in items for part in item if part.summary) == Counter(
        part.case for part in planned if part.summary
    )
    # A large job's items grow to a 128th of it, and up to three times 32.
    longest = min(max(32, sum(len(part.slices) for part in planned) // 128), 96)
    for item in items:
        assert item
        assert 0 <= work_items.figures_of(item) <= longest
        assert len(item) <= work_items.ITEM_CASES
        for part in item:
            original = planned[part.case]
            assert (part.image, part.mask) == (original.image, original.mask)
            assert list(part.slices) == sorted(part.slices)
    order = [part.case for item in items for part in item]
    assert order == sorted(order)
    for part in (part for item in items for part in item):
        last = part.case == len(planned) - 1
        assert part.following == (None if last else bare(planned[part.case + 1]))
    kept = {part.case for item in items for part in item}
    assert kept == {part.case for part in planned}


@given(st.integers(1, 400))
def test_the_parts_of_a_case_are_equal(count):
    items = work_items.work_items([CaseSlices(0, tuple(range(count)), True, "", "", None, "")])
    sizes = [work_items.figures_of(item) for item in items]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-count // 32)


@pytest.mark.parametrize(
    ("cases", "count", "items"), [(40, 100, 160), (60, 100, 180), (100, 100, 200), (300, 100, 600)]
)
def test_large_jobs_have_larger_items(cases, count, items):
    planned = [CaseSlices(k, tuple(range(count)), True, "", "", None, "") for k in range(cases)]
    found = work_items.work_items(planned)
    assert len(found) == items
    assert max(map(work_items.figures_of, found)) <= 3 * work_items.ITEM_FIGURES


@given(plans(), st.integers(1, 20))
def test_assigning_loses_nothing_keeps_the_order_and_cases_together(planned, queues):
    items = work_items.work_items(planned)
    assigned = work_items.assign(items, queues)
    assert len(assigned) == queues
    assert [item for queue in assigned for item in queue] == items
    homes: dict[int, set[int]] = {}
    for home, queue in enumerate(assigned):
        for item in queue:
            for part in item:
                homes.setdefault(part.case, set()).add(home)
    assert all(len(found) == 1 for found in homes.values())


@given(st.integers(1, 12), st.integers(1, 60), st.integers(1, 32))
def test_queues_are_of_about_equal_length(queues, cases, count):
    """With one item a case no queue has more than an even share and one item."""
    items = [
        (CaseSlices(case, tuple(range(count)), False, "", "", None, ""),) for case in range(cases)
    ]
    lengths = [sum(map(work_items.figures_of, queue)) for queue in work_items.assign(items, queues)]
    assert max(lengths) <= cases * count / queues + count


@given(plans(), st.integers(1, 8), st.data())
def test_stealing_loses_nothing(planned, queues, data):
    items = work_items.work_items(planned)
    assigned = work_items.assign(items, queues)
    done = []
    while any(assigned):
        queue = data.draw(st.integers(0, queues - 1))
        if not assigned[queue]:
            longest = max(map(len, assigned))
            work_items.steal_work(assigned, queue)
            assert len(assigned[queue]) == (longest + 1) // 2
        done.append(assigned[queue].popleft())
    assert sorted(done, key=items.index) == items
    work_items.steal_work(assigned, 0)
    assert not any(assigned)


def test_stolen_items_stay_in_order():
    items = [(CaseSlices(case, (0,), False, "", "", None, ""),) for case in range(5)]
    queues = work_items.assign(items, 1) + work_items.assign([], 1)
    work_items.steal_work(queues, 1)
    assert [list(queue) for queue in queues] == [items[:2], items[2:]]


@given(plans(), st.integers(1, 40))
def test_batches(planned, size):
    items = work_items.batches(planned, size)
    assert [part for item in items for part in item] == planned
    assert all(len(item) <= size for item in items)

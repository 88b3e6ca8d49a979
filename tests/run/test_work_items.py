from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fastcam.run import work_items
from fastcam.run.work_items import CaseSlices, WorkItem


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
def test_every_figure_and_summary_is_planned_once_in_items_of_at_most_128(planned):
    items = work_items.work_items(planned)
    wanted = Counter((part.case, index) for part in planned for index in part.slices)
    assert figures(items) == wanted
    assert Counter(part.case for item in items for part in item if part.summary) == Counter(
        part.case for part in planned if part.summary
    )
    for item in items:
        assert item
        assert 0 <= work_items.figures_of(item) <= 128
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
    assert len(sizes) == -(-count // 128)


class _Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 7.0

    def __call__(self) -> float:
        return self.now


def cut_up(planned: list[CaseSlices], queues: int, seconds: float) -> list[list[WorkItem]]:
    """The items that each worker is given, two ahead, where a figure takes so long."""
    time = _Time()
    items = work_items.work_items(planned)
    waiting = work_items.assign(items, queues)
    sizes = work_items.ItemSizes(sum(map(work_items.figures_of, items)), time)
    given: list[list[WorkItem]] = [[] for _ in range(queues)]
    begun = [0] * queues
    ready = [0.0] * queues

    def give(queue: int) -> None:
        if not waiting[queue]:
            work_items.steal_work(waiting, queue)
        if waiting[queue]:
            given[queue].append(sizes.take(waiting[queue], queues))

    for _ in range(2):
        for queue in range(queues):
            give(queue)
    while any(len(parts) > done for parts, done in zip(given, begun, strict=True)):
        # Whoever ends next.
        ends = {
            queue: ready[queue] + seconds * work_items.figures_of(given[queue][begun[queue]])
            for queue in range(queues)
            if begun[queue] < len(given[queue])
        }
        queue = min(ends, key=ends.__getitem__)
        ready[queue], time.now = ends[queue], 7.0 + ends[queue]
        item = given[queue][begun[queue]]
        begun[queue] += 1
        sizes.done(item)
        give(queue)
    return given


def job(cases: int, count: int) -> list[CaseSlices]:
    return [CaseSlices(k, tuple(range(count)), True, "", "", None, "") for k in range(cases)]


@given(plans(), st.integers(1, 8), st.sampled_from([0.0, 0.001, 0.3, 40.0]))
def test_cutting_loses_nothing(planned, queues, seconds):
    parts = [part for given in cut_up(planned, queues, seconds) for item in given for part in item]
    wanted = Counter((part.case, index) for part in planned for index in part.slices)
    assert Counter((part.case, index) for part in parts for index in part.slices) == wanted
    assert Counter(part.case for part in parts if part.summary) == Counter(
        part.case for part in planned if part.summary
    )
    assert {part.case for part in parts} == {part.case for part in planned}


def test_quick_figures_are_given_by_the_second_and_the_last_ones_by_fewer():
    given = cut_up(job(100, 100), 2, 0.005)
    sizes = [[work_items.figures_of(item) for item in items] for items in given]
    assert sum(map(len, sizes)) < 100  # 300 items of 34 otherwise
    for queue in sizes:
        assert queue[0] <= 34  # nothing is known yet
        assert set(queue[4:20]) <= {100, 200}
        assert queue[4:20].count(200) > 12
        assert queue[-1] <= 34
    # The workers end within the time of the last items.
    assert abs(sum(sizes[0]) - sum(sizes[1])) <= 34


def test_figures_that_take_no_time_are_given_by_five_hundred():
    """Progress stays visible, and what a lost worker had is soon done again."""
    given = cut_up(job(100, 100), 2, 0.0)
    most = max(work_items.figures_of(item) for items in given for item in items)
    assert 500 <= most < 550


def test_slow_figures_are_given_one_by_one():
    """Else progress would stand still for minutes, and a stop lose them."""
    sizes = [work_items.figures_of(item) for item in cut_up(job(3, 100), 1, 2.0)[0]]
    assert sizes[0] == 34  # nothing is known yet
    assert set(sizes[2:]) == {1}


def test_many_workers_have_longer_items():
    """The main process takes 6 ms for each."""
    (first, *_) = cut_up(job(4000, 100), 256, 0.1)
    assert max(map(work_items.figures_of, first)) in range(34, 51)  # four seconds


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

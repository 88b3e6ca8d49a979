"""What is done while a kernel runs."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator

import pytest

from fastcam.read import meanwhile as module
from fastcam.read.meanwhile import do_meanwhile, meanwhile
from fastcam.read.results.pickle_cost import measure


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    module._waiting.clear()
    yield
    module._waiting.clear()


def test_it_is_done_once_by_another_thread_and_before_the_block_is_left():
    threads: list[threading.Thread] = []
    begun = threading.Event()

    def task() -> None:
        begun.wait(10)  # the block is run meanwhile
        threads.append(threading.current_thread())

    do_meanwhile(task)
    loaded: list[bool] = []
    with meanwhile(lambda: loaded.append(begun.is_set())):
        assert loaded == [False]
        begun.set()
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
    with meanwhile(lambda: loaded.append(True)):
        pass
    assert len(threads) == 1
    assert loaded == [False]  # nothing waits: the kernel is loaded when it is called


def test_a_library_that_is_missing_is_missed_where_it_is_used():
    done: list[int] = []

    def missing() -> None:
        raise ImportError("no such library")

    do_meanwhile(missing)
    do_meanwhile(lambda: done.append(1))
    with meanwhile(lambda: None):
        pass
    assert done == [1]


def test_an_error_in_the_block_waits_for_it_too():
    done: list[int] = []
    do_meanwhile(lambda: done.append(1))
    with pytest.raises(ValueError, match="of the kernel"), meanwhile(lambda: None):
        raise ValueError("of the kernel")
    assert done == [1]


@pytest.mark.parametrize(("count", "expected"), [(10, []), (100_000, [1])])
def test_large_pickles_are_checked_by_a_kernel_meanwhile(count, expected):
    """Small ones are checked by Python: nothing else could run then."""
    done: list[int] = []
    do_meanwhile(lambda: done.append(1))
    data = pickle.dumps(list(range(count)), 4)
    assert measure(data).end == len(data)
    assert done == expected

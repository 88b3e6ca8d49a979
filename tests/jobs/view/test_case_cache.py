from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.errors import CaseError
from fastcam.jobs.view.case_cache import CaseCache


@dataclass(frozen=True)
class Value:
    nbytes: int


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=60))
def test_it_holds_what_was_used_last_and_no_more_than_its_memory(uses) -> None:
    """Against a list that is written out."""
    cache: CaseCache[Value] = CaseCache(100)
    held: list[tuple[int, int]] = []
    for key, size in uses:
        sizes = dict(held)
        value = cache.get(key, partial(Value, size))
        size = sizes.get(key, size)
        assert value.nbytes == size
        held = [entry for entry in held if entry[0] != key] + [(key, size)]
        while sum(size for _, size in held) > 100:
            held.pop(0)
        assert cache.nbytes == sum(size for _, size in held) <= 100
        assert all((key in cache) == (key in dict(held)) for key in range(10))


def test_one_that_is_larger_than_the_memory_stays_alone() -> None:
    cache: CaseCache[Value] = CaseCache(10)
    cache.get("small", lambda: Value(9))
    cache.get("large", lambda: Value(99))
    assert "large" in cache
    assert "small" not in cache
    assert cache.nbytes == 99


def test_threads_wait_for_the_one_that_opens() -> None:
    cache: CaseCache[Value] = CaseCache(100)
    opened = []

    def opener() -> Value:
        opened.append(1)
        time.sleep(0.05)
        return Value(1)

    values: list[Value] = []
    threads = [
        threading.Thread(target=lambda: values.append(cache.get("a", opener))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert len(values) == 8
    assert len({id(value) for value in values}) == 1


def test_an_error_is_raised_and_not_held() -> None:
    cache: CaseCache[Value] = CaseCache(100)

    def fail() -> Value:
        raise CaseError("broken")

    for _ in range(2):
        with pytest.raises(CaseError, match="broken"):
            cache.get("a", fail)
    assert cache.get("a", lambda: Value(3)).nbytes == 3

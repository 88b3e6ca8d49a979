from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastcam.run.recent_cache import RecentCache


class Opener:
    """Opens slowly enough for everybody to be waiting, and counts how often it had to."""

    def __init__(self, waiting: int, error: BaseException | None = None) -> None:
        self.count = 0
        self._all_here = threading.Barrier(waiting)
        self._error = error

    def arrive(self) -> None:
        self._all_here.wait(timeout=60)

    def __call__(self) -> object:
        self.count += 1
        threading.Event().wait(0.1)
        if self._error is not None:
            raise self._error
        return object()


def together(recent: RecentCache[object], opener: Opener, threads: int) -> list[object]:
    def ask(_: int) -> object:
        opener.arrive()
        try:
            return recent.get("key", opener)
        except BaseException as error:  # noqa: BLE001 - what was raised is what is looked at
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, range(threads)))


def test_many_threads_open_a_value_once():
    opener = Opener(8)
    found = together(RecentCache(), opener, 8)
    assert opener.count == 1
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_goes_to_all_who_wait_and_is_not_kept(error):
    recent: RecentCache[object] = RecentCache()
    opener = Opener(6, error)
    assert together(recent, opener, 6) == [error] * 6
    assert opener.count == 1
    assert recent.get("key", lambda: "whole") == "whole"
    assert recent.get("key", pytest.fail) == "whole"


def test_one_thread_keeps_what_it_used_last_only():
    recent: RecentCache[str] = RecentCache()
    opened = []

    def get(key: str) -> str:
        return recent.get(key, lambda: opened.append(key) or key.upper())

    assert [get(key) for key in "aabbab"] == list("AABBAB")
    assert opened == ["a", "b", "a", "b"]


def test_as_many_values_are_kept_as_there_are_threads():
    recent: RecentCache[str] = RecentCache()
    recent.get("a", lambda: "A")
    thread = threading.Thread(target=lambda: recent.get("b", lambda: "B"))
    thread.start()
    thread.join()
    assert recent.get("a", pytest.fail) == "A"
    assert recent.get("b", pytest.fail) == "B"
    assert recent.get("c", lambda: "C") == "C"
    assert recent.get("b", pytest.fail) == "B"  # used later than a
    assert recent.get("a", lambda: "again") == "again"


def test_what_is_no_longer_kept_is_let_go_before_the_next_is_opened():
    """Two volumes at once could be twice the memory."""
    import gc
    import weakref

    class Volume:
        pass

    recent: RecentCache[Volume] = RecentCache()
    seen = weakref.ref(recent.get("a", Volume))

    def second() -> Volume:
        gc.collect()
        assert seen() is None
        return Volume()

    recent.get("b", second)

"""The writer thread: in order, nothing lost, errors told."""

from __future__ import annotations

import threading
import time

import pytest

from fastcam.inference.writer import Writer


def test_everything_is_written_in_order_by_one_other_thread() -> None:
    done: list[tuple[int, int]] = []
    with Writer() as writer:
        for number in range(20):
            writer.put(lambda n=number: done.append((n, threading.get_ident())))  # type: ignore[misc]
    assert [number for number, _ in done] == list(range(20))
    assert {thread for _, thread in done} != {threading.get_ident()}
    assert len({thread for _, thread in done}) == 1


def test_what_was_handed_over_is_written_when_the_caller_fails() -> None:
    done: list[int] = []

    def slow() -> None:
        time.sleep(0.05)
        done.append(1)

    def stopped() -> None:
        with Writer() as writer:
            writer.put(slow)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert done == [1]


def test_an_error_of_the_thread_is_raised_on_leaving() -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Writer() as writer:
        writer.put(fail)


def test_an_error_of_the_thread_ends_the_caller_and_nobody_waits_for_ever() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("disk full")

    def many() -> None:
        with Writer() as writer:
            writer.put(fail)
            for number in range(1000):
                writer.put(lambda n=number: done.append(n))  # type: ignore[misc]
                time.sleep(0.001)

    with pytest.raises(OSError, match="disk full"):
        many()
    assert len(done) < 1000

"""Signals that arrive while they are put off."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from fastcam.run.stops import STOPS, stops_deferred


@pytest.fixture
def open_thread() -> Iterator[None]:
    """A thread that has every signal open: the system may hand one of this process to it."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.usefixtures("open_thread")
def test_a_stop_takes_effect_when_the_block_is_left() -> None:
    steps: list[int] = []

    def start() -> None:
        with stops_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            steps.extend(step for step in range(1000))  # where a handler would run

    with pytest.raises(KeyboardInterrupt):
        start()
    assert len(steps) == 1000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not STOPS & signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.usefixtures("open_thread")
@pytest.mark.parametrize("stop", sorted(STOPS))
def test_handlers_are_called_once_for_each_stop(stop: signal.Signals) -> None:
    arrived: list[int] = []
    before = signal.signal(stop, lambda number, _frame: arrived.append(number))
    try:
        with stops_deferred():
            os.kill(os.getpid(), stop)
            assert not arrived
        assert arrived == [stop]
    finally:
        signal.signal(stop, before)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stops_deferred():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_forked_child_has_the_handlers_that_were_there() -> None:
    with stops_deferred():
        child = os.fork()
        if not child:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                os._exit(3)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3


def test_in_another_thread_nothing_is_lost() -> None:
    def start() -> None:
        with stops_deferred():
            os.kill(os.getpid(), signal.SIGINT)

    def wait() -> None:
        thread.start()
        thread.join()

    thread = threading.Thread(target=start)
    with pytest.raises(KeyboardInterrupt):
        wait()
    thread.join()

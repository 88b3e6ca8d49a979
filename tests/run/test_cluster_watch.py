"""Workers that are lost while they are asked, and clusters that have none any more."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import Any

import pytest

from fastcam.errors import InputError, SchedulerError
from fastcam.run import cluster_watch
from fastcam.run.cluster_watch import WorkerWatch, ask_each


class Client:
    """A cluster whose workers at each look are the next of ``looks``; those of ``mute`` never
    answer, as tasks that are bound to a worker that is gone; those of ``bare`` have no fastcam."""

    def __init__(self, looks: list[set[str]], mute: set[str], bare: str = "") -> None:
        self.looks, self.mute, self.bare, self.asked = looks, mute, bare, list[str]()
        self.error: BaseException | None = None

    def nthreads(self) -> dict[str, int]:
        there = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return dict.fromkeys(there, 1)

    def submit(self, question: Any, argument: Any, *, workers: list[str], pure: bool) -> Any:
        future: Future[Any] = Future()
        (address,) = workers
        if question is eval:  # the one question that such a worker survives
            future.set_result(question(argument) and address not in self.bare)
            return future
        self.asked.append(address)
        assert address not in self.bare
        if self.error is not None:
            future.set_exception(self.error)
        elif address not in self.mute:
            future.set_result(question(argument) + address)
        return future


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_watch, "WATCH_SECONDS", 0.001)


def ask(client: Any) -> dict[str, str]:
    return ask_each(client, str.upper, "x")


def test_each_is_asked_once() -> None:
    client = Client([{"a", "b"}], set())
    assert ask(client) == {"a": "Xa", "b": "Xb"}
    assert client.asked == ["a", "b"]


def test_the_one_that_takes_the_place_of_a_lost_worker_is_asked() -> None:
    both = {"a", "b"}
    client = Client([both, both, both, both, {"b"}, {"b"}, {"b", "c"}], {"a"})
    assert ask(client) == {"b": "Xb"}
    alone = Client([{"a"}, {"a"}, {"a"}, {"a"}, set(), set(), {"c"}], {"a"})
    assert ask(alone) == {"c": "Xc"}


def test_a_worker_without_fastcam_is_named() -> None:
    """It would end by a question of fastcam, and so would the next."""
    client = Client([{"a", "b"}], set(), bare="b")
    with pytest.raises(InputError, match=r"^worker b has no fastcam; install the same one, "):
        ask(client)
    assert client.asked == []


def test_a_cluster_without_workers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_watch, "_SECONDS_WITHOUT", 0.02)
    with pytest.raises(SchedulerError, match="has had no workers") as caught:
        ask(Client([{"a"}, {"a"}, {"a"}, set()], {"a"}))
    assert "\n" not in str(caught.value)


def test_a_lost_scheduler_is_one_line() -> None:
    client = Client([{"a"}], set())
    client.error = CancelledError()
    with pytest.raises(SchedulerError, match="the Dask cluster was lost"):
        ask(client)


def test_what_the_question_raises_gets_out() -> None:
    client = Client([{"a"}], set())
    client.error = ImportError("fastcam")
    with pytest.raises(ImportError):
        ask(client)


def test_only_looks_in_a_row_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(cluster_watch, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    client: Any = Client([set()], set())
    watch = WorkerWatch(client)
    for clock[0] in (20, 40, 60, 80, 100, 120, 1000, 1020, 1040, 1060, 1080, 1100, 1120):
        assert watch.workers() == set()
    clock[0] = 1121
    with pytest.raises(SchedulerError):
        watch.workers()

"""Workers of a Dask cluster that come and go: what waits for one of them notices."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, TypeVar

from fastcam._version import __version__
from fastcam.errors import InputError, SchedulerError

if TYPE_CHECKING:
    from distributed import Client, Future

Argument = TypeVar("Argument")
Result = TypeVar("Result")

# Whether fastcam is there, asked without it.
_HAS_FASTCAM = "__import__('importlib.util').util.find_spec('fastcam') is not None"
KEPT = "what is finished is kept: run the same command again to go on"
# Seconds between two looks whether processes still live.
WATCH_SECONDS = 1.0
# A nanny needs some for a new worker, and a queue of a cluster for another node some more.
_SECONDS_WITHOUT = 120.0
# What Dask raises where it loses a process.
LOSSES = (OSError, TimeoutError, RuntimeError, EOFError)


def ask_each(
    client: Client, question: Callable[[Argument], Result], argument: Argument
) -> dict[str, Result]:
    """``question(argument)`` by each worker, by its address.

    One that is lost before it answered is left out, and the one that takes its place is asked.
    Raises what ``question`` raises, ImportError, AttributeError or RuntimeError where a worker or
    the scheduler doesn't have it, :class:`InputError` where a worker has no fastcam at all, and
    :class:`SchedulerError` where none is left.
    """
    # A worker that can't load a question of fastcam ends by that, without a word.
    for address, found in _answers(client, eval, _HAS_FASTCAM).items():
        if not found:
            raise InputError(
                f"worker {address} has no fastcam; install the same one, {__version__}, there"
            )
    return _answers(client, question, argument)


def _answers(
    client: Client, question: Callable[[Argument], Result], argument: Argument
) -> dict[str, Result]:
    def ask(address: str) -> Future[Result]:
        return client.submit(question, argument, workers=[address], pure=False)

    watch = WorkerWatch(client)
    waiting = {address: ask(address) for address in sorted(watch.workers())}
    answers: dict[str, Result] = {}
    while waiting or not answers:
        if not waiting:
            time.sleep(WATCH_SECONDS)
        for address, future in list(waiting.items()):
            try:
                answers[address] = future.result(timeout=WATCH_SECONDS)
            except TimeoutError:
                break
            except CancelledError as error:
                raise SchedulerError(f"the Dask cluster was lost; {KEPT}") from error
            del waiting[address]
        there = watch.workers()
        # A task that is bound to a worker waits for it for ever.
        for address in waiting.keys() - there:
            waiting.pop(address).cancel()
        for address in there - waiting.keys() - answers.keys():
            waiting[address] = ask(address)
    return answers


class WorkerWatch:
    """Looks which workers a cluster has, and how long it has none."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked = self._without_since = time.monotonic()

    def workers(self) -> set[str]:
        """The addresses of those that are there. :class:`SchedulerError` where, as far as was
        looked, there were none for two minutes."""
        there: set[str] = set()
        # A scheduler that is lost shows where its tasks are waited for.
        with contextlib.suppress(*LOSSES):
            there = set(self._client.nthreads())
        now = time.monotonic()
        if there or now - self._looked > _SECONDS_WITHOUT / 4:
            self._without_since = now
        self._looked = now
        if now - self._without_since > _SECONDS_WITHOUT:
            raise SchedulerError(
                f"the Dask cluster has had no workers for {_SECONDS_WITHOUT:.0f} s; start some "
                f"with `dask worker`; {KEPT}"
            )
        return there

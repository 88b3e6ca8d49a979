"""Queues of work items, one for each worker thread, that keep the workers of Dask busy.

Nothing here knows what is done with an item. Results are small records; pixels never travel.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, wait
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from fastcam.errors import SchedulerError
from fastcam.read.volumes.memory_limit import call_limited, current_limit
from fastcam.run import forkserver
from fastcam.run.cluster_watch import KEPT, LOSSES, WATCH_SECONDS, WorkerWatch
from fastcam.run.processes import child_ended
from fastcam.run.scheduler import silence_loops
from fastcam.run.work_items import ItemSizes, Queued, WorkItem, assign, figures_of, steal_work

if TYPE_CHECKING:
    from distributed import Client, Future

Result = TypeVar("Result")

# Items given to a worker thread ahead of the one it works on, so that it never waits.
_AHEAD = 2


def run(
    client: Client, function: Callable[[WorkItem], Result], items: Sequence[WorkItem]
) -> Iterator[tuple[WorkItem, Result]]:
    """Run every item once, as :func:`run_queues` does, with a queue for each worker thread."""
    return run_queues(client, function, partial(assign, items))


def run_cut(
    client: Client, function: Callable[[WorkItem], Result], items: Sequence[WorkItem]
) -> Iterator[tuple[WorkItem, Result]]:
    """Run every item as :func:`run` does, in parts, or several at once, that take about a second;
    yields what was run at once."""
    sizes = ItemSizes(figures_of(part for item in items for part in item))
    return run_queues(client, function, partial(assign, items), sizes=sizes)


class Sizes(Protocol[Queued]):
    """How much is run at once."""

    def take(self, waiting: deque[Queued], queues: int) -> Queued:
        """Take out of a queue, which isn't empty, what is run next, where there are so many."""

    def done(self, item: Queued) -> None:
        """What was taken has been run."""


def run_queues(
    client: Client,
    function: Callable[[Queued], Result],
    split: Callable[[int], list[deque[Queued]]],
    *,
    by_worker: bool = False,
    again: Callable[[Queued], bool] | None = None,
    sizes: Sizes[Queued] | None = None,
) -> Iterator[tuple[Queued, Result]]:
    """Run every item once; yields each with its result as it comes back, in any order.

    ``split`` gives as many queues of items as it is asked for. Each worker thread, or ``by_worker``
    each worker, has a queue of its own and at most a few items in flight, so the scheduler's memory
    does not grow with the job. With ``sizes`` what that takes is run at once, and yielded. The
    items of a worker that died are given to others. Raises :class:`SchedulerError` when the cluster
    is lost, or the process that workers are forked from, or when several workers died over one
    item, unless it is to be tried ``again``.
    """
    from distributed.scheduler import KilledWorker

    queues = _WorkerQueues(client, function, split, by_worker=by_worker, sizes=sizes)
    queues.fill()
    try:
        for future in queues.completed():
            queue, item = queues.pending[future]
            try:
                result = queues.result(future)
            except _ResultLostError:
                continue
            except (KilledWorker, CancelledError) as error:
                queues.forget(future)
                if again is not None and isinstance(error, KilledWorker) and again(item):
                    queues.submit(queue, item)
                    continue
                silence_loops()
                reason = str(error).partition("\n")[0] or type(error).__name__
                raise SchedulerError(
                    f"the Dask cluster gave up on a work item ({reason}); {KEPT}"
                ) from error
            queues.forget(future)
            if sizes is not None:
                sizes.done(item)
            queues.submit_next(queue)
            yield item, result
    finally:
        client.cancel(list(queues.pending))


class _ResultLostError(Exception):
    """The result was lost with its worker, and its item submitted once more."""


class _WorkerQueues(Generic[Queued, Result]):
    """The queues, the worker that each is for, and what was submitted of them."""

    def __init__(
        self,
        client: Client,
        function: Callable[[Queued], Result],
        split: Callable[[int], list[deque[Queued]]],
        *,
        by_worker: bool,
        sizes: Sizes[Queued] | None,
    ) -> None:
        self._client, self._function, self._sizes = client, function, sizes
        threads = sorted(client.nthreads().items())
        # Of queue q, where there were workers yet.
        self._addresses = [
            address for address, count in threads for _ in range(1 if by_worker else count)
        ]
        self._queues = split(max(1, len(self._addresses)))
        self.pending: dict[Future[Result], tuple[int, Queued]] = {}
        self._bound: dict[Future[Result], str] = {}
        self._completed: SimpleQueue[Future[Result]] = SimpleQueue()
        self._limit = current_limit()
        self._server = forkserver.server_pid() if client.cluster is not None else None
        self._loop: Any = client.loop
        self._watch = WorkerWatch(client)

    def fill(self) -> None:
        """Submit the first items of each queue."""
        for _ in range(_AHEAD):
            for queue in range(len(self._queues)):
                self.submit_next(queue)

    def submit_next(self, queue: int) -> None:
        """Submit the next item of a queue, or where it is empty of the longest, if there is one."""
        if not self._queues[queue]:
            steal_work(self._queues, queue)
        if self._queues[queue]:
            waiting = self._queues[queue]
            if self._sizes is None:
                item = waiting.popleft()
            else:
                item = self._sizes.take(waiting, len(self._queues))
            self.submit(queue, item)

    def submit(self, queue: int, item: Queued) -> None:
        """Submit an item of a queue, to its worker if that has time for it."""
        future = self._client.submit(
            call_limited,
            self._limit,
            self._function,
            item,
            pure=False,
            # None where all workers are just being started again.
            workers=self._addresses[queue : queue + 1] or None,
            allow_other_workers=bool(self._addresses),
        )
        self.pending[future] = (queue, item)
        if self._addresses:
            self._bound[future] = self._addresses[queue]
        future.add_done_callback(self._completed.put)

    def forget(self, future: Future[Result]) -> tuple[int, Queued]:
        """Wait no longer for it; its queue and item."""
        self._bound.pop(future, None)
        return self.pending.pop(future)

    def completed(self) -> Iterator[Future[Result]]:
        """Those of ``pending`` that are finished, until it is empty."""
        while self.pending:
            try:
                future = self._completed.get(timeout=WATCH_SECONDS)
            except Empty:
                self._look_after_workers()
                continue
            # One that was submitted anew is no longer waited for.
            if future in self.pending:
                yield future

    def result(self, future: Future[Result]) -> Result:
        """The result of one that was finished; raises what the function raised.

        It lies with the worker until it is asked for: where that is lost just then, the item is run
        once more. :class:`_ResultLostError` where that was done here.
        """
        # Not Future.result with a timeout: that cancels the request for all results that are being
        # fetched, and the next one attaches itself to it.
        fetched: concurrent.futures.Future[Result] = asyncio.run_coroutine_threadsafe(
            self._client.gather(future, asynchronous=True), self._loop.asyncio_loop
        )
        while not wait((fetched,), WATCH_SECONDS).done:
            self._look_after_workers()
            if future not in self.pending:
                raise _ResultLostError
        return fetched.result()

    def _look_after_workers(self) -> None:
        """Raise :class:`SchedulerError` where no worker will come; where new ones came, let them
        have the queues and items of those that are gone."""
        if self._server is not None and child_ended(self._server):
            silence_loops()
            raise SchedulerError(
                "the process that workers are forked from was lost; was it killed, or is "
                f"the memory full? {KEPT}"
            )
        there = self._watch.workers()
        gone = set(self._addresses) - there
        if not there or not gone:
            return
        new = sorted(there - set(self._addresses))
        places = dict(zip(sorted(gone), new, strict=False))
        self._addresses = [places.get(address, address) for address in self._addresses]
        self._submit_anew([future for future, address in self._bound.items() if address in gone])

    def _submit_anew(self, futures: Sequence[Future[Result]]) -> None:
        """Submit items again that no worker works on.

        Where for a moment there is no worker at all, Dask keeps an item back until its very worker
        returns, though others are allowed (``bulk_schedule_unrunnable_after_adding_worker``), and
        one that is started in its place has another address.
        """
        try:
            worked_on = {key for keys in self._client.processing().values() for key in keys}
        except LOSSES:
            return
        lost = [
            future
            for future in futures
            if future.status in ("pending", "lost") and future.key not in worked_on
        ]
        items = [self.forget(future) for future in lost]
        self._client.cancel(lost)
        for queue, item in items:
            self.submit(queue, item)

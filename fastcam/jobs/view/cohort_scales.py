"""The limits of maps over all cases of a run, found once, in the background where that is wanted.

They need every case of a run to be read: minutes for ten thousand volumes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from fastcam.jobs.view.opened_case import Limits
from fastcam.jobs.view.query import MapReference
from fastcam.jobs.view.run import ViewRun


class CohortScales:
    """The limits over all cases of ``runs``, from any thread."""

    def __init__(self, runs: Sequence[ViewRun]) -> None:
        self._runs = runs
        self._lock = threading.Lock()
        # One after the other: they read the same files.
        self._finding = threading.Lock()
        self._futures: dict[tuple[MapReference, bool], Future[Limits]] = {}

    def limits(self, of_map: MapReference, classic: bool) -> Limits:
        """The limits of a map, ``classic``: as that style shows them; waits for them."""
        return self._future(of_map, classic).result()

    def known(self, of_map: MapReference, classic: bool) -> bool:
        """Whether the limits of a map are known; where not, they are being found from now on."""
        return self._future(of_map, classic).done()

    def _future(self, of_map: MapReference, classic: bool) -> Future[Limits]:
        with self._lock:
            future = self._futures.get((of_map, classic))
            if future is not None:
                return future
            future = self._futures[of_map, classic] = Future()
        # A daemon: Ctrl-C must not wait for it.
        threading.Thread(target=self._find, args=(of_map, classic, future), daemon=True).start()
        return future

    def _find(self, of_map: MapReference, classic: bool, future: Future[Limits]) -> None:
        try:
            with self._finding:
                run = self._runs[of_map.run]
                limits = run.cohort_limits(of_map.map, of_map.head, classic)
        except BaseException as error:  # noqa: BLE001
            # Threads that wait must not hang, whatever it is.
            future.set_exception(error)
            return
        future.set_result(limits)

"""Figures of a run of ``fastcam infer`` that is still going on: what is finished is drawn, round by
round, until the run ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastcam.errors import InputError
from fastcam.jobs.render.report import RenderReport
from fastcam.jobs.render.request import RenderRequest
from fastcam.run.run_status import RunState, read_state, unfinished_run
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store

# Seconds between two looks at the run, and after which a round is worth its start, for however few
# cases. A round starts worker processes, which takes a second.
_LOOK = 0.5
_PATIENCE = 30.0
# So many new cases are worth a round, or this share of all.
_LEAST = 64
_SHARE = 0.05


def follow(request: RenderRequest, draw: Callable[[RenderRequest], RenderReport]) -> RenderReport:
    """Draw what is finished of the run whose store the results are, again and again, by ``draw``.

    Returns when the run has ended, however that was, with the counts of all rounds. InputError
    where the results are no store of maps in the folder of a run, or need all of its maps at once.
    """
    if request.style.scale == "cohort":
        raise InputError(
            "--follow with --scale cohort: the limits of all cases are known when the run has "
            "ended; leave out one of them"
        )
    run = request.results.parent
    store = open_store(request.results)
    if not isinstance(store, MapStore):
        raise InputError(
            f"--follow: {request.results} holds patch attention, which is not inferred"
        )
    drawn, seconds = 0, 0.0
    seen: _Seen | None = None
    while True:
        seen = _wait(request, seen)
        report = draw(replace(request, finished_only=seen.state.status != "finished"))
        report.already -= drawn
        drawn += report.drawn
        seconds += report.seconds.get("draw", 0.0)
        report.drawn = drawn
        if seconds:
            report.seconds["draw"] = round(seconds, 3)
        if seen.ended:
            report.notes += [f"{run}: {text}" for text in [unfinished_run(run)] if text]
            return report
        # Replaced by the first round; the others add to it.
        request = replace(request, overwrite=False)


@dataclass(frozen=True)
class _Seen:
    """How far the run was when a round began."""

    state: RunState
    rows: int

    @property
    def ended(self) -> bool:
        return self.state.status != "running"


def _wait(request: RenderRequest, last: _Seen | None) -> _Seen:
    """How far the run is, when that is worth a round after the ``last`` one."""
    start = time.monotonic()
    done, rows = (last.state.done, last.rows) if last else (0, 0)
    while True:
        state = read_state(request.results.parent)
        if state.command != "infer":
            raise InputError(
                f"--follow: {request.results.parent} is the folder of a run of fastcam "
                f"{state.command}, not of infer"
            )
        if state.status != "running":
            return _Seen(state, rows)
        enough = state.done - done >= max(_LEAST, state.total * _SHARE)
        if enough or time.monotonic() - start >= _PATIENCE:
            # What counts as done is with the thread that writes it; and a model that takes long for
            # a batch says late how far it is.
            stored = MapStore.open(request.results).done_rows()
            if stored > rows:
                return _Seen(state, stored)
            start = time.monotonic()
        time.sleep(_LOOK)

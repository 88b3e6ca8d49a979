"""Dask's clock where the machine's own is set while a job runs."""

from __future__ import annotations

import subprocess
import sys
import time

import distributed.batched
import pytest
import tornado.ioloop

from fastcam.run.steady_clock import steady_clock, steady_time

# A thousand seconds back, or an hour forward, at each look.
JOB = """
import time
wall, step, looks = time.time, {step}, 0

def clock():
    global looks
    looks += 1
    return wall() + step * looks

time.time = clock
from fastcam.run.queues import run
from fastcam.run.scheduler import ClusterShape, local_cluster
from fastcam.run.work_items import CaseSlices

items = [(CaseSlices(n, (0,), False, None, "", None, ""),) for n in range(40)]
with local_cluster(ClusterShape(0, 1), ()) as client:
    print(sum(result for _, result in run(client, len, items)))
"""


@pytest.mark.parametrize("step", [-1000, 3600])
def test_job_ends_though_the_clock_is_set_all_the_time(step: int) -> None:
    command = [sys.executable, "-c", JOB.format(step=step)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.returncode) == ("40\n", 0), ended


def test_steady_time_is_never_set(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = steady_time()
    before, now = steady(), time.time()
    assert before == pytest.approx(now, abs=5)
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert before <= steady() < before + 60


def test_clock_of_dask_and_of_its_loops_is_the_same_and_put_back() -> None:
    names = vars(distributed.batched)
    wall, loop = names["time"], tornado.ioloop.IOLoop.time
    with steady_clock():
        assert names["time"] is not wall
        instance = tornado.ioloop.IOLoop.__new__(tornado.ioloop.IOLoop)
        assert instance.time() == pytest.approx(names["time"](), abs=5)
    assert (names["time"], tornado.ioloop.IOLoop.time) == (wall, loop)

"""The resource tracker of multiprocessing is killed: each one knows some of the semaphores only."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, signal, warnings
from multiprocessing import get_context, resource_tracker
from fastcam.run.forkserver import heed_tracker_loss

warnings.simplefilter("ignore")
def kill():
    pid = resource_tracker._resource_tracker._pid
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
before = get_context("spawn").Semaphore()
{heed}
first = get_context("spawn").Semaphore()
kill()
second = [get_context("spawn").Semaphore() for _ in range(3)]
{heed}
kill()
third = get_context("spawn").Semaphore()
del before, first, second, third
"""


def said(heed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heed=heed)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_no_tracker_is_told_of_what_it_does_not_know() -> None:
    assert "KeyError" in said("")
    assert said("heed_tracker_loss()") == ""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastcam.run.processes import (
    child_ended,
    end_with_parent,
    has_died,
    process_stamp,
    status_of,
)
from tests.process_tree import is_alive, kill, wait_until


def stamp_of_a_process_that_ended() -> dict[str, object]:
    code = (
        "import json; from fastcam.run.processes import process_stamp;"
        "print(json.dumps(process_stamp()))"
    )
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    return dict(json.loads(text))


def test_this_process_lives_and_one_that_ended_does_not() -> None:
    assert not has_died(process_stamp())
    ended = stamp_of_a_process_that_ended()
    assert has_died(ended)
    assert status_of({"status": "running", "process": ended}) == "interrupted"
    assert status_of({"status": "finished", "process": ended}) == "finished"
    assert status_of({"status": "running", "process": process_stamp()}) == "running"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="start times are Linux's")
@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another"}])
def test_a_number_that_is_used_again_is_another_process(change: dict[str, object]) -> None:
    assert has_died({**process_stamp(), **change})


@pytest.mark.parametrize(
    "stamp", [None, {}, [], {**process_stamp(), "host": "elsewhere"}, {"pid": -1}, {"pid": "1"}]
)
def test_what_cannot_be_known_is_not_dead(stamp: object) -> None:
    assert not has_died(stamp)
    assert status_of({"status": "running", "process": stamp}) == "running"


def test_a_child_that_ended_still_has_its_exit_code() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert not child_ended(child.pid)
        child.kill()
        wait_until(lambda: child_ended(child.pid))
        assert child.wait() == -9
        assert child_ended(child.pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_a_forked_process_ends_with_its_parent() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild == 0:
            end_with_parent()
            os.write(write, str(os.getpid()).encode())
            os.read(os.pipe()[0], 1)  # for ever
        os.read(os.pipe()[0], 1)
    pid = int(os.read(read, 20))
    assert is_alive(pid)
    kill(child)
    os.waitpid(child, 0)
    wait_until(lambda: not is_alive(pid), 5)

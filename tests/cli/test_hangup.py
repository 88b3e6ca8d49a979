"""A closed connection's SIGHUP and a batch system's SIGTERM end a command as Ctrl-C does."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.run.run_status import read_state
from tests.process_tree import Ending, running, wait_until

# A model that says when it is being made, and takes its time.
MODEL = """
import time
from pathlib import Path

def slow():
    (Path(__file__).parent / "begun").touch()
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _hangup() -> Iterator[None]:
    """SIGHUP as a terminal has it: tests under nohup ignore it, and hand that on to commands."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def stopped(folder: Path, number: int, *args: object) -> Ending:
    """How a command ends that gets a signal while it makes its model."""
    with running(*args) as command:
        begun = folder / "begun"
        wait_until(lambda: begun.exists() or command.process.poll() is not None, 120)
        command.process.send_signal(number)
        return command.finish(60)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("job", ["explain", "inspect"])
def test_a_signal_ends_a_command_by_one_line(tmp_path: Path, job: str, number: int) -> None:
    (tmp_path / "slow.py").write_text(MODEL, encoding="utf-8")
    model = ["--model", f"{tmp_path / 'slow.py'}:slow"]
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "image.png")
    out = tmp_path / "out"
    explain = ["explain", tmp_path / "image.png", *model, "--output-dir", out]
    ending = stopped(tmp_path, number, *(explain if job == "explain" else ["inspect", *model]))
    assert ending.code == 130
    lines = ending.err.splitlines()
    assert lines[-1] == "fastcam: stopped"
    assert all(line.startswith("[") for line in lines[:-1])  # the steps of explain
    assert ending.out == ""
    assert not out.exists() or not list(out.iterdir())


WAITING = """
import time
from pathlib import Path

import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, 3)

    def forward(self, x):
        here = Path(__file__).parent
        (here / "begun").touch()
        while (here / "open").exists():
            time.sleep(0.05)
        return self.layer(x).mean((2, 3))
"""


def test_a_run_outlives_a_terminal_that_sends_no_signal(tmp_path: Path) -> None:
    """As one that was started in the background, and disowned."""
    (tmp_path / "net.py").write_text(WAITING, encoding="utf-8")
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "image.png")
    (tmp_path / "open").touch()
    out = tmp_path / "out"
    model = ["--model", tmp_path / "net.py:Net", "--layer", "layer"]
    args = ["infer", tmp_path / "image.png", *model, "--image-size", 32, "--output-dir", out]
    far, near = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fastcam", *map(str, args)], stdout=near, stderr=near
    )
    os.close(near)
    wait_until(lambda: (tmp_path / "begun").exists() or process.poll() is not None, 120)
    os.close(far)
    (tmp_path / "open").unlink()
    assert process.wait(60) == 0
    assert read_state(out).status == "finished"

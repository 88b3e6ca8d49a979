"""A slice-wise run that is killed (SIGKILL) and started again: the store of an undisturbed run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .slice_samples import save

# Kills its own process at the forward pass whose number stands in a file, or a little after it.
MODEL = """
import os
import signal
import threading
import time
from pathlib import Path

import torch
from torch import nn

KILL = Path(__file__).with_name("kill.txt")


class Net(nn.Module):
    image_size = 16

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(1, 3, 3, padding=1)
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        if KILL.exists():
            time.sleep(0.2)  # so that what is finished is stored, too
            number, delay = KILL.read_text().split()
            # At the seventh pass the first batch is with the thread that writes, on however slow a
            # disk.
            stored = "out0/run.zarr/done/status/c*"
            while self.passes == int(number) == 7 and not list(KILL.parent.glob(stored)):
                time.sleep(0.05)
            if self.passes == int(number):
                kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
                threading.Timer(float(delay), kill).start() if float(delay) else kill()
        return torch.relu(self.layer(x)).mean((2, 3))
"""


def infer(folder: Path, output: Path) -> subprocess.CompletedProcess[str]:
    options = "--layer layer --batch-size 2 --workers 0 --device cpu --json"
    paths = [f"{folder}/images", "--model", f"{folder}/nets.py:Net", "--output-dir", str(output)]
    command = [sys.executable, "-m", "fastcam", "infer", *paths, *options.split()]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def contents(store: Path) -> dict[str, bytes]:
    """Every file of a store; the root's attributes say when it was made."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path != store / "zarr.json"
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_the_store_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(MODEL)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for case, depth in enumerate((5, 3, 4)):
        save(tmp_path / f"images/v{case}.nii.gz", rng.integers(0, 99, (20, 18, depth), np.uint8))
    whole = infer(tmp_path, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    known = contents(tmp_path / "whole/run.zarr")
    # A few passes look at the model; then come six batches, some of them across volumes.
    already = []
    for number, kill in enumerate(("7 0", "6 0.004")):
        output = tmp_path / f"out{number}"
        (tmp_path / "kill.txt").write_text(kill)
        killed = infer(tmp_path, output)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert contents(output / "run.zarr") != known
        (tmp_path / "kill.txt").unlink()
        again = infer(tmp_path, output)
        assert again.returncode == 0, again.stderr
        already.append(json.loads(again.stdout)["already_there"])
        assert contents(output / "run.zarr") == known
    # What was finished is kept, of one of them at least: writing is behind the model.
    assert any(already), already

"""A small campaign; ``make campaign`` runs a long one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# So many trials of each part take about twenty seconds of processor time.
TRIALS = {"kills": 3, "disk": 5, "pickles": 30, "mutations": 30, "changes": 3}


@pytest.mark.parametrize("part", TRIALS)
def test_nothing_goes_wrong(part: str) -> None:
    command = [sys.executable, "-m", "tests.campaign.campaign", "--part", part]
    folder = Path(__file__).parents[2]
    paths = [str(folder), str(folder / "kernels"), os.environ.get("PYTHONPATH", "")]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    ended = subprocess.run(
        [*command, "--seed", "0", "--trials", str(TRIALS[part])],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr

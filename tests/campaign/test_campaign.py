"""A small campaign; ``make campaign`` runs a long one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_nothing_goes_wrong() -> None:
    """All kinds in one process: loading what the commands import is half of it."""
    command = [sys.executable, "-m", "tests.campaign.campaign", "--few", "--seed", "0"]
    folder = Path(__file__).parents[2]
    paths = [str(folder), str(folder / "kernels"), os.environ.get("PYTHONPATH", "")]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr

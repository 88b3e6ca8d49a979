"""A Dask cluster whose processes a test can kill."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

DASK = Path(sys.executable).parent / "dask"
SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Cluster:
    """A scheduler and its workers, as processes of their own."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.file = folder / "scheduler.json"
        self.log = folder / "scheduler.log"
        address = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        with self.log.open("w") as log:
            self.scheduler = subprocess.Popen(
                [DASK, "scheduler", "--scheduler-file", self.file, *address], stderr=log, stdout=log
            )
        self._wait(self.file.exists)
        self._folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        for _ in range(workers):
            self.add_worker()

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start one more."""
        folder = self._folder / f"worker{len(self.workers)}"
        # --no-nanny: the process that is killed is the worker, and nobody starts it again.
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        command = [DASK, "worker", "--scheduler-file", self.file, "--local-directory", folder]
        self.workers.append(subprocess.Popen([*command, *options], **SILENT))
        return self.workers[-1]

    def _wait(self, done: Callable[[], bool]) -> None:
        for _ in range(600):
            if done():
                return
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def close(self) -> None:
        """Kill all of them."""
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

"""Commands run in processes that are forked from one that has loaded everything already.

A command costs its work alone, not the seconds that imports take, so thousands can be tried.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import multiprocessing.util
import os
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcam.run.processes import child_ended

Change = Callable[[], None]
# What Python says where something went wrong that nobody expected.
_NOISE = ("Traceback", "leaked", "Exception in", "Task was destroyed", "Segmentation fault")
# What commands import where they need it.
_SLOW = (
    *("dask", "distributed", "matplotlib.pyplot", "pandas", "pydicom", "scipy.integrate"),
    *("scipy.interpolate", "scipy.ndimage", "scipy.optimize", "scipy.stats", "sklearn.metrics"),
    *("torch._dynamo", "zarr"),
)


@dataclass(frozen=True)
class Ended:
    """How a forked command ended.

    Attributes:
        code: exit code; minus the signal that killed it.
        text: what it wrote to stdout and stderr.
        seconds: of processor time, its children's included.
        memory: bytes that it grew by at its peak.
        hung: whether it was killed because it took too long.
    """

    code: int
    text: str
    seconds: float
    memory: int
    hung: bool = False

    def fault(self, codes: Sequence[int]) -> str:
        """What is wrong with this end; empty for nothing."""
        if self.hung:
            return f"hangs: {self.text[-300:]}"
        for word in _NOISE:
            if word in self.text:
                return f"{word}: {self.text[-1500:]}"
        if self.code not in codes:
            return f"exit code {self.code}: {self.text[-600:]}"
        return ""


class Forked:
    """``fastcam ARGS`` in a fork of this process, in ``folder``, after ``change`` was called."""

    def __init__(self, args: Sequence[object], folder: Path, change: Change | None = None) -> None:
        self._log = folder / f".said-{time.monotonic_ns()}"
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _run_child([str(arg) for arg in args], folder, self._log, change)
        self._memory_at_start = _resident(self.pid)

    def ended(self) -> bool:
        """Whether it has ended; :meth:`finish` says how."""
        return child_ended(self.pid)

    def finish(self, timeout: float = 600) -> Ended:
        """Wait for its end; after ``timeout`` seconds it is killed, with all that it started."""
        end, hung = time.monotonic() + timeout, False
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end and not hung:
                hung = True
                self.kill()
            time.sleep(0.002)
        # What it started has its process group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        self._log.unlink(missing_ok=True)
        return Ended(
            code=os.waitstatus_to_exitcode(status),
            text=text,
            seconds=usage.ru_utime + usage.ru_stime,
            memory=max(0, usage.ru_maxrss * 1024 - self._memory_at_start),
            hung=hung,
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to it alone; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def run_forked(
    args: Sequence[object], folder: Path, change: Change | None = None, timeout: float = 600
) -> Ended:
    """Run a command to its end."""
    return Forked(args, folder, change).finish(timeout)


def load_all() -> None:
    """Import what the commands need, and load the compiled kernels, without starting a thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import nibabel  # noqa: F401
    import torch

    import fastcam.api.analyze
    import fastcam.api.evaluate
    import fastcam.api.explain
    import fastcam.api.export
    import fastcam.api.infer
    import fastcam.api.render
    import fastcam.cli.main
    import fastcam.jobs.explain.files
    import fastcam.jobs.inspect.inventory
    import fastcam.jobs.inspect.volumes  # noqa: F401
    from fastcam.figures.warmup import warm_up
    from fastcam.read.results.pickle_cost import measure

    for name in _SLOW:
        importlib.import_module(name)

    torch.set_num_threads(1)
    warm_up()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measure(b"\x80\x02N" + b"N0" * 40_000 + b".")
    others = [thread.name for thread in threading.enumerate() if thread.name != "MainThread"]
    assert not others, f"a fork would lose the threads {others}"


def _run_child(args: list[str], folder: Path, log: Path, change: Change | None) -> None:
    """Run the command in this process, which is a fork, and end it."""
    code = 70
    try:
        os.setpgid(0, 0)
        # What the parent removes at its end is the parent's.
        atexit._clear()
        # The peak of what this process inherited isn't its own.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(folder)
        sys.argv = ["fastcam", *args]
        if change is not None:
            change()
        from fastcam.cli.main import run

        try:
            run()
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
        threading._shutdown()  # type: ignore[attr-defined]
        multiprocessing.util._exit_function()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - it is the end of this process
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _resident(pid: int) -> int:
    """Bytes of memory of a process; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[1]) * resource.getpagesize()

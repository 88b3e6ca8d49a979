"""The processes of a command, each with what it is, so that tests can kill them one by one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROLES = ("main", "fork server", "worker", "resource tracker", "reader")


@dataclass(frozen=True)
class Member:
    """A process below a command: its number, and which of ``ROLES`` it has."""

    pid: int
    role: str


@dataclass(frozen=True)
class Ending:
    """How a command ended: exit code (minus the signal that killed it), and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What stands in stderr, without notes on progress."""
        return self.err.splitlines()


class Command:
    """``fastcam ARGS`` in a process of its own, whose descendants can be seen and killed."""

    def __init__(self, *args: object, env: dict[str, str] | None = None) -> None:
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish()
        self._err = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastcam", *map(str, args)],
            stdout=self._out,
            stderr=self._err,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        )

    def members(self) -> list[Member]:
        """The command and all processes below it, the command first."""
        return [
            Member(pid, role_of(pid, self.process.pid)) for pid in descendants(self.process.pid)
        ]

    def wait_for(self, role: str, timeout: float = 60) -> Member | None:
        """The first process of that role as soon as there is one; None where the command ended."""
        found: list[Member] = []

        def there() -> bool:
            found[:] = [member for member in self.members() if member.role == role]
            return bool(found) or self.process.poll() is not None

        wait_until(there, timeout)
        return found[0] if found else None

    def finish(self, timeout: float = 120) -> Ending:
        """Wait for the end. AssertionError where it hangs; it is killed then."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            for pid in reversed(descendants(self.process.pid)):
                kill(pid)
            self.process.wait()
            texts = [self._read(self._out), self._read(self._err)]
            raise AssertionError(f"hangs: {texts}") from None
        return Ending(code, self._read(self._out), self._read(self._err))

    @staticmethod
    def _read(file: IO[bytes]) -> str:
        file.seek(0)
        text = file.read().decode(errors="replace")
        file.close()
        return text


@contextlib.contextmanager
def running(*args: object) -> Iterator[Command]:
    """A command that is killed with all below it when the block is left."""
    command = Command(*args)
    try:
        yield command
    finally:
        for pid in reversed(descendants(command.process.pid)):
            kill(pid)
        command.process.wait()


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; nothing where the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until(true: Callable[[], bool], timeout: float = 60) -> None:
    """Wait until a condition holds; AssertionError where it doesn't in time."""
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """A process and all below it that run, parents before children."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state = stat_of(int(entry.name))
            if state is not None and state[0] != "Z":
                below.setdefault(state[1], []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += below.get(parent, [])
    return found


def stat_of(pid: int) -> tuple[str, int] | None:
    """State letter and parent of a process (proc(5)); None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1])


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be fetched doesn't."""
    state = stat_of(pid)
    return state is not None and state[0] != "Z"


def role_of(pid: int, main: int) -> str:
    """What a process of a command is."""
    if pid == main:
        return "main"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    text = " ".join(words)
    parent = stat_of(pid)
    if "resource_tracker" in text:
        return "resource tracker"
    if "forkserver" in text:
        # A forked worker has the command line of the fork server.
        return "fork server" if parent is not None and parent[1] == main else "worker"
    return "reader" if parent is not None and parent[1] == main else ""


def orderly(ending: Ending, codes: Sequence[int] = (0, 1)) -> None:
    """AssertionError unless a command ended in good order: exit code, no tracebacks, no warning of
    the interpreter's, at most one line of an error."""
    assert ending.code in codes, ending
    for word in ("Traceback", "resource_tracker", "leaked", "Exception in", "Task was destroyed"):
        assert word not in ending.err + ending.out, ending
    lines = [line for line in ending.err.splitlines() if line.startswith("fastcam: ")]
    errors = [line for line in lines if not line.startswith("fastcam: warning: first use")]
    assert len(errors) == (1 if ending.code == 1 else 0), ending

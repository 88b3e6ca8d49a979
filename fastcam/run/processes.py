"""Processes of a run: what tells one from all others, whether it lives, and that none of them
outlives the one it works for."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1


def process_stamp() -> dict[str, Any]:
    """What tells this process from every other, for a record that outlives it: ``pid``, ``host``,
    ``boot`` (the boot id, so that a restart of the machine shows) and ``start`` (clock ticks after
    the boot, so that a number that is used again shows); None what the system doesn't tell."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot": _boot_id(),
        "start": _start_of(os.getpid()),
    }


def has_died(stamp: object) -> bool:
    """Whether the process that made ``stamp`` is known to run no longer.

    False where that can't be known: on another host, or of a stamp that is none.
    """
    if not isinstance(stamp, Mapping) or stamp.get("host") != socket.gethostname():
        return False
    pid = stamp.get("pid")
    if type(pid) is not int or not 0 < pid < 1 << 31:
        return False
    if stamp.get("boot") != _boot_id():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is there, and another user's
    return stamp.get("start") != _start_of(pid)


def status_of(record: Mapping[str, Any]) -> str:
    """The status of a run by its ``run.json``: one that still ``running`` stands in, and whose
    process has died, was ``interrupted``."""
    status = str(record.get("status", ""))
    dead = status == "running" and has_died(record.get("process"))
    return "interrupted" if dead else status


def child_ended(pid: int) -> bool:
    """Whether the child ``pid`` of this process has ended; its exit status stays to be fetched."""
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return ended is not None


def end_with_parent() -> None:
    """Let this process, which was forked, be killed when its parent dies, however that dies.

    On Linux only (prctl(2), PR_SET_PDEATHSIG): elsewhere it lives on until it notices by itself.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if parent == 1 or os.getppid() != parent:  # it died before that was set
        os.kill(os.getpid(), signal.SIGKILL)


def _boot_id() -> str | None:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _start_of(pid: int) -> int | None:
    """The 22nd field of ``/proc/PID/stat`` (proc(5)); the second may hold spaces and brackets."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None

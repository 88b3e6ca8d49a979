"""Limits of this process: the CPUs it may use, and the quotas in Linux's cgroups.

A container or a batch system sets them.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as the largest multiple of a page below 2**63.
_NO_LIMIT = 2**60


def cores(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """How many workers can run at once: the CPUs that the process may use, within its quota.

    A part of a core in the quota counts as one.
    """
    quota = cpu_quota(cgroups, own)
    count = usable_cpus()
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def usable_cpus() -> int:
    """The CPUs that the scheduler of the operating system may run this process on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(cgroups: Path = _CGROUPS, own: Path = _OWN) -> float | None:
    """Cores' worth of time per second that this process may use; None where nothing limits it."""
    quotas: list[float] = []
    for folder in _folders(cgroups, own, "cpu"):
        new = _numbers(folder / "cpu.max")  # "quota period", or "max period"
        if len(new) == 2 and new[0] is not None and new[1]:
            quotas.append(new[0] / new[1])
        old, period = _numbers(folder / "cpu.cfs_quota_us"), _numbers(folder / "cpu.cfs_period_us")
        if old and period and old[0] is not None and old[0] > 0 and period[0]:
            quotas.append(old[0] / period[0])
    return min(quotas, default=None)


def memory_limit(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int | None:
    """Bytes that this process's group may hold; None where nothing limits it."""
    limits = [
        number
        for folder in _folders(cgroups, own, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        for number in _numbers(folder / name)
        if number is not None and number < _NO_LIMIT
    ]
    return min(limits, default=None)


def _folders(cgroups: Path, own: Path, controller: str) -> Iterator[Path]:
    """The group of this process and those above it: the tightest limit counts."""
    text = ""
    with contextlib.suppress(OSError):
        text = own.read_text(encoding="utf-8")
    for line in text.splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            top = cgroups
        elif controller in controllers.split(","):
            top = cgroups / controller
        else:
            continue
        group = top / path.lstrip("/")
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(top))


def _numbers(file: Path) -> list[int | None]:
    """The integers of a one-line file, None for a word among them; empty if it isn't there."""
    with contextlib.suppress(OSError):
        words = file.read_text(encoding="utf-8").split()
        return [int(word) if word.lstrip("-").isdigit() else None for word in words]
    return []

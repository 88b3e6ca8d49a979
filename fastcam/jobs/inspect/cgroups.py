"""Limits that a container or a batch system puts on this process, read from Linux's cgroups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as the largest multiple of a page below 2**63.
_NO_LIMIT = 2**60


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

"""``--max-memory``: what a run may take of the machine's memory, and how its processes share it."""

from __future__ import annotations

import os
import re

from fastcam.errors import InputError
from fastcam.read.volumes.memory_limit import MemoryLimit
from fastcam.run import cgroups

# Of what there is, where nothing is given: the rest is for the model, the kernels and the system.
_SHARE = 0.75
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?B?)", re.IGNORECASE)
_LEAST = 1 << 20


def memory_limit(max_memory: int | str | None, processes: int) -> MemoryLimit | None:
    """The limit of a run whose ``processes`` open volumes at once.

    ``max_memory``: bytes, or a text such as ``12GB``, ``512MiB`` or ``80%`` of what there is; None:
    three quarters of the memory of the machine, or of its cgroup where that has less. None where
    nothing is given and the system doesn't tell. InputError for anything else.
    """
    if max_memory is None:
        memory = machine_memory()
        return None if memory is None else MemoryLimit(int(memory * _SHARE), processes)
    return MemoryLimit(_bytes(max_memory), processes)


def machine_memory() -> int | None:
    """Bytes of memory that this process may use at most; None where the system doesn't tell."""
    group = cgroups.memory_limit()
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return group
    return machine if group is None else min(machine, group)


def _bytes(max_memory: int | str) -> int:
    text = str(max_memory).strip()
    count = 0
    if text.endswith("%"):
        number, memory = text[:-1].strip(), machine_memory()
        if re.fullmatch(r"\d+(\.\d+)?", number) and 0 < float(number) <= 100 and memory:
            count = int(memory * float(number) / 100)
    elif match := _SIZE.fullmatch(text):
        number, unit, binary = match.groups()
        power = " KMGT".index(unit.upper() or " ")
        count = int(float(number) * (1000 if binary.upper() == "B" else 1024) ** power)
    if count < _LEAST:
        raise InputError(
            f"--max-memory {text}: is not a size; give at least 1MB, as in 12GB, 512MiB or 80%"
        )
    return count

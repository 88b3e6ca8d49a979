"""How much memory a volume may take, found out from its header before it is decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fastcam.errors import CaseError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The memory of a run.

    Attributes:
        total: bytes of all processes together.
        processes: how many processes share them evenly.
    """

    total: int
    processes: int = 1

    @property
    def share(self) -> int:
        """Bytes of one process."""
        return self.total // max(1, self.processes)


# Of the whole process, not of a thread: pools of threads open volumes, too, and forked readers
# inherit it.
_limits: list[MemoryLimit] = []


def current_limit() -> MemoryLimit | None:
    """The limit that holds; None where there is none."""
    return _limits[-1] if _limits else None


@contextlib.contextmanager
def limited(limit: MemoryLimit | None) -> Iterator[None]:
    """``limit`` holds in this process, and in those that it forks, until the block is left."""
    if limit is None:
        yield
        return
    _limits.append(limit)
    try:
        yield
    finally:
        _limits.remove(limit)


def call_limited(
    limit: MemoryLimit | None, function: Callable[[Argument], Result], argument: Argument
) -> Result:
    """``function(argument)`` under ``limit``; for processes that don't inherit it."""
    with limited(limit):
        return function(argument)


def check_memory(path: Path, voxel_bytes: int, copies: float) -> None:
    """CaseError where decoding would take more than the share of one process.

    ``voxel_bytes``: of the volume as its file holds it, unpacked; ``copies``: how many times as
    much decoding and finding the window take at their peak, as measured.
    """
    limit = current_limit()
    need = int(voxel_bytes * copies)
    if limit is None or need <= limit.share:
        return
    fewer = ", or fewer --workers" if limit.processes > 1 else ""
    each = f", shared by {limit.processes} processes" if limit.processes > 1 else ""
    raise CaseError(
        f"{path}: would take {size_text(need)} of memory, and {size_text(limit.share)} are allowed "
        f"(--max-memory {size_text(limit.total)}{each}); give more{fewer}, or a smaller volume"
    )


def size_text(count: int) -> str:
    """A number of bytes as people write it: ``1.5GiB``."""
    power = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{count / 1024**power:.3g}{_UNITS[power]}"

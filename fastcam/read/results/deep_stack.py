"""Calls that go deep down the C stack: how deep a pickle goes, and a stack that is deep enough."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")

_SMALLEST = 1 << 20  # bytes; what is less fits on any thread's stack
# Opcodes that make tuples, and what hashing one takes of the C stack for each tuple inside another:
# 56 bytes measured (Python 3.11, x86-64). No more than a gigabyte is reserved, as small machines
# refuse it; a file needs 19 million tuples inside each other to come to its end.
_TUPLES = b"\x85\x86\x87t"
_BYTES_PER_TUPLE = 128
_LARGEST = 1 << 30


def stack_for_pickle(data: bytes | mmap.mmap) -> int:
    """Bytes of C stack that are enough to hash what the pickle ``data`` holds.

    A key may be a tuple in a tuple in a tuple ..., and hashing it goes all the way down.
    """
    block, count = 1 << 20, 0
    for start in range(0, len(data), block):
        part = np.frombuffer(data[start : start + block], np.uint8)
        count += sum(int(np.count_nonzero(part == code)) for code in _TUPLES)
    return stack_for_tuples(count)


def stack_for_tuples(count: int) -> int:
    """Bytes of C stack that are enough to hash ``count`` tuples inside each other, up to a GiB."""
    return min(_BYTES_PER_TUPLE * count, _LARGEST)


def call_deep(function: Callable[[], Result], stack: int) -> Result:
    """Call ``function`` with ``stack`` bytes of C stack; what it returns or raises is passed on.

    Only the bytes that are used take memory. MemoryError where there is no room for them.
    """
    if stack <= _SMALLEST:
        return function()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001
            errors.append(error)  # raised in the calling thread

    before = threading.stack_size(-(-(stack + _SMALLEST) // 4096) * 4096)
    try:
        # A daemon: Ctrl-C ends the process without waiting for it.
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
    except RuntimeError as error:
        raise MemoryError(f"no room for a stack of {stack >> 20} MiB") from error
    finally:
        threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]

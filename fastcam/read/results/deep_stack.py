"""Calls that go deep down the C stack, and a stack that is deep enough for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_SMALLEST = 1 << 20  # bytes; what is less fits on any thread's stack
# What hashing a tuple takes of the C stack for each tuple inside another: 56 bytes measured
# (Python 3.11, x86-64).
_BYTES_PER_TUPLE = 128


def stack_for_tuples(count: int) -> int:
    """Bytes of C stack that are enough to hash ``count`` tuples inside each other."""
    return _BYTES_PER_TUPLE * count


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

"""Calling something that goes deep down the C stack, on a stack that is deep enough."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_LEAST = 1 << 20  # bytes; what is less fits on any thread's stack


def call_deep(function: Callable[[], Result], stack: int) -> Result:
    """What ``function`` returns or raises, with ``stack`` bytes of C stack to go down.

    Only what is used of them takes memory. MemoryError where there is no room for them.
    """
    if stack <= _LEAST:
        return function()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001
            errors.append(error)  # raised in the calling thread

    before = threading.stack_size(-(-(stack + _LEAST) // 4096) * 4096)
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

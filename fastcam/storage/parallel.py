"""Requests to object stores side by side: each waits 10 to 50 ms for the other end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")
_AT_ONCE = 16


def side_by_side(function: Callable[[Given], Result], values: Iterable[Given]) -> list[Result]:
    """``function`` of each value, in their order, up to 16 at once in threads; the first error is
    raised when those that had begun have ended."""
    values = list(values)
    if len(values) < 2:
        return [function(value) for value in values]
    with ThreadPoolExecutor(min(_AT_ONCE, len(values))) as pool:
        pending = [pool.submit(copy_context().run, function, value) for value in values]
        try:
            return [future.result() for future in pending]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise

"""A clock for Dask that doesn't go back when the machine's clock is set.

Dask and Tornado wait until an hour of the wall clock: when that is set back between two looks, what
lies in a queue for 2 ms is sent after as long as it was set back by, and when it is set forward,
workers count as lost. Their clock is replaced by one that begins at the wall clock's time and goes
on as ``time.monotonic`` does.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

_LIBRARY = "distributed"
_LOOP = "tornado.ioloop"


def steady_time() -> Callable[[], float]:
    """A clock in seconds since 1970 that is right now, and never set."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


@contextlib.contextmanager
def steady_clock() -> Iterator[None]:
    """Dask's modules and Tornado's loops go by a steady clock within the block.

    They must have been imported: nothing is done to modules that aren't.
    """
    undo = use_steady_clock()
    try:
        yield
    finally:
        undo()


def use_steady_clock() -> Callable[[], None]:
    """Let Dask's modules and Tornado's loops go by a steady clock; gives what undoes that.

    Both by the same one: Dask gives Tornado hours to wait for. Where it is so already, nothing
    happens.
    """
    steady, wall = steady_time(), time.time
    replaced: list[tuple[Any, Any]] = []
    for name, module in list(sys.modules.items()):
        # They import the function by its name.
        if name.partition(".")[0] == _LIBRARY and vars(module).get("time") is wall:
            replaced.append((module, wall))
            module.time = steady  # type: ignore[attr-defined]
    loop = getattr(sys.modules.get(_LOOP), "IOLoop", None)
    if replaced and loop is not None:
        replaced.append((loop, loop.time))
        loop.time = lambda self: steady()

    def undo() -> None:
        for owner, before in replaced:
            owner.time = before

    return undo

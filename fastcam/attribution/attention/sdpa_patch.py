"""The name that most models attend through, exchanged in one thread for as long as a block lasts.

A mode is asked for every function of every tensor, 250 times in a ViT's forward pass: 1.6 ms where
nothing else is done, 3.5 of 163 ms beside ViT-S at 197 tokens. Where a model was seen to make all
its attention calls as ``F.scaled_dot_product_attention``, looked up when it is called, exchanging
that one name costs nothing for all other functions. Whoever does so compares what is seen with the
first time: a function that was imported by its name can't be exchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F  # noqa: N812 - everybody calls it so

# (function in whose place it stands, positional, keyword arguments) -> the function's result
Caller = Callable[[Any, Any, dict[str, Any]], Any]

_lock = threading.Lock()
_callers: dict[int, Caller] = {}
_beneath: Any = F.scaled_dot_product_attention


@dataclass
class Counted:
    """How often the name was called."""

    calls: int = 0

    def __call__(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        self.calls += 1
        return function(*args, **kwargs)


@contextmanager
def exchanged(caller: Caller) -> Iterator[None]:
    """``F.scaled_dot_product_attention`` is ``caller`` for this thread; others don't notice."""
    global _beneath
    thread = threading.get_ident()
    with _lock:
        if not _callers:
            _beneath = F.scaled_dot_product_attention
            F.scaled_dot_product_attention = _call
        before = _callers.get(thread)
        _callers[thread] = caller
    try:
        yield
    finally:
        with _lock:
            if before is None:
                del _callers[thread]
            else:
                _callers[thread] = before
            if not _callers:
                F.scaled_dot_product_attention = _beneath


@contextmanager
def counted() -> Iterator[Counted]:
    """Counts this thread's calls by name."""
    count = Counted()
    with exchanged(count):
        yield count


def _call(*args: Any, **kwargs: Any) -> Any:
    caller = _callers.get(threading.get_ident())
    return _beneath(*args, **kwargs) if caller is None else caller(_beneath, args, kwargs)

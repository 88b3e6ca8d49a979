"""``F.scaled_dot_product_attention``, overridden in one thread for as long as a block lasts.

A mode is asked for every function of every tensor, 250 times in a ViT's forward pass: 1.6 ms where
nothing else is done, 3.5 of 163 ms beside ViT-S at 197 tokens. Where a model was seen to make all
its attention calls as ``F.scaled_dot_product_attention``, looked up when it is called, patching
that one name costs nothing for all other functions. Whoever does so compares the calls with the
first time: a function that was imported by its name can't be patched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F  # noqa: N812 - everybody calls it so

# (function in whose place it stands, positional, keyword arguments) -> the function's result
SdpaFunction = Callable[[Any, Any, dict[str, Any]], Any]

_lock = threading.Lock()
_functions: dict[int, SdpaFunction] = {}
_original: Any = F.scaled_dot_product_attention


@dataclass
class CallCount:
    """How often the name was called."""

    calls: int = 0

    def __call__(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        self.calls += 1
        return function(*args, **kwargs)


@contextmanager
def overridden_sdpa(function: SdpaFunction) -> Iterator[None]:
    """``F.scaled_dot_product_attention`` is ``caller`` for this thread; others don't notice."""
    global _original
    thread = threading.get_ident()
    with _lock:
        if not _functions:
            _original = F.scaled_dot_product_attention
            F.scaled_dot_product_attention = _call
        previous = _functions.get(thread)
        _functions[thread] = function
    try:
        yield
    finally:
        with _lock:
            if previous is None:
                del _functions[thread]
            else:
                _functions[thread] = previous
            if not _functions:
                F.scaled_dot_product_attention = _original


@contextmanager
def sdpa_count() -> Iterator[CallCount]:
    """Counts this thread's calls by name."""
    count = CallCount()
    with overridden_sdpa(count):
        yield count


def _call(*args: Any, **kwargs: Any) -> Any:
    function = _functions.get(threading.get_ident())
    return _original(*args, **kwargs) if function is None else function(_original, args, kwargs)

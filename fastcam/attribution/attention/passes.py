"""Passes of a model through a part that it calls for several images or views of one.

A siamese or multi-view network calls one backbone again and again: its attention layers are as many
stacks, not one that is deeper. A recurrent one, which calls a block on what the block gave before,
has a single stack.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fastcam.attribution.attention.records import Record
from fastcam.attribution.layer_names import call_name, named_layers
from fastcam.errors import InputError


@dataclass(frozen=True)
class Pass:
    """One call of the part that holds all attention.

    - ``path``: dotted path of the part; "" for the model itself
    - ``name``: that of the call, ``backbone#0``; "" where there is one pass
    - ``records``: which of the records it made
    - ``image``: size of what it was given, (h, w) or (d, h, w)
    """

    path: str
    name: str
    records: slice
    image: tuple[int, ...]


@dataclass(frozen=True)
class Span:
    """One call of a module: its records, from ``start`` up to ``stop``, and what it was given."""

    start: int
    stop: int
    shape: tuple[int, ...]


@contextmanager
def record_spans(model: nn.Module, records: Sequence[Record]) -> Iterator[dict[str, list[Span]]]:
    """While it is open, which of ``records``, as they grow, each call of a module makes."""
    spans: dict[str, list[Span]] = {}
    open_calls: dict[str, list[tuple[int, tuple[int, ...]]]] = {}
    handles = []

    def before(name: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensor = next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
            shape = () if tensor is None else tuple(tensor.shape)
            open_calls.setdefault(name, []).append((len(records), shape))

        return hook

    def after(name: str) -> Any:
        def hook(_module: nn.Module, _args: Any, _output: Any) -> None:
            start, shape = open_calls[name].pop()
            spans.setdefault(name, []).append(Span(start, len(records), shape))

        return hook

    try:
        for name, module in named_layers(model):
            if name:
                handles.append(module.register_forward_pre_hook(before(name), with_kwargs=True))
                handles.append(module.register_forward_hook(after(name)))
        yield spans
    finally:
        for handle in handles:
            handle.remove()


def passes_of(
    records: Sequence[Record], spans: dict[str, list[Span]], image: tuple[int, ...]
) -> list[Pass]:
    """The passes that made ``records``: one, unless a part was called several times that each time
    cut an image into patches itself. ``image``: the size of the model's own input."""
    for name, calls in spans.items():
        lengths = {call.stop - call.start for call in calls}
        whole = len(lengths) == 1 and sum(call.stop - call.start for call in calls) == len(records)
        if len(calls) > 1 and whole and all(_cuts_patches(c, records, len(image)) for c in calls):
            return [
                Pass(
                    name,
                    call_name(name, number, len(calls)),
                    slice(call.start, call.stop),
                    call.shape[2:],
                )
                for number, call in enumerate(calls)
            ]
    return [Pass("", "", slice(0, len(records)), image)]


def check_one_pass(
    model: nn.Module,
    records: Sequence[Record],
    spans: dict[str, list[Span]],
    image: tuple[int, ...],
) -> None:
    """InputError where a model runs its layers anew for each of several images or views."""
    passes = passes_of(records, spans, image)
    if len(passes) > 1:
        raise InputError(
            f"{type(model).__name__} calls {passes[0].path!r} {len(passes)} times, each time for "
            "an image of its own, and these views show one pass through a model's layers: use "
            "fastcam explain --method attention or rollout, which show every call"
        )


def _cuts_patches(call: Span, records: Sequence[Record], dims: int) -> bool:
    """Whether it was given more places than its attention has: an image, not a map of features."""
    if len(call.shape) != dims + 2:
        return False
    return math.prod(call.shape[2:]) > max(r.shape[3] for r in records[call.start : call.stop])

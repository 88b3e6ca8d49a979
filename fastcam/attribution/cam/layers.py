"""Which layers of a model give maps, and the one to take when none is named."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import logits_of
from fastcam.attribution.cam.reshape import Layout, layout_of
from fastcam.attribution.cam.split import run_split
from fastcam.attribution.modules import (
    After,
    after_every_module,
    count_tensors,
    first_tensor,
    frozen_eval,
)
from fastcam.errors import InputError

# Their output is another layer's, thinned out; or it is a table of weights, not of positions.
_PASSING = ("pool", "dropout", "droppath", "identity", "flatten", "softmax", "permute")
# How many of a transformer's last layers are asked for their gradient.
_ASKED = 40


@dataclass(frozen=True)
class Candidate:
    """A layer that has maps: dotted ``name``, class name ``kind``, how its output lies.

    ``shape``: channels and the map's own size (k, h, w) or (k, d, h, w). ``calls``: how often one
    forward pass calls it; of several calls the last counts.
    """

    name: str
    kind: str
    layout: Layout
    calls: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.layout.channels, *self.layout.grid)


def candidates(
    model: nn.Module, example: Tensor, prefix_tokens: int | None = None
) -> list[Candidate]:
    """All layers of ``model`` with maps, in the order in which they finish on ``example``.

    ``example`` (b, c, h, w) or (b, c, d, h, w), one image is enough; one forward pass without a
    graph. Of modules that return the same tensor (a stage and its last block) the outermost is
    listed. Layers that only thin out (pooling, dropout) or hold attention weights are not.
    """
    seen: dict[str, _Seen] = {}
    watched = after_every_module(model, _seeing(seen))
    with torch.inference_mode(False), torch.no_grad(), frozen_eval(model), watched:
        model(example.clone() if example.is_inference() else example)
    found: list[Candidate] = []
    inside: set[str] = set()
    for name, one in reversed(seen.items()):
        module = model.get_submodule(name)
        kind = type(module).__name__
        if name in inside or any(word in kind.lower() for word in _PASSING):
            continue
        inside |= one.same
        # Windows and crops stand in the first axis with the images: no map of one is the image's.
        if one.shape[:1] != example.shape[:1]:
            continue
        layout = layout_of(model, module, one.shape, tuple(example.shape[2:]), prefix_tokens)
        if layout is not None:
            found.append(Candidate(name, kind, layout, one.calls))
    return found[::-1]


def auto(model: nn.Module, example: Tensor, prefix_tokens: int | None = None) -> str:
    """The last spatial layer; for a transformer the last whose patches reach the output.

    After the last block of a transformer that reads its class from the CLS token alone, patches
    get no gradient; there it is that block's first norm. Found by one backward pass on
    ``example``. Raises InputError where the model has no spatial layer.
    """
    found = candidates(model, example, prefix_tokens)
    if not found:
        raise InputError(
            f"{type(model).__name__}: no layer gives a grid of positions on images of "
            f"{tuple(example.shape[2:])}; name one with --layer, and how to reshape it"
        )
    if found[-1].layout.order != "tokens":
        return found[-1].name
    return _last_reached(model, example, found)


def resolve(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """The modules called ``names``; InputError for one that doesn't exist, with the nearest."""
    known = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    for name in names:
        if name not in known:
            near = [n for n in known if n.endswith(f".{name}")][:3]
            near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(near)}?" if near else "it has no layers"
            raise InputError(
                f"layer {name!r} does not exist in {type(model).__name__}: {hint} "
                "(fastcam inspect --model lists those with maps)"
            )
    return {name: known[name] for name in names}


def _last_reached(model: nn.Module, example: Tensor, found: Sequence[Candidate]) -> str:
    """The last norm or block whose patch tokens, not only the prefix, have a gradient."""
    asked = [c for c in found if "norm" in c.kind.lower() or c.name[-1].isdigit()][-_ASKED:]
    asked = [c for c in asked if c.layout.order == "tokens"]
    if not asked:
        return found[-1].name
    split = run_split(model, resolve(model, [c.name for c in asked]), example)
    with torch.enable_grad():
        score = logits_of(split.output).amax(1).sum()
    gradients = torch.autograd.grad(
        score, list(split.sources.values()), allow_unused=True, materialize_grads=True
    )
    for candidate, gradient in reversed(list(zip(asked, gradients, strict=True))):
        if bool(gradient[:, candidate.layout.prefix :].any()):
            return candidate.name
    # Nothing has a gradient in a model whose head is still at its initial zeros.
    return asked[-1].name


@dataclass
class _Seen:
    shape: tuple[int, ...]
    calls: int
    same: set[str]


def _seeing(seen: dict[str, _Seen]) -> Callable[[str], After]:
    """Hooks that note in ``seen`` what each module gives, in the order in which they finish."""
    last: list[tuple[str, Any]] = []

    def hook(name: str) -> After:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found = first_tensor(output)
            # Of several tensors nobody knows which one goes on to the output.
            if found is None or count_tensors(output) > 1:
                return
            # A container finishes right after the layer whose output it returns.
            while last and last[-1][1]() is not found:
                last.pop()
            before = seen.pop(name, None)
            # By name, since an operation in place returns its input, which is another layer's.
            same = {inner for inner, _ in last if inner.startswith(f"{name}.")}
            seen[name] = _Seen(tuple(found.shape), before.calls + 1 if before else 1, same)
            last.append((name, weakref.ref(found)))

        return after

    return hook

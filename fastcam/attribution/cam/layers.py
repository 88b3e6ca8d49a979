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
    ForwardHook,
    after_every_module,
    count_tensors,
    first_tensor,
    frozen_forward,
)
from fastcam.errors import InputError

# Their output is another layer's, thinned out; or it is a table of weights, not of positions.
_PASSING = ("pool", "dropout", "droppath", "identity", "flatten", "softmax", "permute")
# How many of a transformer's last layers are asked for their gradient.
_GRADIENT_LAYERS = 40


@dataclass(frozen=True)
class Candidate:
    """A layer that has maps.

    - ``name``: dotted
    - ``kind``: the name of its class
    - ``layout``: how its output lies
    - ``calls``: how often one forward pass calls it; of several calls the last counts
    """

    name: str
    kind: str
    layout: Layout
    calls: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and the map's own size, (k, h, w) or (k, d, h, w)."""
        return (self.layout.channels, *self.layout.grid)


def candidates(
    model: nn.Module, example: Tensor, prefix_tokens: int | None = None
) -> list[Candidate]:
    """All layers of ``model`` with maps, in the order in which they finish on ``example``.

    ``example`` (b, c, h, w) or (b, c, d, h, w), one image is enough; one forward pass without a
    graph. Of modules that return the same tensor (a stage and its last block) the outermost is
    listed. Layers that only thin out (pooling, dropout) or hold attention weights are not.
    """
    outputs: dict[str, _Output] = {}
    with after_every_module(model, _output_hooks(outputs)):
        frozen_forward(model, example)
    layers: list[Candidate] = []
    covered: set[str] = set()
    for name, entry in reversed(outputs.items()):
        module = model.get_submodule(name)
        kind = type(module).__name__
        if name in covered or any(word in kind.lower() for word in _PASSING):
            continue
        covered |= entry.inner_names
        # Windows and crops stand in the first axis with the images: no map of one is the image's.
        if entry.shape[:1] != example.shape[:1]:
            continue
        layout = layout_of(model, module, entry.shape, tuple(example.shape[2:]), prefix_tokens)
        if layout is not None:
            layers.append(Candidate(name, kind, layout, entry.calls))
    return layers[::-1]


def default_layer(model: nn.Module, example: Tensor, prefix_tokens: int | None = None) -> str:
    """The last spatial layer; for a transformer the last whose patches reach the output.

    After the last block of a transformer that reads its class from the CLS token alone, patches
    get no gradient; there it is that block's first norm. Found by one backward pass on
    ``example``. Raises InputError where the model has no spatial layer.
    """
    layers = candidates(model, example, prefix_tokens)
    if not layers:
        raise InputError(
            f"{type(model).__name__}: no layer gives a grid of positions on images of "
            f"{tuple(example.shape[2:])}; name one with --layer, and how to reshape it"
        )
    if layers[-1].layout.order != "tokens":
        return layers[-1].name
    return _last_reached(model, example, layers)


def layer_modules(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """The modules called ``names``; InputError for one that doesn't exist, with the nearest."""
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    for name in names:
        if name not in modules:
            near = [n for n in modules if n.endswith(f".{name}")][:3]
            near = near or difflib.get_close_matches(name, modules, n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(near)}?" if near else "it has no layers"
            raise InputError(
                f"layer {name!r} does not exist in {type(model).__name__}: {hint} "
                "(fastcam inspect --model lists those with maps)"
            )
    return {name: modules[name] for name in names}


def _last_reached(model: nn.Module, example: Tensor, layers: Sequence[Candidate]) -> str:
    """The last norm or block whose patch tokens, not only the prefix, have a gradient."""
    blocks = [c for c in layers if "norm" in c.kind.lower() or c.name[-1].isdigit()][
        -_GRADIENT_LAYERS:
    ]
    blocks = [c for c in blocks if c.layout.order == "tokens"]
    if not blocks:
        return layers[-1].name
    split = run_split(model, layer_modules(model, [c.name for c in blocks]), example)
    with torch.enable_grad():
        score = logits_of(split.output).amax(1).sum()
    gradients = torch.autograd.grad(
        score, list(split.sources.values()), allow_unused=True, materialize_grads=True
    )
    for candidate, gradient in reversed(list(zip(blocks, gradients, strict=True))):
        if bool(gradient[:, candidate.layout.prefix :].any()):
            return candidate.name
    # Nothing has a gradient in a model whose head is still at its initial zeros.
    return blocks[-1].name


@dataclass
class _Output:
    shape: tuple[int, ...]
    calls: int
    inner_names: set[str]


def _output_hooks(outputs: dict[str, _Output]) -> Callable[[str], ForwardHook]:
    """Hooks that note in ``seen`` what each module gives, in the order in which they finish."""
    last: list[tuple[str, Any]] = []

    def hook(name: str) -> ForwardHook:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            # Of several tensors nobody knows which one goes on to the output.
            if tensor is None or count_tensors(output) > 1:
                return
            # A container finishes right after the layer whose output it returns.
            while last and last[-1][1]() is not tensor:
                last.pop()
            previous = outputs.pop(name, None)
            # By name, since an operation in place returns its input, which is another layer's.
            inner_names = {inner for inner, _ in last if inner.startswith(f"{name}.")}
            outputs[name] = _Output(
                tuple(tensor.shape), previous.calls + 1 if previous else 1, inner_names
            )
            last.append((name, weakref.ref(tensor)))

        return after

    return hook

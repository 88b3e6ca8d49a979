"""Which layers of a model give maps, and the one to take when none is named."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import logits_of, pixel_logits
from fastcam.attribution.cam.detector_layers import before_the_boxes
from fastcam.attribution.cam.reshape import Layout, layout_of
from fastcam.attribution.cam.split import run_split
from fastcam.attribution.detection import detections_in
from fastcam.attribution.layer_names import (
    call_name,
    closed_part,
    named_layers,
    open_module,
    split_call,
)
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
    - ``calls``: how often one forward pass calls it; ``layout`` is that of the last call
    - ``auto``: the names of the calls to take where it is chosen without being named
    """

    name: str
    kind: str
    layout: Layout
    calls: int = 1
    auto: tuple[str, ...] = ()

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
    model = open_module(model)
    modules = dict(named_layers(model))
    outputs, counts = _outputs(model, example)
    layers: list[Candidate] = []
    covered: set[str] = set()
    for name, entry in reversed(outputs.items()):
        module = modules[name]
        kind = _kind_of(module)
        if name in covered or any(word in kind.lower() for word in _PASSING):
            continue
        covered |= entry.inner_names
        # Windows and crops stand in the first axis with the images: no map of one is the image's.
        if entry.shape[:1] != example.shape[:1]:
            continue
        layout = layout_of(model, module, entry.shape, tuple(example.shape[2:]), prefix_tokens)
        if layout is not None:
            selected = _maps_of_passes(name, module, counts)
            layers.append(Candidate(name, kind, layout, counts[name], selected))
    return layers[::-1]


def _outputs(model: nn.Module, example: Tensor) -> tuple[dict[str, _Output], dict[str, int]]:
    """By name what modules give, in the order in which they finish, and how often each runs."""
    outputs: dict[str, _Output] = {}
    counts: dict[str, int] = {}
    with after_every_module(model, _output_hooks(outputs, counts)):
        frozen_forward(model, example)
    return outputs, counts


def _maps_of_passes(name: str, module: nn.Module, counts: Mapping[str, int]) -> tuple[str, ...]:
    """The calls to look at where nobody says which: all of them, under the layer's own name.

    Of an activation that stands after several layers, which learns nothing itself, the last call in
    every pass through the part of the model that it is in.
    """
    calls = counts[name]
    passes = max((counts.get(path, 0) for path in _around(name)), default=1) or 1
    if (
        calls == 1
        or calls % passes
        or calls == passes
        or next(module.parameters(), None) is not None
    ):
        return (name,)
    last = range(calls // passes - 1, calls, calls // passes)
    return tuple(call_name(name, number, calls) for number in last)


def _around(name: str) -> list[str]:
    """The dotted names of what a module lies in, the model itself left out."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def default_layers(
    model: nn.Module, example: Tensor, prefix_tokens: int | None = None
) -> tuple[str, ...]:
    """What :func:`default_layer` names; of a module that runs more than once the names of those of
    its calls that end a pass through it, or through the part of the model that it is in."""
    return _default(model, example, prefix_tokens).auto


def default_layer(model: nn.Module, example: Tensor, prefix_tokens: int | None = None) -> str:
    """The last spatial layer; for a transformer the last whose patches reach the output.

    After the last block of a transformer that reads its class from the CLS token alone, patches
    get no gradient; there it is that block's first norm. Found by one backward pass on
    ``example``. Raises InputError where the model has no spatial layer.
    """
    return _default(model, example, prefix_tokens).name


def _default(model: nn.Module, example: Tensor, prefix_tokens: int | None) -> Candidate:
    layers = _before_the_answer(model, example, candidates(model, example, prefix_tokens))
    if layers and is_detector(model, example):
        names = before_the_boxes(model, example, [layer.name for layer in layers])
        return next(layer for layer in reversed(layers) if layer.name in names)
    if not layers:
        raise InputError(
            f"{type(model).__name__}: no layer gives a grid of positions on images of "
            f"{tuple(example.shape[2:])}; name one with --layer, and how to reshape it"
        )
    if layers[-1].layout.order != "tokens":
        return layers[-1]
    return _last_reached(model, example, layers)


def is_detector(model: nn.Module, example: Tensor) -> bool:
    """Whether ``model`` answers ``example`` (b, c, *s) with boxes, scores and labels."""
    return detections_in(frozen_forward(model, example), len(example)) is not None


def _before_the_answer(
    model: nn.Module, example: Tensor, layers: Sequence[Candidate]
) -> Sequence[Candidate]:
    """``layers``, of a segmentation without those at the end that give the answer for every pixel:
    a map of these is what was asked, and no evidence for it."""
    dense = pixel_logits(frozen_forward(model, example), len(example))
    if dense is None:
        return layers
    end = len(layers)
    while end > 1 and layers[end - 1].shape == tuple(dense.shape[1:]):
        end -= 1
    return layers[:end]


def called_layers(model: nn.Module, names: Sequence[str], example: Tensor) -> tuple[str, ...]:
    """``names``, with a name for every call of a layer that runs more than once for ``example``
    (1, c, *s): ``backbone.layer4#0``, ``backbone.layer4#1``."""
    return tuple(run_split(model, layer_modules(model, names), example, False).activations)


def layer_modules(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """The modules called ``names``; InputError for one that doesn't exist, with the nearest."""
    modules = {name: module for name, module in named_layers(model, remove_duplicate=False) if name}
    selected = {}
    for full_name in names:
        name = split_call(full_name)[0]
        if name not in modules and (part := closed_part(model, name)) is not None:
            raise InputError(
                f"--layer {full_name!r} is in {part!r}, a scripted or traced part (TorchScript), "
                "in whose graph PyTorch's hooks do not fire; give the original module, or choose a "
                "layer outside of it"
            )
        if name not in modules:
            near = [n for n in modules if n.endswith(f".{name}")][:3]
            near = near or difflib.get_close_matches(name, modules, n=3, cutoff=0.4)
            listed = [*modules][:5] + (["…"] if len(modules) > 5 else [])
            hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(listed)}"
            raise InputError(
                f"--layer {name!r} does not exist in {type(model).__name__}: {hint} "
                "(fastcam inspect --model lists those with maps)"
            )
        selected[full_name] = modules[name]
    return selected


def _kind_of(module: nn.Module) -> str:
    """The name of its class; of a module that was exported, that of the module it was."""
    exported = getattr(module, "type_name", None)
    name = exported() if callable(exported) else None
    return (name or type(module).__name__).rpartition(".")[2]


def _last_reached(model: nn.Module, example: Tensor, layers: Sequence[Candidate]) -> Candidate:
    """The last norm or block whose patch tokens, not only the prefix, have a gradient."""
    # A container stands for the last block in it, whose output it returns.
    blocks = [
        c
        for c in layers
        if "norm" in c.kind.lower() or c.name[-1].isdigit() or c.kind == "Sequential"
    ][-_GRADIENT_LAYERS:]
    blocks = [c for c in blocks if c.layout.order == "tokens"]
    if not blocks:
        return layers[-1]
    # Of a block that runs more than once the last call tells.
    last_calls = [call_name(c.name, c.calls - 1, c.calls) for c in blocks]
    split = run_split(model, layer_modules(model, last_calls), example)
    with torch.enable_grad():
        dense = pixel_logits(split.output, len(example))
        logits = logits_of(split.output, len(example)) if dense is None else dense
        score = logits.amax(1).sum()
    gradients = torch.autograd.grad(
        score, list(split.sources.values()), allow_unused=True, materialize_grads=True
    )
    for candidate, gradient in reversed(list(zip(blocks, gradients, strict=True))):
        if bool(gradient[:, candidate.layout.prefix :].any()):
            return candidate
    # Nothing has a gradient in a model whose head is still at its initial zeros.
    return blocks[-1]


@dataclass
class _Output:
    shape: tuple[int, ...]
    inner_names: set[str]


def _output_hooks(
    outputs: dict[str, _Output], counts: dict[str, int]
) -> Callable[[str], ForwardHook]:
    """Hooks that note what each module gives, in the order in which they finish, and count."""
    last: list[tuple[str, Any]] = []

    def hook(name: str) -> ForwardHook:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            counts[name] = counts.get(name, 0) + 1
            tensor = first_tensor(output)
            # Of several tensors nobody knows which one goes on to the output.
            if tensor is None or count_tensors(output) > 1:
                return
            # A container finishes right after the layer whose output it returns.
            while last and last[-1][1]() is not tensor:
                last.pop()
            outputs.pop(name, None)
            # By name, since an operation in place returns its input, which is another layer's.
            inner_names = {inner for inner, _ in last if inner.startswith(f"{name}.")}
            outputs[name] = _Output(tuple(tensor.shape), inner_names)
            last.append((name, weakref.ref(tensor)))

        return after

    return hook

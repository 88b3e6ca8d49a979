"""The first token, CLS, in front of a Transformer's first block and behind each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.layer_names import module_at, named_layers


@dataclass(eq=False)
class FirstTokens:
    """Shape and first token (b, dim) of what went in and out of each module with parts.

    - ``inputs``: by dotted path, of the first input
    - ``outputs``: of every output, in order, with the dotted path
    """

    inputs: dict[str, tuple[tuple[int, ...], Tensor]] = field(default_factory=dict)
    outputs: list[tuple[str, tuple[int, ...], Tensor]] = field(default_factory=list)


@contextmanager
def first_tokens(model: nn.Module, blocks: frozenset[str] | None) -> Iterator[FirstTokens]:
    """While it is open, the first token (b, dim) that goes in and out of the blocks; None: of every
    module with parts, since where attention is, and so the blocks, is known only after a pass."""
    tokens = FirstTokens()
    handles = []

    def before(name: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensor = _sequence((*args, *kwargs.values()))
            if tensor is not None and name not in tokens.inputs:
                tokens.inputs[name] = tuple(tensor.shape), _token(tensor)

        return hook

    def after(name: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            tensor = _sequence(output if isinstance(output, tuple | list) else (output,))
            if tensor is not None:
                tokens.outputs.append((name, tuple(tensor.shape), _token(tensor)))

        return hook

    try:
        for name, module in named_layers(model):
            parts = next(module.children(), None) is not None
            if parts if blocks is None else name in blocks:
                handles.append(module.register_forward_pre_hook(before(name), with_kwargs=True))
                handles.append(module.register_forward_hook(after(name)))
        yield tokens
    finally:
        for handle in handles:
            handle.remove()


def _sequence(values: Sequence[Any]) -> Tensor | None:
    tensor = next((v for v in values if isinstance(v, Tensor)), None)
    return tensor if tensor is not None and tensor.ndim == 3 and tensor.shape[1] else None


def _token(sequence: Tensor) -> Tensor:
    return sequence[:, 0].detach().to(torch.float32, copy=True)


def cls_sequence(
    model: nn.Module, paths: Sequence[str], tokens: FirstTokens, n: int
) -> tuple[Tensor | None, str]:
    """CLS (blocks + 1, b, dim) before the first block and after each, or why there is none."""
    blocks = blocks_of(model, paths)
    steps = [(shape, token) for name, shape, token in tokens.outputs if name in blocks]
    start = tokens.inputs.get(blocks[0])
    if start is None or not {name for name, _, _ in tokens.outputs}.issuperset(blocks):
        return None, f"the blocks around {paths[0]} aren't modules that are called"
    steps.insert(0, start)
    if any(shape[1] != n for shape, _ in steps):
        return None, f"the blocks around {paths[0]} don't pass on tokens (b, {n}, dim)"
    return torch.stack([token for _, token in steps]), ""


def blocks_of(model: nn.Module, paths: Sequence[str]) -> list[str]:
    """The blocks around attentions, each once: named by the part where the paths first differ."""
    split = [path.split(".") for path in dict.fromkeys(paths)]
    if len(split) == 1:
        depth = _depth_in_a_row(model, split[0])
    else:
        same = (len(set(parts)) == 1 for parts in zip(*split, strict=False))
        depth = next((depth for depth, equal in enumerate(same) if not equal), 0)
    return list(dict.fromkeys(".".join(parts[: depth + 1]) for parts in split))


def _depth_in_a_row(model: nn.Module, parts: list[str]) -> int:
    """Of a single attention: the first part of its path that lies in a list of modules."""
    for depth in range(len(parts)):
        holder = module_at(model, ".".join(parts[:depth]))
        if isinstance(holder, nn.ModuleList | nn.Sequential):
            return depth
    return max(len(parts) - 2, 0)

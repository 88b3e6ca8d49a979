"""The score that each block of a Transformer would give, by the model's own norm and head.

LeGrad (Bousselham et al. 2024) asks of every block what its tokens say of the class: their mean
goes through the last norm and the head. Both are whatever the model does after its last block: it
is run on with that block's output replaced, and all blocks passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.layer_names import module_at
from fastcam.attribution.modules import first_tensor, with_tensor
from fastcam.attribution.targets import Score
from fastcam.errors import InputError


@contextmanager
def block_outputs(model: nn.Module, blocks: Sequence[str]) -> Iterator[dict[str, Any]]:
    """While it is open, what each of ``blocks`` returns, by its path."""
    outputs: dict[str, Any] = {}
    handles = []

    def hook_for(path: str) -> Callable[..., None]:
        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs[path] = output

        return after

    try:
        modules = {path: module_at(model, path) for path in blocks}
        handles += [module.register_forward_hook(hook_for(p)) for p, module in modules.items()]
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def alike(outputs: Mapping[str, Any], blocks: Sequence[str], tokens: int, batch: int) -> bool:
    """Whether all ``blocks`` give tokens (b, ``tokens``, dim) of one width, so that the head of the
    last can read those of each."""
    shapes = set()
    for path in blocks:
        tensor = first_tensor(outputs.get(path))
        shapes.add(None if tensor is None else tuple(tensor.shape))
    shape = shapes.pop() if len(shapes) == 1 else None
    return shape is not None and len(shape) == 3 and shape[:2] == (batch, tokens)


def block_gradients(
    model: nn.Module,
    outputs: Mapping[str, Any],
    blocks: Sequence[str],
    image: Tensor,
    score: Score,
    prefix: int,
) -> list[list[Tensor]] | None:
    """By target, for each of ``blocks`` the gradient (b, dim) of its score by the mean of its
    tokens; None where the model's head can't read them.

    ``outputs`` from :func:`block_outputs`, ``image`` (1, c, *S) any image of the batch, ``prefix``
    tokens before the patches.
    """
    tensors = [first_tensor(outputs[path]) for path in blocks]
    means = torch.stack([t.detach().mean(1) for t in tensors if t is not None])
    count, batch, _ = means.shape
    leaf = means.flatten(0, 1).requires_grad_()
    # CLS, a mean of the patches or of all: whatever the head reads is the mean of the tokens.
    tokens = leaf[:, None].expand(-1, prefix + 1, -1)
    returned = _run_head(model, outputs, blocks, image, tokens)
    if returned is None:
        return None
    rows = torch.arange(batch, device=image.device).repeat(count)
    try:
        values = score(returned, rows)
    except (InputError, RuntimeError):
        return None
    if len(values) != count * batch or not values.requires_grad:
        return None
    by_target = []
    for column in range(values.shape[1]):
        last = column == values.shape[1] - 1
        (gradient,) = torch.autograd.grad(values[:, column].sum(), leaf, retain_graph=not last)
        by_target.append(list(gradient.reshape(count, batch, -1).unbind(0)))
    return by_target


def _run_head(
    model: nn.Module,
    outputs: Mapping[str, Any],
    blocks: Sequence[str],
    image: Tensor,
    tokens: Tensor,
) -> Any:
    """What the model returns where its last block gives ``tokens`` (m, n, dim); None where it
    fails. One image goes through what comes before the blocks, which are passed over."""
    replaced: list[nn.Module] = []
    try:
        for path in blocks:
            block = module_at(model, path)
            output = outputs[path]
            tokens_of_block = tokens if path == blocks[-1] else None
            block.forward = _constant(output, tokens_of_block)
            replaced.append(block)
        return model(image)
    except (RuntimeError, ValueError, IndexError):
        return None
    finally:
        for block in replaced:
            vars(block).pop("forward", None)


def _constant(output: Any, tokens: Tensor | None) -> Callable[..., Any]:
    """A ``forward`` that gives ``output`` whatever it is called with, with ``tokens`` in it."""
    if tokens is None:
        first = first_tensor(output)
        tokens = None if first is None else first.detach()
    result = output if tokens is None else with_tensor(output, tokens)
    return lambda *args, **kwargs: result

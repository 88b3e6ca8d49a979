"""Which tokens of a Transformer are patches: the prefix (CLS, registers) and the patches' grid."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fastcam.errors import InputError

# Parameters that hold prefix tokens: timm, torchvision, Hugging Face and CLIP.
_CLS = ("cls_token", "class_token", "class_embedding", "cls_embedding")
_OTHERS = (
    "dist_token",
    "distillation_token",
    "reg_token",
    "reg_tokens",
    "register_token",
    "register_tokens",
)

_BRANCH = re.compile(r"_\d+$")

# How timm, open_clip, the built-in model and Hugging Face's BEiT say that they don't read CLS.
_POOLS = ("avg", "avgmax", "max", "map")


@dataclass(frozen=True)
class Prefix:
    """Tokens before the patches.

    - ``count``: how many
    - ``cls``: whether the first one is a CLS token
    - ``source``: where the count comes from, in words
    """

    count: int
    cls: bool
    source: str


def count_prefix(model: nn.Module, prefix_tokens: int | None = None) -> Prefix:
    """``prefix_tokens`` of them, or as many as the model's ``num_prefix_tokens`` or parameters say.

    Parameters are recognized by their names (cls_token, register_tokens, …). Raises InputError
    where ``prefix_tokens`` is negative.
    """
    token_names = _token_parameters(model)
    cls = any(name.rpartition(".")[2] in _CLS for name in token_names)
    if prefix_tokens is not None:
        if prefix_tokens < 0:
            raise InputError(f"prefix tokens: {prefix_tokens} is negative; give 0 or more")
        return Prefix(prefix_tokens, prefix_tokens > 0 and (cls or not token_names), "given")
    for _, module in model.named_modules():
        count = getattr(module, "num_prefix_tokens", None)
        # Submodules of timm's EVA have the number too; the first one met is the model's own.
        if isinstance(count, int):
            return Prefix(count, cls and count > 0, "num_prefix_tokens of the model")
    if not token_names:
        return Prefix(0, False, "no parameter of the model is called like a prefix token")
    words = " + ".join(f"{name} {count}" for name, count in token_names.items())
    return Prefix(sum(token_names.values()), cls, f"parameters {words}")


def _token_parameters(model: nn.Module) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        # Of several branches (CrossViT's cls_token_0, cls_token_1) each has its own.
        own = _BRANCH.sub("", name.replace("_orig_mod.", ""))
        if own.rpartition(".")[2] in (*_CLS, *_OTHERS):
            counts[own] = parameter.shape[-2] if parameter.ndim > 1 else 1
    return counts


def patch_size(model: nn.Module, axes: int = 2) -> tuple[int, ...] | None:
    """Side lengths of a patch in pixels, as the model states them: ``patch_size`` of a module or of
    a Hugging Face config. None where nothing states them."""
    for _, module in model.named_modules():
        for holder in (module, getattr(module, "config", None)):
            sides = _sides(getattr(holder, "patch_size", None), axes)
            if sides is not None:
                return sides
    return None


def _sides(value: Any, axes: int) -> tuple[int, ...] | None:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return (value,) * axes
    if (
        isinstance(value, Sequence)
        and len(value) == axes
        and all(isinstance(v, int) for v in value)
    ):
        return tuple(value)
    return None


def patch_grid(
    count: int, image: Sequence[int], patch: Sequence[int] | None = None
) -> tuple[int, ...] | None:
    """Grid (h, w), or (d, h, w), of ``count`` places over an image of size (h, w) or (d, h, w):
    ``whole_patches``, or else ``even_grid``. None where there is none."""
    return whole_patches(count, image, patch) or even_grid(count, image)


def whole_patches(
    count: int, image: Sequence[int], patch: Sequence[int] | None
) -> tuple[int, ...] | None:
    """The image divided by the sides of a patch, rounded down or up, where that gives ``count``."""
    if patch is None:
        return None
    for divide in (math.floor, math.ceil):
        grid = tuple(divide(size / side) for size, side in zip(image, patch, strict=True))
        if math.prod(grid) == count:
            return grid
    return None


def even_grid(
    count: int, image: Sequence[int], _patch: Sequence[int] | None = None
) -> tuple[int, ...] | None:
    """The grid of ``count`` cells that are as near to squares as whole numbers allow, None where
    that takes more than rounding."""
    if count < 1:
        return None
    side = (math.prod(image) / count) ** (1 / len(image))
    # A whole number of cells stays itself whatever the rounding error of its side.
    near = [{math.floor(size / side + 1e-6), math.ceil(size / side - 1e-6)} for size in image]
    fitting = [grid for grid in itertools.product(*near) if math.prod(grid) == count]
    return min(fitting, key=lambda grid: _unevenness(grid, image)) if fitting else None


def _unevenness(grid: Sequence[int], image: Sequence[int]) -> float:
    sides = [math.log(size / cells) for size, cells in zip(image, grid, strict=True)]
    return max(sides) - min(sides)


def image_size(batch: Tensor) -> tuple[int, ...]:
    """(h, w) of images (b, c, h, w), (d, h, w) of volumes (b, c, d, h, w); InputError otherwise."""
    if batch.ndim not in (4, 5):
        raise InputError(
            f"the batch has the shape {tuple(batch.shape)}; attention maps need images "
            "(b, c, h, w) or volumes (b, c, d, h, w)"
        )
    return tuple(batch.shape[2:])


def pools_patches(model: nn.Module) -> bool:
    """Whether the head reads a mean of the patches instead of CLS."""
    return (
        getattr(model, "global_pool", None) in _POOLS
        or getattr(model, "pool_type", None) in _POOLS
        or bool(getattr(getattr(model, "settings", None), "mean_pooling", False))
        or bool(getattr(getattr(model, "config", None), "use_mean_pooling", False))
    )

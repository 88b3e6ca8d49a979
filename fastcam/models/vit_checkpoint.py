"""Sizes of a Vision Transformer, read from its checkpoint, and its positions on another grid.

Works on timm's key names, so for this project's own model and for timm's alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor

from fastcam.errors import InputError
from fastcam.models.sizes import Sizes, plane_of
from fastcam.models.vit import VitSettings

# By these a Vision Transformer's state dict is known.
SIGNATURE_KEYS = ("patch_embed.proj.weight", "pos_embed", "blocks.0.attn.qkv.weight")
# Published models whose heads are not 64 wide; the number is nowhere in a checkpoint.
_HEADS = {1280: 16, 1408: 16, 1664: 16}


@dataclass(frozen=True)
class Positions:
    """How the rows of a ``pos_embed`` lie.

    - ``prefix``: rows of class and register tokens, which come first
    - ``grid``: (rows, columns) of the patches after them
    """

    prefix: int
    grid: tuple[int, int]


def is_vit(state: dict[str, Tensor]) -> bool:
    """Whether all of ``SIGNATURE_KEYS`` are there, with the shapes they have in timm."""
    return all(key in state for key in SIGNATURE_KEYS) and (
        state["patch_embed.proj.weight"].ndim == 4 and state["pos_embed"].ndim == 3
    )


def settings_of(
    state: dict[str, Tensor], sizes: Sizes, source: str, heads: int | None = None
) -> VitSettings:
    """The architecture that ``state`` (timm's keys) is for, in the sizes chosen.

    Heads are of 64 channels unless ``heads`` is their number. Raises InputError where the shapes
    leave it open.
    """
    if not is_vit(state):
        missing = [key for key in SIGNATURE_KEYS if key not in state] or ["patch_embed.proj.weight"]
        raise InputError(
            f"{source}: is for another architecture than a Vision Transformer with timm's key "
            f"names: there is no usable {missing[0]} among its {len(state)} tensors "
            f"({', '.join(list(state)[:3])}, …)"
        )
    dim, channels, *patch = state["patch_embed.proj.weight"].shape
    heads = heads or _HEADS.get(dim) or dim // 64
    if not heads or dim % heads:
        raise InputError(
            f"{source}: its width of {dim} doesn't tell the number of attention heads; say it in "
            "the model's name, for example vit_tiny_heads4"
        )
    head, fc1 = state.get("head.weight"), state.get("blocks.0.mlp.fc1.weight")
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    settings = VitSettings(
        dim=dim,
        depth=1 + max(int(key.split(".")[1]) for key in state if _in_block(key)),
        heads=heads,
        patch_size=(patch[0], patch[1]),
        image_size=(patch[0], patch[1]),
        in_channels=sizes.in_channels or channels,
        num_classes=sizes.num_classes or (0 if head is None else head.shape[0]),
        mlp_dim=None if fc1 is None else fc1.shape[0],
        registers=registers,
        class_token="cls_token" in state,
        mean_pooling="fc_norm.weight" in state or "cls_token" not in state,
        pooled_norm="fc_norm.weight" in state,
        layer_scale="blocks.0.ls1.gamma" in state,
        qkv_bias="blocks.0.attn.qkv.bias" in state,
    )
    image_size = None if sizes.image_size is None else plane_of(sizes.image_size)
    positions = positions_of(state, image_size, source)
    h, w = image_size or (positions.grid[0] * patch[0], positions.grid[1] * patch[1])
    return replace(settings, image_size=(h, w), positions_of_prefix=positions.prefix > 0)


def positions_of(
    state: dict[str, Tensor], image_size: tuple[int, int] | None, source: str
) -> Positions:
    """Where the patches lie in ``pos_embed``: on the grid of ``image_size`` (h, w) if that many
    there are, else on a square one. Raises InputError when neither fits.

    Both are tried first with the prefix rows that such models usually have, then the other way:
    7x7 patches and a class token are 50 rows, and so are 10x5 patches without.
    """
    rows = state["pos_embed"].shape[1]
    patch_h, patch_w = state["patch_embed.proj.weight"].shape[2:]
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    prefix = registers + ("cls_token" in state) + ("dist_token" in state)
    # Models with registers give no positions to prefix tokens, those without mostly do.
    prefixes = dict.fromkeys((0, prefix) if registers else (prefix, 0))
    for count in prefixes:
        if image_size is not None:
            grid = image_size[0] // patch_h, image_size[1] // patch_w
            if rows - count == grid[0] * grid[1]:
                return Positions(count, grid)
        side = math.isqrt(max(rows - count, 0))
        if side and side * side == rows - count:
            return Positions(count, (side, side))
    raise InputError(
        f"{source}: its pos_embed has {rows} positions, which make no square grid of patches; "
        f"give the image size (height and width in pixels, patches are {patch_h}x{patch_w}) it "
        "was trained with"
    )


def with_positions_of(state: dict[str, Tensor], model: Any, source: str) -> dict[str, Tensor]:
    """``state`` with its ``pos_embed`` resampled to the grid of ``model``, this project's Vision
    Transformer or timm's; unchanged where it fits already or one of the two is no such model.

    Bicubic with antialiasing in float32, prefix rows kept: timm's ``resample_abs_pos_embed``.
    """
    own, patch_embed = getattr(model, "pos_embed", None), getattr(model, "patch_embed", None)
    new = getattr(patch_embed, "grid_size", None)
    if not is_vit(state) or not isinstance(own, Tensor) or own.ndim != 3 or new is None:
        return state
    table = state["pos_embed"]
    if table.shape == own.shape or table.shape[2] != own.shape[2]:
        return state
    old = positions_of(state, None, source)
    prefix, grid_rows = table[:, : old.prefix], table[:, old.prefix :]
    if own.shape[1] != old.prefix + new[0] * new[1]:
        return state
    image = grid_rows.float().reshape(1, *old.grid, -1).permute(0, 3, 1, 2)
    image = F.interpolate(image, size=tuple(new), mode="bicubic", antialias=True)
    patches = image.permute(0, 2, 3, 1).flatten(1, 2).to(table.dtype)
    return state | {"pos_embed": torch.cat([prefix, patches], dim=1)}


def _in_block(key: str) -> bool:
    parts = key.split(".")
    return len(parts) > 2 and parts[0] == "blocks" and parts[1].isdigit()

"""Flags and sizes of a few-shot network, read from the keys of its checkpoint and their shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from fastcam.errors import InputError
from fastcam.models.fewshot.settings import enlarged_window

# Which flag makes the keys that start so.
STAGES = {"mixed.": "--use-mab", "overlap.": "--use-ocab", "fusion.": "--use-drff"}
_MIXED_TABLE = "mixed.0.window.relative_position_bias_table"
_OVERLAP_TABLE = "overlap.attn.relative_position_bias_table"


def flags_of(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The flags that a checkpoint was trained with, by its keys (without wrappers' prefixes)."""
    return tuple(
        flag for stage, flag in STAGES.items() if any(key.startswith(stage) for key in state)
    )


def heads_of(state: Mapping[str, Tensor]) -> int | None:
    """The number of heads: columns of the tables by relative position.

    None without such tables; then each head has 64 channels.
    """
    for key in (_MIXED_TABLE, _OVERLAP_TABLE):
        if key in state and state[key].ndim == 2:
            return int(state[key].shape[1])
    return None


def window_sides(state: Mapping[str, Tensor], source: str) -> tuple[int, int]:
    """Side of the windows and of the enlarged ones; without overlap the second isn't used.

    InputError where no key gives them.
    """
    sides, table = state.get("overlap.attn.sides"), state.get(_MIXED_TABLE)
    if sides is not None and sides.numel() == 2:
        window, enlarged = (int(side) for side in sides.flatten().tolist())
        return window, enlarged
    if table is not None and table.ndim == 2:
        side = math.isqrt(table.shape[0])
        if side * side == table.shape[0] and side % 2:
            window = (side + 1) // 2
            return window, enlarged_window(window)
    raise InputError(
        f"{source}: doesn't tell its windows: overlap.attn.sides or {_MIXED_TABLE} is missing or "
        "of another shape; give a whole checkpoint of fewshot_vit"
    )


def mixed_depth(state: Mapping[str, Tensor]) -> int:
    """How many mixed-attention blocks there are; 2, the usual number, where there is none."""
    numbers = [key.split(".")[1] for key in state if key.startswith("mixed.")]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=1)


def flag_mismatch(source: str, needed: tuple[str, ...], options: tuple[str, ...]) -> InputError:
    """The error for a checkpoint that needs other flags than those of ``options``."""
    keys = ", ".join(f"{stage}*" for stage, flag in STAGES.items() if flag in needed)
    why = f"its keys {keys}" if keys else "it has no mixed.*, overlap.* or fusion.* keys"
    return InputError(
        f"{source}: seems to be trained with {' '.join(needed) or 'none of the --use flags'} "
        f"({why}), but {' '.join(options) or 'no --use flag'} was given; "
        + (f"use {' '.join(needed)}" if needed else f"leave {' '.join(options)} out")
    )

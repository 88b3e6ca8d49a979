"""The few-shot network, built by a user's options and a checkpoint's state dict.

Flags and sizes are read from the checkpoint's keys and their shapes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from fastcam.errors import InputError
from fastcam.models.checkpoints import align_prefix
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.fewshot.settings import (
    ARCHS,
    FewshotSettings,
    ReconstructionKind,
    enlarged_window,
    fitting_window,
)
from fastcam.models.sizes import Sizes, plane_of
from fastcam.models.vit import VitSettings
from fastcam.models.vit_checkpoint import SIGNATURE_KEYS, settings_of

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


@dataclass(frozen=True, kw_only=True)
class FewshotOptions:
    """What a user may choose of the network.

    - ``arch``: ``vit_tiny`` or ``vit_small``; None is that of the checkpoint, else ``vit_small``
    - ``patch_size``: in pixels; None is that of the checkpoint, else 16
    - ``use_mab``, ``use_ocab``, ``use_drff``: the stages after the trunk. With none set they are
      those of the checkpoint; with any, the others are off, and a checkpoint trained with them is
      refused.
    - ``overlap_ratio``: how much wider the keys' windows are; None is that of the checkpoint, else
      the one nearest to half a window
    - ``reconstruction``: how query and support are compared; None is that of the checkpoint, else
      ridge regression
    """

    arch: str | None = None
    patch_size: int | None = None
    use_mab: bool = False
    use_ocab: bool = False
    use_drff: bool = False
    overlap_ratio: float | None = None
    reconstruction: ReconstructionKind | None = None

    def __post_init__(self) -> None:
        if self.arch is not None and self.arch not in ARCHS:
            raise InputError(f"--arch {self.arch!r} is not known: use {' or '.join(ARCHS)}")
        if self.patch_size is not None and self.patch_size < 1:
            raise InputError(f"--patch-size {self.patch_size} is too small: at least 1 pixel")
        if self.reconstruction not in (None, "ridge", "mutual"):
            raise InputError(f"reconstruction {self.reconstruction!r}: give 'ridge' or 'mutual'")

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that are on, as they are called on the command line."""
        used = (self.use_mab, self.use_ocab, self.use_drff)
        return tuple(flag for flag, on in zip(STAGES.values(), used, strict=True) if on)

    @property
    def option_names(self) -> tuple[str, ...]:
        """The options that are set, as they are called on the command line."""
        values = {"--arch": self.arch, "--patch-size": self.patch_size}
        return (*self.flags, *(name for name, value in values.items() if value is not None))

    def with_flags(self, flags: tuple[str, ...]) -> FewshotOptions:
        """The same options with these flags on and the others off."""
        mab, ocab, drff = (flag in flags for flag in STAGES.values())
        return replace(self, use_mab=mab, use_ocab=ocab, use_drff=drff)


def build(
    options: FewshotOptions | None = None,
    state: Mapping[str, Tensor] | None = None,
    sizes: Sizes | None = None,
    source: str = "the checkpoint",
    *,
    allow_partial: bool = False,
) -> FewshotViT:
    """The network, new, in the sizes chosen and for the rest those of ``state``.

    Weights are not loaded. ``sizes``: 224 × 224 pixels, 3 channels and no head unless chosen or in
    the checkpoint. With ``allow_partial`` a checkpoint trained with other flags is taken all the
    same, and only its trunk's sizes count: so a plain Vision Transformer's weights can be used.
    Raises InputError where options, sizes and checkpoint don't go together; ``source`` is what the
    message calls the checkpoint.
    """
    options, sizes = options or FewshotOptions(), sizes or Sizes()
    if state is None:
        return FewshotViT(_with_stages(_trunk(options, sizes), options))
    state = align_prefix(dict(state), SIGNATURE_KEYS)
    trunk = settings_of(state, sizes, source, heads_of(state))
    _check_trunk(trunk, options, source)
    needed = flags_of(state)
    if not options.flags:
        options = options.with_flags(needed)
    if needed != options.flags:
        if not allow_partial:
            raise flag_mismatch(source, needed, options.flags)
        return FewshotViT(_with_stages(trunk, options))
    return FewshotViT(_as_trained(trunk, options, state, source))


def _trunk(options: FewshotOptions, sizes: Sizes) -> VitSettings:
    dim, heads = ARCHS[options.arch or "vit_small"]
    side = options.patch_size or 16
    return VitSettings(
        dim=dim,
        depth=12,
        heads=heads,
        patch_size=(side, side),
        image_size=plane_of(sizes.image_size or (224, 224)),
        in_channels=sizes.in_channels or 3,
        num_classes=sizes.num_classes or 0,
    )


def _with_stages(trunk: VitSettings, options: FewshotOptions) -> FewshotSettings:
    settings = FewshotSettings(
        trunk=trunk, use_drff=options.use_drff, reconstruction=options.reconstruction or "ridge"
    )
    if not (options.use_mab or options.use_ocab):
        return settings
    window = fitting_window(trunk.grid)
    return FewshotSettings(
        trunk=trunk,
        use_mab=options.use_mab,
        use_ocab=options.use_ocab,
        use_drff=options.use_drff,
        window=window,
        enlarged=enlarged_window(window, options.overlap_ratio),
        reconstruction=settings.reconstruction,
    )


def _as_trained(
    trunk: VitSettings, options: FewshotOptions, state: Mapping[str, Tensor], source: str
) -> FewshotSettings:
    kind: ReconstructionKind = "mutual" if "reconstruct.q.weight" in state else "ridge"
    if options.reconstruction not in (None, kind):
        raise InputError(
            f"{source}: was trained with {kind} reconstruction, not {options.reconstruction}"
        )
    settings = FewshotSettings(trunk=trunk, use_drff=options.use_drff, reconstruction=kind)
    if not (options.use_mab or options.use_ocab):
        return settings
    window, enlarged = window_sides(state, source)
    ratio = options.overlap_ratio if options.use_ocab else None
    if ratio is not None and enlarged_window(window, ratio) != enlarged:
        raise InputError(
            f"{source}: was trained with keys from {enlarged}x{enlarged} tokens around windows "
            f"of {window}x{window}: overlap ratio {(enlarged - window) / window:.4g}, not "
            f"{ratio:.4g}"
        )
    return FewshotSettings(
        trunk=trunk,
        use_mab=options.use_mab,
        use_ocab=options.use_ocab,
        use_drff=options.use_drff,
        mixed_depth=mixed_depth(state),
        window=window,
        enlarged=enlarged,
        reconstruction=kind,
    )


def _check_trunk(trunk: VitSettings, options: FewshotOptions, source: str) -> None:
    if options.arch is not None and ARCHS[options.arch][0] != trunk.dim:
        names = {dim: name for name, (dim, _) in ARCHS.items()}
        remedy = f"use --arch {names[trunk.dim]}" if trunk.dim in names else "leave --arch out"
        raise InputError(
            f"{source}: is {trunk.dim} channels wide, --arch {options.arch} is "
            f"{ARCHS[options.arch][0]}: {remedy}"
        )
    side = options.patch_size
    if side is not None and trunk.patch_size != (side, side):
        raise InputError(
            f"{source}: has patches of {trunk.patch_size[0]}x{trunk.patch_size[1]} pixels, not "
            f"{side}; leave --patch-size out, and they are taken as they are"
        )

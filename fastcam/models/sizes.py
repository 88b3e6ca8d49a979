"""The sizes of a model that a user may choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastcam.errors import InputError


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model. None means: as in the checkpoint, or as the model has it by default.

    - ``num_classes``: outputs
    - ``in_channels``: channels of the input
    - ``image_size``: in pixels, (h, w) or, for volumes, (d, h, w)

    Raises InputError when one of them is below 1.
    """

    num_classes: int | None = None
    in_channels: int | None = None
    image_size: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for option, value in (
            ("num-classes", self.num_classes),
            ("in-channels", self.in_channels),
            ("image-size", None if self.image_size is None else min(self.image_size, default=0)),
        ):
            if value is not None and value < 1:
                raise InputError(f"--{option} {value} is too small: it must be at least 1")
        if self.image_size is not None and len(self.image_size) not in (2, 3):
            raise InputError(
                f"--image-size {self.image_size} has {len(self.image_size)} numbers: give height "
                "and width, or depth, height and width"
            )


def image_size_of(size: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """One number is height and width; several are (h, w) or (d, h, w)."""
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else tuple(size)


def plane_of(size: tuple[int, ...]) -> tuple[int, int]:
    """(h, w) for a model of images; InputError where ``size`` has three numbers."""
    if len(size) != 2:
        raise InputError(
            f"--image-size {size} has {len(size)} numbers, but the model takes images: give "
            "height and width"
        )
    return size[0], size[1]

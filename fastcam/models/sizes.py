"""The sizes of a model that a user may ask for; what is not asked for is read elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastcam.errors import InputError


@dataclass(frozen=True)
class Sizes:
    """None means: as in the checkpoint, or as the model has it by default.

    ``num_classes`` outputs, ``in_channels`` channels, ``image_size`` in pixels, (h, w) or, for
    volumes, (d, h, w). Raises InputError when one of them is below 1.
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


def image_size_of(asked: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """One number is height and width; several are (h, w) or (d, h, w)."""
    if asked is None:
        return None
    return (asked, asked) if isinstance(asked, int) else tuple(asked)


def plane_of(asked: tuple[int, ...]) -> tuple[int, int]:
    """(h, w) for a model of images; InputError where three numbers were given."""
    if len(asked) != 2:
        raise InputError(
            f"--image-size {asked} has {len(asked)} numbers, but the model takes images: give "
            "height and width"
        )
    return asked[0], asked[1]

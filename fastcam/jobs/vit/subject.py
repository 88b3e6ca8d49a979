"""What a view is of: one image of a forward pass, with the picture that is behind its maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures.patch_grid import patched_part

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.attention.vit_pass import VitPass
    from fastcam.read.inputs.preprocess import Preprocessing


@dataclass(frozen=True, eq=False)
class Subject:
    """Image ``index`` of ``vit``. ``picture`` (h, w, 1 or 3) uint8: what its patches lie on."""

    vit: VitPass
    index: int
    picture: NDArray[np.uint8]


def subject_of(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
) -> Subject:
    """The image of a view: of a pass made before, or of a model that is run on ``images`` here.

    ``images`` as :func:`fastcam.inference.images.load_images` takes them. ``pictures`` (h, w[, c]) uint8, one
    for each image, are shown in their place; a pass that has neither shows its batch, stretched
    from its darkest to its brightest value. Patches that don't reach the edge leave the rest of
    the picture out. InputError for images that are missing, can't be read or aren't as many as in
    the pass, and for an ``index`` out of range.
    """
    from fastcam.attribution.attention.vit_pass import VitPass

    if isinstance(model_or_pass, VitPass):
        vit = model_or_pass
        if pictures is None and images is not None:
            pictures = _pictures(images, vit)
    else:
        vit, seen = _run(model_or_pass, images)
        pictures = seen if pictures is None else pictures
    count = len(vit.batch)
    if not -count <= index < count:
        raise InputError(f"index {index}: there are {count} images, counted from 0")
    if pictures is None:
        return Subject(vit, index % count, covered(_stretched(vit.batch[index]), vit))
    if len(pictures) != count:
        raise InputError(f"{len(pictures)} pictures were given for {count} images: one for each")
    return Subject(vit, index % count, covered(_checked(pictures[index]), vit))


def pass_on(model_or_pass: nn.Module | VitPass, other: VitPass) -> VitPass:
    """What is compared with ``other``: a pass, or a model that is run on the same batch here.

    InputError where the two haven't the same images, grid of patches and number of layers.
    """
    from fastcam.attribution.attention.vit_pass import VitPass, run_vit
    from fastcam.inference.device import device_of

    vit = model_or_pass
    if not isinstance(vit, VitPass):
        vit = run_vit(vit, other.batch.to(device_of(vit)))
    for what, first, second in (
        ("images", len(other.batch), len(vit.batch)),
        ("patches", other.grid, vit.grid),
        ("layers of attention", len(other.layers), len(vit.layers)),
    ):
        if first != second:
            raise InputError(
                f"compare: the first model has {what} {_said(first)}, the second {_said(second)}; "
                "compare two checkpoints of one architecture on the same images"
            )
    return vit


def _said(value: int | tuple[int, int]) -> str:
    return str(value) if isinstance(value, int) else f"{value[0]}×{value[1]}"


def _run(model: nn.Module, images: Any) -> tuple[VitPass, list[NDArray[np.uint8]]]:
    from fastcam.attribution.attention.vit_pass import run_vit
    from fastcam.inference.device import device_of
    from fastcam.inference.images import load_images, resolve_preprocessing

    if images is None:
        raise InputError("give images with a model, or a pass of run_vit in place of the model")
    shown = load_images(images, resolve_preprocessing(model))
    return run_vit(model, shown.batch.to(device_of(model))), shown.pictures


def _pictures(images: Any, vit: VitPass) -> list[NDArray[np.uint8]]:
    from fastcam.inference.images import load_images

    return load_images(images, _plain(vit)).pictures


def _plain(vit: VitPass) -> Preprocessing:
    from fastcam.read.inputs.preprocess import MEAN, STD, Preprocessing

    _, channels, height, width = vit.batch.shape
    if channels == 3:
        return Preprocessing((height, width), channels, MEAN, STD)
    return Preprocessing((height, width), channels, (0.0,) * channels, (1.0,) * channels)


def _stretched(image: Any) -> NDArray[np.uint8]:
    plain = image.detach().float().cpu().numpy()
    plain = plain[:3] if len(plain) >= 3 else plain[:1]
    low, high = float(plain.min()), float(plain.max())
    levels = (plain - low) * (255.0 / (high - low if high > low else 1.0))
    return np.ascontiguousarray(np.moveaxis(np.rint(levels), 0, -1).astype(np.uint8))


def _checked(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    made = picture[:, :, None] if picture.ndim == 2 else picture
    if made.dtype != np.uint8 or made.ndim != 3 or made.shape[2] not in (1, 3) or not made.size:
        raise InputError(
            f"a picture is {picture.dtype} {picture.shape}: it must be uint8, (h, w) or (h, w, 1 "
            "or 3)"
        )
    return np.ascontiguousarray(made)


def covered(picture: NDArray[np.uint8], vit: VitPass) -> NDArray[np.uint8]:
    """The part of a picture that patches lie on: strides rounded down leave an edge out."""
    _, _, height, width = vit.batch.shape
    return patched_part(picture, (height, width), vit.grid, vit.patch)

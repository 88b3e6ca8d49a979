"""What a view is of: one image of a forward pass, with the picture that is behind its maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.attention.vit_pass import VitPass, run_vit
from fastcam.attribution.modules import device_of
from fastcam.errors import InputError
from fastcam.figures.numbered_patches import patched_part
from fastcam.inference.images import ImageBatch, load_images, resolve_preprocessing
from fastcam.read.inputs.preprocessing import MEAN, STD, Preprocessing


@dataclass(frozen=True, eq=False)
class Subject:
    """One image of a forward pass.

    - ``vit``: the pass
    - ``index``: the image's number in it, from 0
    - ``picture`` (h, w, 1 or 3) uint8: the part of the image that patches lie on
    """

    vit: VitPass
    index: int
    picture: NDArray[np.uint8]


def subject_of(
    model_or_pass: nn.Module | VitPass,
    images: Any = None,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    index: int = 0,
) -> Subject:
    """The image of a view: of a pass computed before, or of a model that is run on ``images`` here.

    ``images`` are what :func:`fastcam.inference.images.load_images` takes. ``pictures``
    (h, w[, c]) uint8, one for each image, are drawn in their place. A pass that has neither shows
    its batch, stretched from its darkest to its brightest value. Patches that don't reach the edge
    leave the rest of the picture out.

    Raises InputError for images that are missing, can't be read or aren't as many as in the pass,
    and for an ``index`` out of range.
    """
    if isinstance(model_or_pass, VitPass):
        vit = model_or_pass
        if pictures is None and images is not None:
            pictures = load_images(images, _preprocessing_of(vit)).pictures
    else:
        loaded = images_for(model_or_pass, images)
        vit = run_vit(model_or_pass, loaded.batch.to(device_of(model_or_pass)))
        pictures = loaded.pictures if pictures is None else pictures
    count = len(vit.batch)
    if not -count <= index < count:
        raise InputError(f"index {index}: there are {count} images, counted from 0")
    if pictures is None:
        return Subject(vit, index % count, covered(_stretched(vit.batch[index]), vit))
    if len(pictures) != count:
        raise InputError(f"{len(pictures)} pictures were given for {count} images: one for each")
    return Subject(vit, index % count, covered(_with_channels(pictures[index]), vit))


def images_for(model: nn.Module, images: Any) -> ImageBatch:
    """``images`` as ``model`` sees them. InputError where there are none, or one can't be read."""
    if images is None:
        raise InputError("give images with a model, or a pass of run_vit in place of the model")
    return load_images(images, resolve_preprocessing(model))


def passes_of(vit: VitPass, compare: nn.Module | VitPass | None) -> tuple[VitPass, ...]:
    """``vit`` alone, or with what it is compared with; InputError as of :func:`pass_on`."""
    return (vit,) if compare is None else (vit, pass_on(compare, vit))


def pass_on(model_or_pass: nn.Module | VitPass, other: VitPass) -> VitPass:
    """What is compared with ``other``: a pass, or a model that is run on the same batch here.

    InputError where the two haven't the same images, grid of patches and number of layers.
    """
    vit = model_or_pass
    if not isinstance(vit, VitPass):
        vit = run_vit(vit, other.batch.to(device_of(vit)))
    for part, first, second in (
        ("images", len(other.batch), len(vit.batch)),
        ("patches", other.grid, vit.grid),
        ("layers of attention", len(other.layers), len(vit.layers)),
    ):
        if first != second:
            raise InputError(
                f"compare: the first model has {part} {_text(first)}, the second {_text(second)}; "
                "compare two checkpoints of one architecture on the same images"
            )
    return vit


def _text(value: int | tuple[int, int]) -> str:
    return str(value) if isinstance(value, int) else f"{value[0]}×{value[1]}"


def _preprocessing_of(vit: VitPass) -> Preprocessing:
    """A preprocessing with the size and the channels of a pass: its numbers don't matter here."""
    _, channels, height, width = vit.batch.shape
    if channels == 3:
        return Preprocessing(size=(height, width), channels=channels, mean=MEAN, std=STD)
    return Preprocessing(
        size=(height, width), channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels
    )


def _stretched(image: Tensor) -> NDArray[np.uint8]:
    """A preprocessed image (c, h, w) as a picture, from its lowest to its highest value."""
    values = image.detach().float().cpu().numpy()
    values = values[:3] if len(values) >= 3 else values[:1]
    low, high = float(values.min()), float(values.max())
    levels = (values - low) * (255.0 / (high - low if high > low else 1.0))
    return np.ascontiguousarray(np.moveaxis(np.rint(levels), 0, -1).astype(np.uint8))


def _with_channels(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (h, w[, c]) as (h, w, 1 or 3). InputError for another shape or dtype."""
    pixels = picture[:, :, None] if picture.ndim == 2 else picture
    right = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (1, 3)
    if not right or not pixels.size:
        raise InputError(
            f"a picture is {picture.dtype} {picture.shape}: it must be uint8, (h, w) or (h, w, 1 "
            "or 3)"
        )
    return np.ascontiguousarray(pixels)


def covered(picture: NDArray[np.uint8], vit: VitPass) -> NDArray[np.uint8]:
    """The part of a picture that patches lie on: strides rounded down leave an edge out."""
    _, _, height, width = vit.batch.shape
    return patched_part(picture, (height, width), vit.grid, vit.patch)

"""A few images as a model's input: one batch, with the pictures for figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.errors import CaseError, InputError
from fastcam.models.data_config import preprocessing_of
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.model_input import prepare
from fastcam.read.inputs.preprocessing import Fit, Preprocessing, input_picture


def resolve_preprocessing(
    model: nn.Module,
    image_size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit | None = None,
) -> Preprocessing:
    """The model's own preprocessing, but for what is given here.

    ``image_size`` in pixels, one side or (h, w) or (d, h, w); ``mean`` and ``std`` a number for
    each channel of pixels from 0 to 1. Raises InputError where they don't fit the model.
    """
    own = preprocessing_of(model, image_size)
    return replace(
        own,
        mean=own.mean if mean is None else tuple(mean),
        std=own.std if std is None else tuple(std),
        fit=fit or own.fit,
    )


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images to explain.

    - ``batch`` (n, c, *size) float32, preprocessed
    - ``names``: n file names, or "image 0" and so on
    - ``pictures``: n arrays (h, w, c) uint8, RGB or grey, for figures
    """

    batch: Tensor
    names: tuple[str, ...]
    pictures: list[NDArray[np.uint8]]


def load_images(images: Any, preprocessing: Preprocessing) -> ImageBatch:
    """Images as one batch: a tensor already preprocessed, or paths, PIL images, arrays.

    Arrays are (h, w) or (h, w, c) uint8. Raises InputError for anything else, and for a file that
    can't be read.
    """
    if isinstance(images, torch.Tensor):
        return _of_tensor(images, preprocessing)
    if isinstance(images, str | Path) or hasattr(images, "convert") or _is_picture(images):
        images = [images]
    if not isinstance(images, Sequence) or not len(images):
        raise InputError(
            f"images is {type(images).__name__}: give a tensor (n, c, h, w), or a list of paths, "
            "PIL images or uint8 arrays"
        )
    return _of_list(images, preprocessing)


def _of_tensor(images: Tensor, preprocessing: Preprocessing) -> ImageBatch:
    if images.ndim == len(preprocessing.size) + 1:
        images = images[None]
    if images.ndim not in (4, 5) or not images.is_floating_point() or not len(images):
        raise InputError(
            f"images has shape {tuple(images.shape)} and dtype {images.dtype}: it must be float, "
            "(n, c, h, w) or (n, c, d, h, w), preprocessed as the model wants it"
        )
    names = tuple(f"image {index}" for index in range(len(images)))
    return ImageBatch(images, names, [_picture_of(image, preprocessing) for image in images])


def _of_list(images: Sequence[Any], preprocessing: Preprocessing) -> ImageBatch:
    pairs = []
    for index, image in enumerate(images):
        try:
            pairs.append(_prepare(image, index, preprocessing))
        except CaseError as error:
            raise InputError(str(error)) from error
    names = tuple(
        Path(image).name if isinstance(image, str | Path) else f"image {index}"
        for index, image in enumerate(images)
    )
    return collate(pairs, names)


# One image as the model's input (c, *size) and as a picture (h, w, c).
InputPicture = tuple[NDArray[np.float32], NDArray[np.uint8]]


def read_each(
    paths: Sequence[Path], preprocessing: Preprocessing
) -> tuple[dict[int, InputPicture], dict[int, str]]:
    """By index the files that can be read, each as the model's input (c, *size) and as a picture,
    and the reasons why the others can't."""
    pairs, reasons = {}, {}
    for index, path in enumerate(paths):
        try:
            pairs[index] = _prepare(path, index, preprocessing)
        except CaseError as error:
            reasons[index] = str(error)
    return pairs, reasons


def _prepare(image: Any, index: int, preprocessing: Preprocessing) -> InputPicture:
    """One image as the model's input and as a picture; CaseError where it can't be read."""
    file = isinstance(image, str | Path)
    pixels = read_image(Path(image)) if file else pixels_of(image, index)
    return prepare(pixels, preprocessing), input_picture(pixels, preprocessing)


def collate(pairs: Sequence[InputPicture], names: tuple[str, ...]) -> ImageBatch:
    """Images called ``names``, each as input and picture, as one batch."""
    batch = torch.stack([torch.from_numpy(values) for values, _ in pairs])
    return ImageBatch(batch, names, [picture for _, picture in pairs])


def _is_picture(image: Any) -> bool:
    return isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3)


def pixels_of(image: Any, index: int) -> NDArray[np.uint8]:
    """A PIL image or array as (h, w, c) uint8."""
    if hasattr(image, "convert"):
        mode = "L" if image.mode in ("1", "L") else "RGB"
        image = np.asarray(image.convert(mode))
    if not _is_picture(image):
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise InputError(f"images[{index}] is {what}: give a path, a PIL image or a uint8 array")
    return np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])


def _picture_of(image: Tensor, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """A preprocessed (c, [d,] h, w) tensor as a picture: the middle slice of a volume."""
    plain = image.detach().float().cpu().numpy()
    if plain.ndim == 4:
        plain = plain[:, plain.shape[1] // 2]
    if len(plain) == len(preprocessing.mean) == 3:
        plain = plain * np.reshape(preprocessing.std, (3, 1, 1)) + np.reshape(
            preprocessing.mean, (3, 1, 1)
        )
        levels = plain * 255.0
    else:
        plain = plain[:3] if len(plain) >= 3 else plain[:1]
        low, high = float(plain.min()), float(plain.max())
        levels = (plain - low) * (255.0 / (high - low if high > low else 1.0))
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(rounded, 0, -1))

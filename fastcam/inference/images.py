"""What a few images are as a model's input: one batch, with the pictures for figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fastcam.read.inputs.preprocess import Fit, Preprocessing


def resolve_preprocessing(
    model: nn.Module,
    image_size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit | None = None,
) -> Preprocessing:
    """The model's own preprocessing with what is given in its place."""
    from fastcam.models.preprocessing import preprocessing_of

    spec = preprocessing_of(model, image_size)
    return replace(
        spec,
        mean=spec.mean if mean is None else tuple(mean),
        std=spec.std if std is None else tuple(std),
        fit=fit or spec.fit,
    )


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """What is explained: ``batch`` (n, c, *size) float32, with names and pictures for figures."""

    batch: Tensor
    names: tuple[str, ...]
    pictures: list[NDArray[np.uint8]]


def load_images(images: Any, spec: Preprocessing) -> ImageBatch:
    """Images as one batch: a tensor already preprocessed, or paths, PIL images, arrays.

    Arrays are (h, w) or (h, w, c) uint8. Raises InputError for anything else, and for a file that
    can't be read.
    """
    import torch

    if isinstance(images, torch.Tensor):
        return _of_tensor(images, spec)
    if isinstance(images, str | Path) or hasattr(images, "convert") or _is_picture(images):
        images = [images]
    if not isinstance(images, Sequence) or not len(images):
        raise InputError(
            f"images is {type(images).__name__}: give a tensor (n, c, h, w), or a list of paths, "
            "PIL images or uint8 arrays"
        )
    return _of_list(images, spec)


def _of_tensor(images: Tensor, spec: Preprocessing) -> ImageBatch:
    if images.ndim == len(spec.size) + 1:
        images = images[None]
    if images.ndim not in (4, 5) or not images.is_floating_point() or not len(images):
        raise InputError(
            f"images has shape {tuple(images.shape)} and dtype {images.dtype}: it must be float, "
            "(n, c, h, w) or (n, c, d, h, w), preprocessed as the model wants it"
        )
    names = tuple(f"image {index}" for index in range(len(images)))
    return ImageBatch(images, names, [_displayed(image, spec) for image in images])


def _of_list(images: Sequence[Any], spec: Preprocessing) -> ImageBatch:
    read = []
    for index, image in enumerate(images):
        try:
            read.append(_prepared(image, index, spec))
        except CaseError as error:
            raise InputError(str(error)) from error
    names = tuple(
        Path(image).name if isinstance(image, str | Path) else f"image {index}"
        for index, image in enumerate(images)
    )
    return collate(read, names)


Read = tuple[NDArray[np.float32], NDArray[np.uint8]]


def read_each(paths: Sequence[Path], spec: Preprocessing) -> tuple[dict[int, Read], dict[int, str]]:
    """By place the files that can be read, each as the model's input (c, *size) and as a picture,
    and the reasons why the others can't."""
    read, failed = {}, {}
    for index, path in enumerate(paths):
        try:
            read[index] = _prepared(path, index, spec)
        except CaseError as error:
            failed[index] = str(error)
    return read, failed


def _prepared(image: Any, index: int, spec: Preprocessing) -> Read:
    """One image as the model's input and as a picture; CaseError where it can't be read."""
    from fastcam.read.inputs.images import read_image
    from fastcam.read.inputs.preprocess import prepare, seen

    file = isinstance(image, str | Path)
    pixels = read_image(Path(image)) if file else pixels_of(image, index)
    return prepare(pixels, spec), seen(pixels, spec)


def collate(read: Sequence[Read], names: tuple[str, ...]) -> ImageBatch:
    """What was read of images called ``names``, as one batch."""
    import torch

    batch = torch.stack([torch.from_numpy(values) for values, _ in read])
    return ImageBatch(batch, names, [picture for _, picture in read])


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


def _displayed(image: Tensor, spec: Preprocessing) -> NDArray[np.uint8]:
    """A preprocessed (c, [d,] h, w) tensor as a picture: the middle slice of a volume."""
    plain = image.detach().float().cpu().numpy()
    if plain.ndim == 4:
        plain = plain[:, plain.shape[1] // 2]
    if len(plain) == len(spec.mean) == 3:
        plain = plain * np.reshape(spec.std, (3, 1, 1)) + np.reshape(spec.mean, (3, 1, 1))
        levels = plain * 255.0
    else:
        plain = plain[:3] if len(plain) >= 3 else plain[:1]
        low, high = float(plain.min()), float(plain.max())
        levels = (plain - low) * (255.0 / (high - low if high > low else 1.0))
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(rounded, 0, -1))

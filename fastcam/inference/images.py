"""A few images, or slices of volumes, as a model's input, with the pictures for figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.layer_names import unwrapped
from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.errors import CaseError, InputError
from fastcam.figures.picture_display import PictureDisplay
from fastcam.figures.slice_facts import NO_FACTS, SliceFacts
from fastcam.figures.slice_geometry import pixel_aspect, slice_geometry
from fastcam.models.data_config import by_channel, preprocessing_of
from fastcam.options import Axes
from fastcam.read.constant_images import constant_input_warning
from fastcam.read.inputs.grey_levels import grey_picture
from fastcam.read.inputs.images import is_picture_array, pixels_of, read_image
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.model_input import prepare, prepare_planes
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.preprocessing import Fit, Preprocessing, input_picture
from fastcam.read.inputs.slice_images import slice_grid, slice_warnings
from fastcam.read.inputs.slicing import SliceTable, Slicing, unknown_slices
from fastcam.read.inputs.volume_input import open_input, volume_input
from fastcam.read.inputs.volume_slices import VolumeChoice, open_slices
from fastcam.read.volumes.orientation import IDENTITY, Orientation, for_display, left_side
from fastcam.read.volumes.voxels import Volume, check_even
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath

_PATH = str | Path | ObjectPath


def resolve_preprocessing(
    model: nn.Module,
    image_size: int | Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    fit: Fit | None = None,
) -> Preprocessing:
    """The model's own preprocessing, but for what is given here.

    ``image_size`` in pixels, one side or (h, w) or (d, h, w); ``mean`` and ``std`` a number for
    each channel of pixels from 0 to 1, of one channel also the number itself. Raises InputError
    where they don't fit the model.
    """
    own = preprocessing_of(unwrapped(model), image_size)
    return replace(
        own,
        mean=own.mean if mean is None else by_channel("mean", mean),
        std=own.std if std is None else by_channel("std", std),
        fit=fit or own.fit,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageBatch:
    """Images to explain.

    - ``batch`` (n, c, *size) float32, preprocessed
    - ``names``: n file names, or "image 0" and so on
    - ``pictures``: n arrays (h, w, c) uint8, RGB or grey, for figures
    - ``inputs``, ``packed``: of a model with several inputs what they are, and how they lie in the
      batch
    - ``input_pictures``: by name of an input that is images its pictures
    - ``input_displays``: how figures show each of these
    - ``displays``: how figures turn each of ``pictures``; empty: not at all
    - ``left_sides``: the letter of the patient's side at the left edge of each picture as it is
      shown, empty where it isn't known; no letters at all: empty
    - ``facts``: what else is known of each of them as a slice; empty: nothing
    """

    batch: Tensor
    names: tuple[str, ...]
    pictures: list[NDArray[np.uint8]]
    inputs: tuple[ModelInput, ...] = ()
    packed: PackedInputs | None = None
    input_pictures: Mapping[str, list[NDArray[np.uint8]]] = field(default_factory=dict)
    input_displays: Mapping[str, tuple[PictureDisplay, ...]] = field(default_factory=dict)
    displays: tuple[Orientation, ...] = ()
    left_sides: tuple[str, ...] = ()
    facts: tuple[SliceFacts, ...] = ()


def load_images(
    images: Any, preprocessing: Preprocessing, view: VolumeView | None = None
) -> ImageBatch:
    """Images as one batch: a tensor already preprocessed, or paths, PIL images, arrays.

    ``view`` is for paths of volumes. Arrays are (h, w) or (h, w, c) uint8. Raises InputError for
    anything else, and for a file that can't be read.
    """
    if isinstance(images, torch.Tensor):
        return _of_tensor(images, preprocessing)
    if isinstance(images, _PATH) or hasattr(images, "convert") or is_picture_array(images):
        images = [images]
    if not isinstance(images, Sequence) or not len(images):
        empty = "empty" if isinstance(images, Sequence) else type(images).__name__
        raise InputError(
            f"images is {empty}: give a tensor (n, c, h, w), or a list of paths, "
            "PIL images or uint8 arrays"
        )
    return _of_list(images, preprocessing, view)


def _of_tensor(images: Tensor, preprocessing: Preprocessing) -> ImageBatch:
    _check_levels(preprocessing)
    if images.ndim == len(preprocessing.size) + 1:
        images = images[None]
    if images.ndim not in (4, 5) or not images.is_floating_point() or not len(images):
        raise InputError(
            f"images has shape {tuple(images.shape)} and dtype {images.dtype}: it must be float, "
            "(n, c, h, w) or (n, c, d, h, w), preprocessed as the model wants it"
        )
    names = tuple(f"image {index}" for index in range(len(images)))
    finite = images.isfinite().flatten(1).all(1)
    if not bool(finite.all()):
        raise InputError(
            f"images[{int(finite.int().argmin())}] holds NaN or infinite values: replace them"
        )
    return ImageBatch(
        batch=images, names=names, pictures=[_picture_of(image, preprocessing) for image in images]
    )


def _of_list(
    images: Sequence[Any], preprocessing: Preprocessing, view: VolumeView | None
) -> ImageBatch:
    pairs = []
    for index, image in enumerate(images):
        try:
            pairs.append(_prepare(image, index, preprocessing, view))
        except CaseError as error:
            raise InputError(str(error)) from error
    names = tuple(
        as_path(image).name if isinstance(image, _PATH) else f"image {index}"
        for index, image in enumerate(images)
    )
    return collate(pairs, names)


@dataclass(frozen=True)
class VolumeView:
    """What is read and shown of volumes.

    - ``axes``: the order of a NumPy file's axes
    - ``volume``: number or name of a volume where a file or folder has several
    - ``show_channel``: of several channels the one that is shown, from 1; None: the first
    """

    axes: Axes = "zyx"
    volume: str | None = None
    show_channel: int | None = None


class InputPicture(NamedTuple):
    """One image as the model's input (c, *size) and as a picture (h, w, c), which figures turn;
    ``left_side`` is the letter of the patient's side at the left edge then, where it is known,
    ``facts`` what else is known of a slice, ``warnings`` what is odd about the file."""

    values: NDArray[np.float32]
    picture: NDArray[np.uint8]
    display: Orientation = IDENTITY
    left_side: str = ""
    facts: SliceFacts = NO_FACTS
    warnings: tuple[str, ...] = ()


def read_each(
    paths: Sequence[Path], preprocessing: Preprocessing, view: VolumeView | None = None
) -> tuple[dict[int, InputPicture], dict[int, str]]:
    """By index the files that can be read, each as the model's input (c, *size) and as a picture,
    and the reasons why the others can't. ``view`` is for volumes, which are shown by their middle
    slice."""
    pairs, reasons = {}, {}
    for index, path in enumerate(paths):
        try:
            pairs[index] = _prepare(path, index, preprocessing, view)
        except CaseError as error:
            reasons[index] = str(error)
    return pairs, reasons


def _prepare(
    image: Any, index: int, preprocessing: Preprocessing, view: VolumeView | None = None
) -> InputPicture:
    """One image as the model's input and as a picture; CaseError where it can't be read."""
    if not isinstance(image, _PATH):
        _check_levels(preprocessing)
        pixels = pixels_of(image, index)
        return InputPicture(prepare(pixels, preprocessing), input_picture(pixels, preprocessing))
    path = as_path(image)
    if len(preprocessing.size) == 3:
        return _prepare_volume(path, preprocessing, view or VolumeView())
    pixels = read_image(path, preprocessing.grey)
    affine = slice_grid(path, (1, *pixels.shape[:2])).affine
    display = for_display(affine)
    values = prepare(pixels, preprocessing)
    return InputPicture(
        values,
        input_picture(pixels, preprocessing),
        display,
        left_side(affine, display),
        SliceFacts(pixel_aspect=pixel_aspect(affine, display)),
        (*slice_warnings(path, preprocessing.grey), *constant_input_warning(path, values)),
    )


def _prepare_volume(path: Path, preprocessing: Preprocessing, view: VolumeView) -> InputPicture:
    volumes = open_input(path, preprocessing, view.axes, view.volume)
    check_even(volumes[0].uneven, path, "a 3-D model")
    number = view.show_channel or 1
    if number > len(volumes):
        channels = "channel" if len(volumes) == 1 else "channels"
        raise CaseError(f"{path}: --show-channel {number}: there are {len(volumes)} {channels}")
    channel = volumes[number - 1]
    middle = channel.voxels[len(channel.voxels) // 2]
    grey = grey_picture(middle, preprocessing.grey.window(channel))
    picture = np.rint(grey).astype(np.uint8)[:, :, None]
    display = for_display(channel.affine)
    return InputPicture(
        volume_input(volumes, preprocessing),
        picture,
        display,
        left_side(channel.affine, display),
        _facts(channel, display, preprocessing, len(channel.voxels) // 2),
        tuple(dict.fromkeys(text for one in volumes for text in one.warnings)),
    )


def _facts(
    volume: Volume, display: Orientation, preprocessing: Preprocessing, index: int
) -> SliceFacts:
    """What figures say of slice ``index`` of a volume."""
    window = preprocessing.grey.window(volume)
    return slice_geometry(volume, display, window, len(volume.voxels)).of(index, index)


def collate(pairs: Sequence[InputPicture], names: tuple[str, ...]) -> ImageBatch:
    """Images called ``names``, each as input and picture, as one batch."""
    batch = torch.stack([torch.from_numpy(pair.values) for pair in pairs])
    return ImageBatch(
        batch=batch,
        names=names,
        pictures=[pair.picture for pair in pairs],
        displays=tuple(pair.display for pair in pairs),
        left_sides=tuple(pair.left_side for pair in pairs),
        facts=tuple(pair.facts for pair in pairs),
    )


def _check_levels(preprocessing: Preprocessing) -> None:
    if preprocessing.grey.settings:
        raise InputError(
            "window_level and percentiles are for files; window the images first, or give paths"
        )


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


def slice_items(items: Sequence[Item], table: SliceTable) -> list[Item]:
    """An item for each row of ``table``: ``<id>_slice042``, the slice as its figures call it."""
    return [
        replace(items[case], id=f"{items[case].id}_slice{max(0, index):03d}")
        for case, index in zip(table.cases.tolist(), table.index.tolist(), strict=True)
    ]


def read_slices(
    items: Sequence[Item],
    table: SliceTable,
    slicing: Slicing,
    preprocessing: Preprocessing,
    view: VolumeView,
) -> tuple[dict[int, InputPicture], dict[int, str]]:
    """By row of ``table`` the slices that can be read, and the reasons why the others can't.

    ``items`` are the volumes; each is decoded once.
    """
    pictures: dict[int, InputPicture] = {}
    reasons: dict[int, str] = {}
    for case, item in enumerate(items):
        rows = table.rows(case)
        try:
            pictures |= _read_case(item, case, table, slicing, preprocessing, view)
        except CaseError as error:
            reasons |= dict.fromkeys(rows, str(error))
    return pictures, reasons


def _read_case(
    item: Item,
    case: int,
    table: SliceTable,
    slicing: Slicing,
    preprocessing: Preprocessing,
    view: VolumeView,
) -> dict[int, InputPicture]:
    rows, axis = table.rows(case), int(table.axis[case])
    if table.index[rows.start] < 0:
        raise unknown_slices(item.source, slicing, view.axes, view.volume)
    choice = VolumeChoice(view.axes, view.volume)
    volume = open_slices(item.source, axis, slicing, preprocessing, choice)
    affine = volume.volume.affine
    display = for_display(affine)
    pictures = {}
    for row in rows:
        index = int(table.index[row])
        pictures[row] = InputPicture(
            prepare_planes(volume.planes(index), preprocessing),
            volume.picture(index, (view.show_channel or 1) - 1),
            display,
            left_side(affine, display),
            _facts(volume.volume, display, preprocessing, index),
            volume.warnings if row == rows.start else (),
        )
    return pictures

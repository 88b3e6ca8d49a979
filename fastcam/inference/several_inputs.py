"""A few cases of a model with several inputs, in memory: images and numbers as one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.errors import InputError
from fastcam.figures.picture_display import PictureDisplay
from fastcam.inference.images import ImageBatch, collate, load_images, read_each
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.named_inputs import ModelInput, main_image
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.storage.locations import is_path


def load_inputs(values: Mapping[str, Any], preprocessing: Preprocessing) -> ImageBatch:
    """What goes into each argument of a model's ``forward``, by its name, as one batch.

    Images as :func:`load_images` takes them, or n numbers: a list, an array or a tensor (n,). The
    batch is called after the first that are images. InputError where they are not equally many, or
    images, as tensors, not of one shape, and where none are images.
    """
    numbers = {name: _numbers(value) for name, value in values.items()}
    images = {
        name: load_images(value, preprocessing)
        for name, value in values.items()
        if numbers[name] is None
    }
    if not images:
        raise InputError(f"{', '.join(values)} are numbers; one of a model's inputs must be images")
    lengths = {name: len(batch.batch) for name, batch in images.items()}
    lengths |= {name: len(row) for name, row in numbers.items() if row is not None}
    if len(set(lengths.values())) > 1:
        texts = (f"{count} of {name}" for name, count in lengths.items())
        raise InputError(f"inputs must be equally many, and there are {', '.join(texts)}")
    shapes = {tuple(batch.batch.shape) for batch in images.values()}
    if len(shapes) > 1:
        raise InputError(f"images that go in together must have one shape, not {shapes}")
    inputs = tuple(
        ModelInput(name, name, "image" if numbers[name] is None else "number") for name in values
    )
    plain = {name: row for name, row in numbers.items() if row is not None}
    return _packed(inputs, images, plain)


def read_inputs_each(
    items: Sequence[Item], inputs: Sequence[ModelInput], preprocessing: Preprocessing
) -> tuple[list[int], ImageBatch | None, dict[int, str]]:
    """The numbers of the items all of whose inputs can be read, these as one batch, and the reasons
    why the others can't."""
    reasons: dict[int, str] = {}
    read = {}
    for index, entry in enumerate(inputs):
        column = [item.inputs[index] for item in items]
        reasons |= {n: value for n, value in enumerate(column) if isinstance(value, str)}
        if entry.kind == "image":
            files = [value for value in column if is_path(value)]
            read[entry.name], unread = read_each(files, preprocessing)
            reasons |= {
                n: why if str(files[n]) in why else f"{files[n]}: {why}"
                for n, why in unread.items()
            }
    good = [number for number in range(len(items)) if number not in reasons]
    if not good:
        return [], None, reasons
    names = tuple(items[number].id for number in good)
    images = {name: collate([pairs[n] for n in good], names) for name, pairs in read.items()}
    numbers = {
        entry.name: [float(str(items[n].inputs[index])) for n in good]
        for index, entry in enumerate(inputs)
        if entry.kind == "number"
    }
    return good, _packed(inputs, images, numbers), reasons


def _packed(
    inputs: Sequence[ModelInput],
    images: Mapping[str, ImageBatch],
    numbers: Mapping[str, Sequence[float]],
) -> ImageBatch:
    main = images[inputs[main_image(inputs)].name]
    packed = PackedInputs.of(inputs, main.batch.shape[1])
    rows = [
        packed.pack(
            [images[name].batch[row].float() for name in packed.images],
            [numbers[name][row] for name in packed.numbers],
        )
        for row in range(len(main.batch))
    ]
    pictures = {name: batch.pictures for name, batch in images.items()}
    displays = {
        name: tuple(map(PictureDisplay, batch.displays, batch.left_sides, batch.facts))
        for name, batch in images.items()
    }
    return replace(
        main,
        batch=torch.stack(rows),
        inputs=tuple(inputs),
        packed=packed,
        input_pictures=pictures,
        input_displays=displays,
        displays=(),
        left_sides=(),
        facts=(),
    )


def _numbers(value: Any) -> list[float] | None:
    """``value`` as numbers, one an image; None for what is no list of numbers."""
    if isinstance(value, Tensor):
        return [float(v) for v in value.tolist()] if value.ndim == 1 else None
    plain: NDArray[Any]
    if isinstance(value, np.ndarray):
        plain = value
    elif isinstance(value, Sequence) and all(isinstance(v, int | float | np.number) for v in value):
        plain = np.array(value)
    else:
        return None
    if plain.ndim != 1 or not np.issubdtype(plain.dtype, np.number):
        return None
    if not np.isfinite(plain.astype(float)).all():
        raise InputError("numbers that go into a model must be finite")
    return [float(v) for v in plain]

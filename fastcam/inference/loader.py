"""Images and volumes as the model wants them, read ahead by a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.errors import CaseError, LostStoreError
from fastcam.inference.device import batch_on, stacked
from fastcam.inference.input_levels import values_of
from fastcam.inference.readers import await_turn, read_ahead
from fastcam.options import Axes
from fastcam.read.constant_images import constant_input_warning
from fastcam.read.inputs.images import decode_image
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.model_input import prepare_levels, prepare_mask
from fastcam.read.inputs.named_inputs import InputValue
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.inputs.slice_images import slice_warnings
from fastcam.read.inputs.volume_input import open_input, volume_input
from fastcam.read.volumes.geometry import Grid
from fastcam.read.volumes.masks import open_mask
from fastcam.read.volumes.sources import is_picture
from fastcam.read.volumes.voxels import check_even
from fastcam.storage.fetched_ahead import contents_ahead, fetched_ahead
from fastcam.storage.locations import is_path
from fastcam.storage.object_path import ObjectPath

_UNKNOWN = np.full((4, 4), np.nan)
# Batches that a reader may be ahead.
_AHEAD = 2


@dataclass(frozen=True, eq=False)
class LoadedInput:
    """One image or volume as the model takes it.

    - ``index``: 0-based, among the run's inputs
    - ``tensor`` (c, *size) float32, preprocessed; with ``tables`` (1 or c, h, w) uint8, before it
      is normalized; None where it can't be read
    - ``reason``: why there is no tensor, empty where there is one
    - ``shape``: the source's (z, y, x) in pixels, with z = 1 for an image; (0, 0, 0) without tensor
    - ``affine`` (4, 4), from a volume's (x, y, z) indices to mm; NaN where unknown
    - ``warnings``: what is odd about an image or volume that was read
    - ``mask`` (*size) bool, the mask at the size of the model's input; None where it isn't read, or
      there is none
    - ``tables`` (c, 256) float32: what the model takes for each level of ``tensor``, where that is
      of 8 bits; one plane of it is of every channel
    """

    index: int
    tensor: Tensor | None
    reason: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    warnings: tuple[str, ...] = ()
    mask: Tensor | None = None
    tables: NDArray[np.float32] | None = None

    @property
    def values(self) -> Tensor:
        """(c, *size) float32, preprocessed."""
        assert self.tensor is not None
        return self.tensor if self.tables is None else values_of(self.tensor, self.tables)


class InputBatches(Protocol):
    """What a model is run on, a row each, batch by batch.

    - ``unit``: what a row is, in the plural
    """

    unit: str

    def batches(
        self, batches: Sequence[range], readers: int, in_turns: bool = False
    ) -> Iterator[list[LoadedInput]]:
        """The inputs of each batch of rows, in order, read by ``readers`` processes (0: by the
        caller); ``in_turns``: not while the caller needs the cores."""


class Inputs(Dataset[LoadedInput]):
    """Items by their index; what can't be read is a reason, not an exception."""

    unit = "images"

    def __init__(
        self,
        items: Sequence[Item] | Mapping[int, Item],
        preprocessing: Preprocessing,
        axes: Axes = "zyx",
        packed: PackedInputs | None = None,
        volume: str | None = None,
        with_masks: bool = False,
    ) -> None:
        self._items = items
        self._with_masks = with_masks
        self._preprocessing = preprocessing
        self._axes: Axes = axes
        self._packed = packed
        self._volume_name = volume

    def __len__(self) -> int:
        return len(self._items)

    def __getitems__(self, indices: Sequence[int]) -> list[LoadedInput]:
        """Those of a batch, as PyTorch's loader asks for them."""
        files = [path for index in indices for path in self._files(index)]
        # A picture is decoded from its content alone.
        with (
            contents_ahead(path for path in files if is_picture(path)),
            fetched_ahead(path for path in files if not is_picture(path)),
        ):
            return [self[index] for index in indices]

    def _files(self, index: int) -> list[Path]:
        item = self._items[index]
        files = (item.source, item.mask if self._with_masks else None, *item.inputs)
        return [file for file in files if is_path(file)]

    def __getitem__(self, index: int) -> LoadedInput:
        await_turn()
        item = self._items[index]
        try:
            if self._packed is None:
                return self._with_mask(self._load(index, item.source), item)
            return self._several(index, item.inputs, self._packed)
        except CaseError as error:
            return LoadedInput(index, None, str(error), (0, 0, 0), _UNKNOWN)

    def _with_mask(self, entry: LoadedInput, item: Item) -> LoadedInput:
        """``entry`` with its mask, where masks are read; CaseError where it can't be."""
        if not self._with_masks or item.mask is None:
            return entry
        affine = entry.affine if np.isfinite(entry.affine).all() else None
        mask = open_mask(item.mask, Grid(entry.shape, affine), self._axes)
        inside = prepare_mask(mask.inside, entry.shape, self._preprocessing)
        return replace(
            entry, mask=torch.from_numpy(inside), warnings=(*entry.warnings, *mask.warnings)
        )

    def _load(self, index: int, path: Path) -> LoadedInput:
        """The image or volume at ``path``; CaseError for whatever it fails by."""
        try:
            return self._decode(index, path)
        except (CaseError, LostStoreError):
            raise
        except OSError as error:
            raise CaseError(f"{path}: can't be read: {error.strerror or error}") from error
        except Exception as error:
            # A decoder's own exception costs one image, and is listed.
            raise CaseError(f"{path}: unexpected {type(error).__name__}: {error}") from error

    def _decode(self, index: int, path: Path) -> LoadedInput:
        if len(self._preprocessing.size) == 3:
            return self._volume(index, path)
        image = decode_image(path, self._preprocessing.grey)
        pixels, tables = prepare_levels(image, self._preprocessing)
        if isinstance(image, np.ndarray):
            height, width = image.shape[:2]
        else:
            width, height = image.size
        said = slice_warnings(path, self._preprocessing.grey)
        warnings = (*said, *constant_input_warning(path, pixels))
        tensor, shape = torch.from_numpy(pixels), (1, height, width)
        return LoadedInput(index, tensor, "", shape, _UNKNOWN, warnings, tables=tables)

    def _several(
        self, index: int, values: Sequence[InputValue], packed: PackedInputs
    ) -> LoadedInput:
        """The inputs of one row as one tensor, with shape and affine of the first image."""
        reason = next((value for value in values if isinstance(value, str)), None)
        if reason is not None:
            raise CaseError(reason)
        loaded = [self._load_named(index, value) for value in values if is_path(value)]
        numbers = [value for value in values if isinstance(value, float)]
        tensor = packed.pack([entry.values for entry in loaded], numbers)
        warnings = tuple(text for entry in loaded for text in entry.warnings)
        return replace(loaded[0], tensor=tensor, warnings=warnings, tables=None)

    def _load_named(self, index: int, path: Path) -> LoadedInput:
        """One of several images; what is wrong with it names its file."""
        try:
            return self._load(index, path)
        except CaseError as error:
            text = str(error)
            raise CaseError(text if str(path) in text else f"{path}: {text}") from error

    def _volume(self, index: int, path: Path) -> LoadedInput:
        volumes = open_input(path, self._preprocessing, self._axes, self._volume_name)
        volume = volumes[0]
        check_even(volume.uneven, path, "a 3-D model")
        voxels = volume_input(volumes, self._preprocessing)
        affine = _UNKNOWN if volume.affine is None else volume.affine
        depth, height, width = volume.voxels.shape
        shape = depth, height, width
        warnings = tuple(dict.fromkeys(text for one in volumes for text in one.warnings))
        return LoadedInput(index, torch.from_numpy(voxels), "", shape, affine, warnings)

    def batches(
        self, batches: Sequence[range], readers: int, in_turns: bool = False
    ) -> Iterator[list[LoadedInput]]:
        """As :class:`InputBatches` has it."""
        if readers and batches:
            self._load_readers_code(batches[0][0])
        numbers = [list(batch) for batch in batches]
        loader = read_ahead(
            self, readers, _AHEAD, in_turns, batch_sampler=numbers, collate_fn=_packed
        )
        return map(_unpacked, loader)

    def _load_readers_code(self, index: int) -> None:
        """Read a local image, so that readers find the modules and the machine code loaded that
        they need: 0.5 s of CPU time in each of them."""
        if len(self._preprocessing.size) == 2 and not any(
            isinstance(file, ObjectPath) for file in self._files(index)
        ):
            _ = self[index]


def _packed(inputs: list[LoadedInput]) -> tuple[list[LoadedInput], Tensor | None]:
    """The inputs of a batch without their tensors, and these as one, as a reader hands them over.

    Each tensor travels in shared memory of its own, by a socket and a descriptor: sixteen of
    (3, 224, 224) as one are a quarter more images a second where the model costs nothing.
    """
    tensors = [entry.tensor for entry in inputs if entry.tensor is not None]
    if len({(tensor.shape, tensor.dtype) for tensor in tensors}) != 1:
        return inputs, None
    return [replace(e, tensor=None) for e in inputs], stacked(tensors)


def _unpacked(batch: tuple[list[LoadedInput], Tensor | None]) -> list[LoadedInput]:
    inputs, tensor = batch
    if tensor is None:
        return inputs
    rows = iter(tensor)
    return [entry if entry.reason else replace(entry, tensor=next(rows)) for entry in inputs]


def stack_inputs(inputs: Sequence[LoadedInput], device: torch.device) -> Tensor:
    """What a batch is to the model: (n, c, *size) float32 on the device, channels last where it is
    images."""
    read = [entry for entry in inputs if entry.tensor is not None]
    tensors = [entry.tensor for entry in read if entry.tensor is not None]
    tables = read[0].tables
    kinds = {(tensor.shape, tensor.dtype) for tensor in tensors}
    if tables is None or len(kinds) != 1:
        return batch_on(device, _as_one([entry.values for entry in read]))
    # Levels travel to the device, a quarter of the bytes of the values.
    return values_of(batch_on(device, _as_one(tensors)), tables)


def _as_one(tensors: Sequence[Tensor]) -> Tensor | Sequence[Tensor]:
    """The tensor of which ``tensors`` are the rows, as a reader stacked them; else themselves."""
    whole = tensors[0]._base
    if whole is None or whole.shape != (len(tensors), *tensors[0].shape):
        return tensors
    offsets = [number * whole.stride(0) for number in range(len(tensors))]
    if [tensor.storage_offset() for tensor in tensors] != offsets:
        return tensors
    return whole if all(tensor._base is whole for tensor in tensors) else tensors

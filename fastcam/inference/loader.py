"""Images and volumes as the model wants them, read ahead by a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fastcam.errors import CaseError
from fastcam.options import Axes
from fastcam.read.inputs.images import decode_image
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.model_input import prepare, prepare_volume
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.volumes.volumes import open_volume

_UNKNOWN = np.full((4, 4), np.nan)


@dataclass(frozen=True, eq=False)
class LoadedInput:
    """One image or volume as the model takes it.

    - ``index``: 0-based, among the run's inputs
    - ``tensor`` (c, *size) float32, preprocessed; None where it can't be read
    - ``reason``: why there is no tensor, empty where there is one
    - ``shape``: the source's (z, y, x) in pixels, with z = 1 for an image; (0, 0, 0) without tensor
    - ``affine`` (4, 4), from a volume's (x, y, z) indices to mm; NaN where unknown
    """

    index: int
    tensor: Tensor | None
    reason: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]


class Inputs(Dataset[LoadedInput]):
    """Items by their index; what can't be read is a reason, not an exception."""

    def __init__(
        self, items: Sequence[Item], preprocessing: Preprocessing, axes: Axes = "zyx"
    ) -> None:
        self._items = items
        self._preprocessing = preprocessing
        self._axes: Axes = axes

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> LoadedInput:
        path = self._items[index].source
        try:
            if len(self._preprocessing.size) == 3:
                return self._volume(index, path)
            image = decode_image(path)
            pixels = prepare(image, self._preprocessing)
            if isinstance(image, np.ndarray):
                height, width = image.shape[:2]
            else:
                width, height = image.size
            return LoadedInput(index, torch.from_numpy(pixels), "", (1, height, width), _UNKNOWN)
        except CaseError as error:
            reason = str(error)
        except OSError as error:
            reason = f"{path}: can't be read: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001
            # A decoder's own exception costs one image, and is listed.
            reason = f"{path}: unexpected {type(error).__name__}: {error}"
        return LoadedInput(index, None, reason, (0, 0, 0), _UNKNOWN)

    def _volume(self, index: int, path: Path) -> LoadedInput:
        volume = open_volume(path, self._axes)
        voxels = prepare_volume(volume.voxels, volume.window, self._preprocessing)
        affine = _UNKNOWN if volume.affine is None else volume.affine
        depth, height, width = volume.voxels.shape
        return LoadedInput(index, torch.from_numpy(voxels), "", (depth, height, width), affine)


def read_ahead(
    inputs: Inputs, batches: Sequence[range], readers: int, pinned: bool
) -> Iterator[list[LoadedInput]]:
    """The inputs of each batch, in order, read by ``readers`` processes (0: by the caller).

    ``pinned``: into memory from which a GPU copies while it computes.
    """
    loader = DataLoader(
        inputs,
        batch_sampler=[list(batch) for batch in batches],
        num_workers=readers,
        collate_fn=_as_list,
        pin_memory=pinned,
        prefetch_factor=2 if readers else None,
    )
    return cast("Iterator[list[LoadedInput]]", iter(loader))


def _as_list(inputs: list[LoadedInput]) -> Any:
    return inputs


def stack_inputs(inputs: Sequence[LoadedInput], device: torch.device) -> Tensor:
    """The tensors of a batch (n, c, *size) on the device, channels last where they are images."""
    batch = torch.stack([entry.tensor for entry in inputs if entry.tensor is not None])
    batch = batch.to(device, non_blocking=True)
    layout = torch.channels_last if batch.ndim == 4 else torch.channels_last_3d
    return batch.contiguous(memory_format=layout)

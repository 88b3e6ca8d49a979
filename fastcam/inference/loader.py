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
from fastcam.read.inputs.preprocess import Preprocessing, prepare, prepare_volume
from fastcam.read.volumes.volumes import open_volume

_UNKNOWN = np.full((4, 4), np.nan)


@dataclass(frozen=True, eq=False)
class Loaded:
    """One input: its ``tensor`` (c, *size) float32, or the ``reason`` why there is none.

    ``shape`` is the source's (z, y, x), with z = 1 for an image; ``affine`` (4, 4) that of a
    volume's (x, y, z) indices in mm, NaN where unknown.
    """

    index: int
    tensor: Tensor | None
    reason: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]


class Inputs(Dataset[Loaded]):
    """Items by their index; what can't be read is a reason, not an exception."""

    def __init__(self, items: Sequence[Item], spec: Preprocessing, axes: Axes = "zyx") -> None:
        self._items = items
        self._spec = spec
        self._axes: Axes = axes

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Loaded:
        path = self._items[index].source
        try:
            if len(self._spec.size) == 3:
                return self._volume(index, path)
            image = decode_image(path)
            pixels = prepare(image, self._spec)
            if isinstance(image, np.ndarray):
                height, width = image.shape[:2]
            else:
                width, height = image.size
            return Loaded(index, torch.from_numpy(pixels), "", (1, height, width), _UNKNOWN)
        except CaseError as error:
            reason = str(error)
        except OSError as error:
            reason = f"{path}: can't be read: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001
            # A decoder's own exception costs one image, and is listed.
            reason = f"{path}: unexpected {type(error).__name__}: {error}"
        return Loaded(index, None, reason, (0, 0, 0), _UNKNOWN)

    def _volume(self, index: int, path: Path) -> Loaded:
        volume = open_volume(path, self._axes)
        voxels = prepare_volume(volume.voxels, volume.window, self._spec)
        affine = _UNKNOWN if volume.affine is None else volume.affine
        depth, height, width = volume.voxels.shape
        return Loaded(index, torch.from_numpy(voxels), "", (depth, height, width), affine)


def read_ahead(
    inputs: Inputs, batches: Sequence[range], readers: int, pinned: bool
) -> Iterator[list[Loaded]]:
    """The inputs of each batch, in order, read by ``readers`` processes (0: by the caller)."""
    loader = DataLoader(
        inputs,
        batch_sampler=[list(batch) for batch in batches],
        num_workers=readers,
        collate_fn=_together,
        pin_memory=pinned,
        prefetch_factor=2 if readers else None,
    )
    return cast("Iterator[list[Loaded]]", iter(loader))


def _together(loaded: list[Loaded]) -> Any:
    return loaded


def stacked(loaded: Sequence[Loaded], device: torch.device) -> Tensor:
    """The tensors of a batch (n, c, *size) on the device, channels last where they are images."""
    batch = torch.stack([entry.tensor for entry in loaded if entry.tensor is not None])
    batch = batch.to(device, non_blocking=True)
    layout = torch.channels_last if batch.ndim == 4 else torch.channels_last_3d
    return batch.contiguous(memory_format=layout)

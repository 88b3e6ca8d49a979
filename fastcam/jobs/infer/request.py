"""TODO."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.options import Axes
from fastcam.read.inputs.inputs import Item

if TYPE_CHECKING:
    from fastcam.inference.predictions import Task


@dataclass(frozen=True)
class InputChoice:
    """Which images or volumes: ``paths`` are folders, files or lists; see ``find_inputs``.
    ``items``, where they were found already, take the place of all that but ``axes``."""

    paths: tuple[Path, ...]
    pattern: str | None = None
    table: Path | None = None
    mask_dir: Path | None = None
    axes: Axes = "zyx"
    items: tuple[Item, ...] = ()


@dataclass(frozen=True)
class InferenceOptions:
    """How the model runs; ``readers`` None: by the device. ``by_label``: CAMs explain the class
    that an image's label names."""

    device: str = "auto"
    precision: str = "auto"
    compiled: bool | None = None
    batch_size: int = 16
    readers: int | None = None
    task: Task = "auto"
    by_label: bool = False

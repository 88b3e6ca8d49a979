"""What ``fastcam infer`` is asked for: which inputs, which maps, and how the model runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastcam.attribution.request import MapRequest
from fastcam.inference.predictions import Task
from fastcam.options import Axes
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.preprocessing import Preprocessing


@dataclass(frozen=True)
class InputChoice:
    """Which images or volumes are run.

    - ``paths``: folders, files or lists; see :func:`fastcam.read.inputs.inputs.find_inputs`
    - ``pattern``: which files of a folder
    - ``table``: a CSV with images, and maybe their masks and labels
    - ``mask_dir``: folder with masks
    - ``axes``: order of a volume's axes
    - ``items``: where they are known already, in place of all that but ``axes``
    """

    paths: tuple[Path, ...]
    pattern: str | None = None
    table: Path | None = None
    mask_dir: Path | None = None
    axes: Axes = "zyx"
    items: tuple[Item, ...] = ()

    def find_items(self, dims: int) -> list[Item]:
        """The images (``dims`` 2) or volumes (3). InputError where there are none."""
        return list(self.items) or find_inputs(
            self.paths, self.pattern, self.table, self.mask_dir, dims=dims
        )


@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    """How the model runs, as users choose it.

    - ``device``, ``precision``: by their options; "auto" is the best that there is
    - ``compiled``: whether the model is compiled; None: on a GPU only
    - ``batch_size``: images at a time
    - ``readers``: processes that decode images; None: by the device
    - ``task``: how predictions are made of the output
    - ``by_label``: whether CAMs explain the class that an image's label names
    """

    device: str = "auto"
    precision: str = "auto"
    compiled: bool | None = None
    batch_size: int = 16
    readers: int | None = None
    task: Task = "auto"
    by_label: bool = False


@dataclass(frozen=True, kw_only=True)
class InferRequest:
    """What a run is of. All of it, but the device and the readers, decides what is in the store.

    - ``model_info``: ``model`` and ``checkpoint`` by name, and whatever else a job knows itself by
    - ``preprocessing``: how images become the model's input
    - ``inputs``: which images
    - ``maps``: which maps of them
    - ``options``: how the model runs
    """

    model_info: Mapping[str, Any]
    preprocessing: Preprocessing
    inputs: InputChoice
    maps: MapRequest
    options: InferenceOptions


def content_sha256(*parts: Any) -> str:
    """The SHA-256 of ``parts`` as JSON, in hexadecimal."""
    content = json.dumps(parts, default=str)
    return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()

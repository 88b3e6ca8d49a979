"""What ``fastcam infer`` is asked for: which inputs, which maps, and how the model runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.inference.predictions import Task
from fastcam.options import Axes
from fastcam.read.inputs.folders import left_out
from fastcam.read.inputs.input_tables import find_table_inputs
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.inputs.slicing import Slicing
from fastcam.read.inputs.volume_input import check_axes
from fastcam.storage.listing import listed
from fastcam.storage.locations import is_path


@dataclass(frozen=True, kw_only=True)
class InputChoice:
    """Which images or volumes are run.

    - ``paths``: folders, files or lists; see :func:`fastcam.read.inputs.inputs.find_inputs`
    - ``pattern``: which files of a folder
    - ``table``: a CSV with images, and maybe their masks and labels
    - ``mask_dir``: folder with masks
    - ``axes``: order of the axes of NumPy arrays
    - ``columns``: of a model with several inputs the column of the table that goes into each, by
      the name of ``forward``'s argument
    - ``items``: where they are known already, in place of all that but ``axes`` and ``volume``
    - ``model_inputs``: what the inputs of these items are
    - ``volume``: number or name of a volume where a DICOM series or 4-D NIfTI file has several
    - ``slicing``: which slices of volumes are run, where a 2-D model sees these one by one
    """

    paths: tuple[Path, ...]
    pattern: str | None = None
    table: Path | None = None
    mask_dir: Path | None = None
    axes: Axes = "zyx"
    columns: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    model_inputs: tuple[ModelInput, ...] = ()
    volume: str | None = None
    slicing: Slicing | None = None

    def find_items(self, dims: int) -> list[Item]:
        """The images (``dims`` 2) or volumes (3). InputError where there are none."""
        return self.find(dims)[1]

    def left_out(self, dims: int) -> str:
        """What lies beside the images (``dims`` 2) or volumes (3) in the folders, in one line;
        empty where nothing does."""
        if self.items or self.columns or self.pattern is not None or self.table is not None:
            return ""
        skipped = None if self.mask_dir is None else self.mask_dir.resolve()
        with listed(*self.paths):
            return left_out(self.paths, dims if self.slicing is None else 3, skipped)

    def find(self, dims: int, channels: int = 1) -> tuple[tuple[ModelInput, ...], list[Item]]:
        """What goes into the model beside or instead of one image, and the images or volumes.

        ``channels``: how many the model takes; volumes may have a file for each. InputError where
        there are none, and where ``axes`` mean none of them.
        """
        if self.items:
            found = self.model_inputs, list(self.items)
        else:
            with listed(*self.paths, self.mask_dir):
                found = self._find(dims, channels)
        files = [path for item in found[1] for path in (item.source, item.mask) if path is not None]
        check_axes(self.axes, files)
        return found

    def _find(self, dims: int, channels: int) -> tuple[tuple[ModelInput, ...], list[Item]]:
        if self.slicing is not None:
            dims, channels = 3, 1 if self.slicing.context > 1 else channels
        if not self.columns:
            items = find_inputs(
                self.paths, self.pattern, self.table, self.mask_dir, dims=dims, channels=channels
            )
            return (), items
        for option, value in (("--pattern", self.pattern), ("--mask-dir", self.mask_dir)):
            if value is not None:
                raise InputError(
                    f"{option} {value}: with --input the table names all files; leave it out, and "
                    "give masks in a column mask"
                )
        return find_table_inputs(self.paths, self.table, self.columns)


@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    """How the model runs, as users choose it.

    - ``device``, ``precision``: by their options; "auto" is the best that there is
    - ``compiled``: whether the model is compiled; None: on a GPU only
    - ``batch_size``: images at a time
    - ``readers``: processes that decode images; None: by the device
    - ``task``: how predictions are made of the output
    - ``by_label``: whether CAMs explain the class that an image's label names
    - ``trust_inputs``: whether files that changed since they were run are not looked for
    """

    device: str = "auto"
    precision: str = "auto"
    compiled: bool | None = None
    batch_size: int = 16
    readers: int | None = None
    task: Task = "auto"
    by_label: bool = False
    trust_inputs: bool = False


@dataclass(frozen=True, kw_only=True)
class InferRequest:
    """What a run is of. All of it, but the device and the readers, decides what is in the store.

    - ``model_info``: ``model`` and ``checkpoint`` by name, and whatever else a job knows itself by
    - ``preprocessing``: how images become the model's input
    - ``inputs``: which images
    - ``maps``: which maps of them
    - ``options``: how the model runs
    - ``output``: the name of the model's answer among what it returns; empty: it is found
    """

    model_info: Mapping[str, Any]
    preprocessing: Preprocessing
    inputs: InputChoice
    maps: MapRequest
    options: InferenceOptions
    output: str = ""


def names_of(items: Sequence[Item]) -> list[list[str]]:
    """What tells runs of other items apart: their files, from whichever folder they are named,
    labels, and numbers."""
    return [
        [_name(value) for value in (item.source, item.mask, item.label, *item.inputs)]
        for item in items
    ]


def _name(value: Path | str | float | None) -> str:
    if is_path(value):
        return str(value.absolute())
    return "" if value is None else str(value)


def content_sha256(*parts: Any) -> str:
    """The SHA-256 of ``parts`` as JSON, in hexadecimal."""
    content = json.dumps(parts, default=str)
    return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()

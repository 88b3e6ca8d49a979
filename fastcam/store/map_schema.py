"""The Zarr schema of a store of maps: its arrays, how they are cut into chunks, what they mean.

    run.zarr    attrs: MapAttrs
      cases/    id, group, source, mask_source, label (n,) text, and of a model with several
                inputs input0, input1, ... (n,) text, paths and numbers
                shape (n, 3) int32 · affine (n, 4, 4) float64 · prediction (n,) int32 ·
                confidence (n,) float32, and from the first finished batch on
                output (n, k) float32 · probability (n, k) float32 · target (n, t) int32 ·
                measures (n, m) float32 · pixels (n, t) int32, of a segmentation over how many
                pixels each target is summed · boxes (n, t, 6) float32, of a detector what is
                explained: x1, y1, x2, y2 in pixels of the model's input, label, score; the label is
                -1 where there is no such box
      maps/     <method>/<layer> or <method>: (n, [target,] [layer, head,] [z,] y, x), raw;
                attributes "signed", whether values are evidence for an output, above 0, and
                against it, of which the setting "sign" is shown, and "field" where the cells don't
                share the model's input out between them
      labels/   prediction (n, [z,] y, x) int32, of a segmentation the class of every pixel of the
                model's output
      gates/    <module path>: (n, c) float32, channel gates, with the maps of method channel
      done/     status (n,) int8 · reason (n,) text

Of volumes that a 2-D model saw slice by slice, n counts the rows, one a slice, in the order of the
cases; ``cases/`` has only the texts, one a volume, and all by row is in ``slices/``:

      slices/   case_offset (cases + 1,) int64 · case_axis (cases,) int32, the axis of the file's
                (z, y, x) that slices are stacked along · index (n,) int32, the slice, -1 where
                that can't be known
                and as in ``cases/``, by row: shape and affine of the whole volume, its slices
                first; prediction, confidence, output, probability, target, measures
      maps/     <method>/<layer> or <method>: (n, [target,] [layer, head,] y, x)

Its ``settings`` have an entry ``slicing``, and ``pool``, by which the answer of a case is made of
those of its slices when it is read.

What a batch writes has one chunk per batch and array, or several where it would be very large, so
a chunk has one writer and is written once. A layer may be called what no folder can be (``c``,
``..``, ``a/b``): then its folder is escaped (:mod:`fastcam.store.folder_names`), and the array's
attribute ``name`` has the name itself.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcam._version import __version__
from fastcam.errors import InputError
from fastcam.options import Sign
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.named_inputs import InputValue
from fastcam.read.inputs.slicing import SliceTable
from fastcam.storage.locations import as_path, is_path
from fastcam.store.chunk_files import (
    LARGEST_ROW,
    TEXT,
    Chunks,
    batch_chunk_rows,
    chunk_rows,
    create_array,
)
from fastcam.store.folder_names import folder_of
from fastcam.store.lazy_columns import LazyField
from fastcam.store.root import SCHEMA_VERSION, storable
from fastcam.store.slice_table import SLICES, SliceAnswers, write_table

if TYPE_CHECKING:
    import zarr

KIND = "maps"
CASES = "cases"
OPEN, DONE, FAILED = 0, 1, 2
Status = Literal["open", "done", "failed"]
STATUS: tuple[Status, ...] = ("open", "done", "failed")

TEXTS = ("id", "group", "source", "mask_source", "label")
# A path has about so many.
_TEXT_BYTES = 64
# Stands for no prediction: of a regression, or where none was computed.
NO_PREDICTION = -(2**31)

# Arrays there from the start: axes past the first, dtype, fill value.
FIXED: dict[str, tuple[tuple[int, ...], Any, float]] = {
    "shape": ((3,), np.int32, 0),
    "affine": ((4, 4), np.float64, np.nan),
    "prediction": ((), np.int32, NO_PREDICTION),
    "confidence": ((), np.float32, np.nan),
}
# Arrays whose width is known from the first finished batch on: dtype, fill value.
GROWN: dict[str, tuple[Any, float]] = {
    "output": (np.float32, np.nan),
    "probability": (np.float32, np.nan),
    "target": (np.int32, NO_PREDICTION),
    "measures": (np.float32, np.nan),
    "pixels": (np.int32, 0),
    "boxes": (np.float32, np.nan),
}
# Of a segmentation the class predicted of every pixel.
LABELS = "labels/prediction"
_NO_LABEL = -1


@dataclass(frozen=True, kw_only=True)
class MapAttrs:
    """Where the maps of a store come from.

    Attributes:
        sha256: fingerprint of settings and inputs, by which a run started again knows its store.
        root: the absolute folder that sources are relative to.
        model: the model, as the user named it.
        checkpoint: the checkpoint, as the user named it; empty without one.
        methods: names of the methods.
        layers: names of the layers; empty where the run chose them itself.
        preprocessing: fields of ``Preprocessing``, as plain values.
        settings: all else that the maps depend on, by name.
        dims: 2 for images, 3 for volumes, also where the model saw these slice by slice.
        schema: version of the store's schema.
        kind: ``maps``.
        fastcam: version of fastcam that made the store.
        created: when the store was made, UTC, ISO 8601.
    """

    sha256: str
    root: str
    model: str
    checkpoint: str
    methods: tuple[str, ...]
    layers: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    settings: Mapping[str, Any]
    dims: int
    schema: int = SCHEMA_VERSION
    kind: str = KIND
    fastcam: str = field(default=__version__)
    created: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(
            timespec="microseconds"
        )
    )

    @property
    def sign(self) -> Sign:
        """Which evidence is shown of maps that have both, where nothing else is said."""
        sign: Sign = self.settings.get("sign", "positive")
        return sign


@dataclass(frozen=True, eq=False, kw_only=True)
class MapHeader:
    """One image or volume without its maps.

    Arrays are of length 0, ``prediction`` is None and ``confidence`` NaN where a model has none,
    and where the image isn't done.

    Attributes:
        place: 1-based number in the run.
        id: the image's name, unique in the run.
        group: the folder it lies in, relative to the input folder; empty for the folder itself.
        source: absolute path of its file or folder.
        mask_source: absolute path of its mask; None without one.
        label: the true value as the table states it; empty without one.
        shape: z, y, x of the source; z = 1 for a picture; zeros until known.
        affine: (4, 4) float64, the source's voxel (x, y, z, 1) to RAS millimetres; None for
            pictures.
        output: (k,) float32, the model's output, raw.
        prediction: the predicted class; None for a regression.
        confidence: 0 to 1.
        probabilities: (k,) float32, 0 to 1.
        targets: (t,) int32, the classes that the maps explain.
        measures: (m,) float32, numbers that the run's engine took beside its maps.
        pixels: (t,) int32, of a segmentation over how many pixels each target is summed.
        boxes: (t, 6) float32, of a detector the boxes that are explained: x1, y1, x2, y2 in pixels
            of the model's input, label, score; all 0 and the label -1 where there is no such box.
        status: ``open``, ``done`` or ``failed``.
        reason: why it failed; empty where it didn't.
        inputs: of a model with several inputs what went into each, in the order of the setting
            ``inputs``: an absolute path, or a number; empty of all else.
        slices: of a volume that the model saw slice by slice what it said of each; output,
            prediction, confidence and probabilities are pooled of these. None of all else.
    """

    place: int
    id: str
    group: str
    source: Path
    mask_source: Path | None
    label: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64] | None
    output: LazyField[NDArray[np.float32]] = LazyField()  # noqa: RUF009
    prediction: int | None
    confidence: float
    probabilities: LazyField[NDArray[np.float32]] = LazyField()  # noqa: RUF009
    targets: LazyField[NDArray[np.int32]] = LazyField()  # noqa: RUF009
    measures: LazyField[NDArray[np.float32]] = LazyField()  # noqa: RUF009
    status: Status
    reason: str
    slices: SliceAnswers | None = None
    pixels: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    boxes: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 6), np.float32))
    inputs: tuple[InputValue, ...] = ()


def axes_of(ndim: int, dims: int) -> tuple[str, ...]:
    """The names of a map array's axes: ``("n", "layer", "head", "y", "x")`` and the like."""
    between: tuple[tuple[str, ...], ...] = ((), ("target",), ("layer", "head"))
    extra = ndim - 1 - dims
    if not 0 <= extra < len(between):
        raise ValueError(f"maps of {ndim} axes do not fit a store of {dims}-D images")
    return ("n", *between[extra], *("z", "y", "x")[3 - dims :])


def write_skeleton(
    path: Path,
    attrs: MapAttrs,
    items: Sequence[Item],
    batch: int,
    table: SliceTable | None = None,
) -> None:
    """Write all that is known before the first batch, as a new group at ``path``.

    ``table``: the slices of the volumes ``items``, where the model sees these one by one.
    """
    import zarr

    attributes = {name: getattr(attrs, name) for name in MapAttrs.__dataclass_fields__}
    attributes["preprocessing"] = dict(attrs.preprocessing)
    attributes["settings"] = dict(attrs.settings)
    root = zarr.create_group(path, zarr_format=3, attributes=storable(attributes))
    cases, done = root.create_group("cases"), root.create_group("done")
    root.create_group("maps")
    folder = as_path(attrs.root)
    columns = {
        "id": [item.id for item in items],
        "group": [item.group for item in items],
        "source": [relative_source(item.source, folder) for item in items],
        "mask_source": [relative_source(item.mask, folder) for item in items],
        "label": [item.label for item in items],
        **input_columns(items, folder),
    }
    count = len(items)
    for name, texts in columns.items():
        rows = chunk_rows(count, _TEXT_BYTES)
        create_array(cases, name, (count,), TEXT, fill=None, chunk=rows)
        column, stored_texts = Chunks(path / "cases" / name), storable(texts)
        for start in range(0, count, rows):
            part = stored_texts[start : start + rows]
            column.write_rows(start, np.array(part, dtype=object))
    by_row = cases
    if table is not None:
        by_row, count = root.create_group(SLICES), len(table)
        write_table(by_row, path / SLICES, table)
    for name, (axes, dtype, fill) in FIXED.items():
        create_array(by_row, name, (count, *axes), dtype, fill=fill, chunk=batch)
    create_array(done, "status", (count,), np.int8, fill=OPEN, chunk=batch)
    create_array(done, "reason", (count,), TEXT, fill=None, chunk=batch)


def create_batch_array(
    root: zarr.Group,
    name: str,
    values: NDArray[Any],
    *,
    count: int,
    batch: int,
    attributes: dict[str, Any],
) -> None:
    """Describe array ``name``, ``maps/…`` or ``cases/…``: ``count`` rows like ``values`` has.

    InputError where a row is larger than can be packed.
    """
    row_bytes = math.prod(values.shape[1:]) * values.dtype.itemsize
    if row_bytes > LARGEST_ROW:
        raise InputError(
            f"{name} has {row_bytes / 2**30:.1f} GiB for each image, and a store takes at most 2: "
            "choose fewer layers, or a smaller --image-size"
        )
    folder = folder_of(name)
    parent, _, last = folder.rpartition("/")
    if folder != name:
        attributes = {**attributes, "name": storable(name.partition("/")[2])}
    create_array(
        root.require_group(parent),
        last,
        (count, *values.shape[1:]),
        values.dtype,
        fill=_fill_of(name, parent, last),
        chunk=batch_chunk_rows(batch, row_bytes),
        attributes=attributes,
    )


def _fill_of(name: str, parent: str, last: str) -> float:
    """What stands where a batch has nothing."""
    if name == LABELS:
        return _NO_LABEL
    return GROWN[last][1] if parent in (CASES, SLICES) else np.nan


def gate_name(path: str) -> str:
    """The name in ``gates/`` for a module's dotted path; that of the model itself is empty."""
    return path or "model"


def check_map_name(name: str) -> None:
    """InputError unless ``name`` is METHOD or METHOD/LAYER, neither of them empty."""
    method, slash, layer = name.partition("/")
    if not method or (slash and not layer):
        raise InputError(f"a map can't be called {name!r}: use METHOD or METHOD/LAYER")


def input_columns(items: Sequence[Item], root: Path) -> dict[str, list[str]]:
    """The columns of ``cases/`` that hold what goes into a model with several inputs."""
    return {
        f"input{number}": [
            relative_source(value, root) if is_path(value) else str(value)
            for value in (item.inputs[number] for item in items)
        ]
        for number in range(len(items[0].inputs))
    }


def relative_source(path: Path | None, root: Path) -> str:
    """What stands in the columns of paths: within ``root`` from there on, "" for none."""
    if path is None:
        return ""
    absolute = path.absolute()
    inside = absolute.is_relative_to(root)
    return (absolute.relative_to(root) if inside else absolute).as_posix()

"""What one batch gives to a store of maps, checked and laid out as the store's chunks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.store.map_fields import MapField
from fastcam.store.map_schema import (
    FIXED,
    GROWN,
    LABELS,
    axes_of,
    check_map_name,
    gate_name,
)
from fastcam.store.root import storable


@dataclass(frozen=True, kw_only=True)
class BatchRows:
    """What one batch gives to the store.

    All arrays share their first axis: m rows, one for each "" in ``reasons``, in order.

    Attributes:
        reasons: for each of the batch's rows "" where its maps are there, else why they are not.
        maps: (m, ...) by name, ``METHOD`` or ``METHOD/LAYER``; float16 stays float16, all else
            becomes float32. The axes after the first are the targets, if there are several, or
            layers and heads, then the space.
        output: (m, k), the model's output, raw.
        shape: (m, 3) integers, z, y, x of the source; z = 1 for a picture.
        affine: (m, 4, 4), the source's voxel (x, y, z, 1) to RAS millimetres; NaN where there is
            none.
        prediction: (m,) integers, the predicted classes.
        confidence: (m,), 0 to 1.
        probability: (m, k), 0 to 1.
        target: (m, t) integers, the classes that the maps explain.
        measures: (m, j), numbers that the engine took beside its maps.
        labels: (m, *s) integers, of a segmentation the class predicted of every pixel.
        pixels: (m, t) integers, of a segmentation over how many pixels each target is summed.
        boxes: (m, t, 6), of a detector the boxes that are explained.
        measure_names: j names of these, ``METHOD: WHAT``; none where the run's job knows them.
        layer_names: by map the layers, where they are an axis.
        notes: by map what figures must say of it.
        signed: the maps that are evidence for an output, above 0, and against it, below 0.
        fields: by map where its cells lie in the model's input, unless they share it out.
        gates: (m, c) by dotted module path, channel gates, 0 to 1.
    """

    reasons: tuple[str, ...]
    maps: Mapping[str, NDArray[Any]]
    output: NDArray[Any]
    shape: NDArray[Any]
    affine: NDArray[Any] | None = None
    prediction: NDArray[Any] | None = None
    confidence: NDArray[Any] | None = None
    probability: NDArray[Any] | None = None
    target: NDArray[Any] | None = None
    measures: NDArray[Any] | None = None
    measure_names: Sequence[str] = ()
    labels: NDArray[Any] | None = None
    pixels: NDArray[Any] | None = None
    boxes: NDArray[Any] | None = None
    layer_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    signed: Collection[str] = ()
    fields: Mapping[str, MapField] = field(default_factory=dict)
    gates: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def failed(cls, reasons: tuple[str, ...]) -> BatchRows:
        """A batch in which every row failed."""
        return cls(
            reasons=reasons,
            maps={},
            output=np.empty((0, 0), np.float32),
            shape=np.empty((0, 3), np.int32),
        )


@dataclass(frozen=True)
class BatchColumns:
    """A batch as it is written.

    Attributes:
        reasons: of all rows, "" where a row has values.
        good: the 0-based rows that have values.
        columns: by array name in the store, one row for each of ``good``.
    """

    reasons: list[str]
    good: NDArray[np.intp]
    columns: dict[str, NDArray[Any]]


def validate_batch(rows: BatchRows) -> BatchColumns:
    """Check lengths and types; rows whose output or maps are not finite become failed ones.

    ValueError where an array has the wrong number of rows, InputError where a map's name can't be.
    """
    good = np.array([i for i, reason in enumerate(rows.reasons) if not reason], np.intp)
    columns = _columns(rows)
    if len(good) == 0:
        return BatchColumns(list(rows.reasons), good, {})
    for name, values in columns.items():
        if len(values) != len(good):
            raise ValueError(f"{name} has {len(values)} rows for {len(good)} finished images")
    return _without_nonfinite(BatchColumns(list(rows.reasons), good, columns))


def _columns(rows: BatchRows) -> dict[str, NDArray[Any]]:
    """The arrays by their names in the store, in the store's types."""
    columns: dict[str, NDArray[Any]] = {}
    for name, values in rows.maps.items():
        check_map_name(name)
        half = values.dtype == np.float16
        columns[f"maps/{name}"] = np.asarray(values, np.float16 if half else np.float32)
    if rows.labels is not None:
        columns[LABELS] = np.asarray(rows.labels, np.int32)
    for path, values in rows.gates.items():
        columns[f"gates/{gate_name(path)}"] = np.asarray(values, np.float32)
    dtypes = {name: dtype for name, (_, dtype, _) in FIXED.items()}
    dtypes |= {name: dtype for name, (dtype, _) in GROWN.items()}
    for name, dtype in dtypes.items():
        values = getattr(rows, name)
        if values is not None:
            columns[f"cases/{name}"] = np.asarray(values, dtype)
    return columns


def _without_nonfinite(batch: BatchColumns) -> BatchColumns:
    reasons, good, columns = batch.reasons, batch.good, batch.columns
    finite = np.ones(len(good), bool)
    for name, values in columns.items():
        if not name.startswith(("maps/", "gates/")) and name != "cases/output":
            continue
        finite_rows = np.isfinite(values).reshape(len(good), -1).all(axis=1)
        for row in good[finite & ~finite_rows]:
            reasons[row] = f"{name.partition('/')[2]} has values that are no finite numbers"
        finite &= finite_rows
    if finite.all():
        return batch
    left = {name: values[finite] for name, values in columns.items()}
    return BatchColumns(reasons, good[finite], left)


def array_attributes(
    name: str, columns: Sequence[str], rows: BatchRows, dims: int
) -> dict[str, Any]:
    """Attributes of the new array ``name``, one of the ``columns`` of a batch; ``dims`` are those
    of what a row is."""
    parent, _, own = name.partition("/")
    if own == "measures" and rows.measure_names:
        return {"names": list(rows.measure_names)}
    if parent == "gates":
        return {"place": columns.index(name)}
    if parent != "maps":
        return {}
    names = [column.removeprefix("maps/") for column in columns if column.startswith("maps/")]
    return _map_attributes(
        axes_of(rows.maps[own].ndim, dims),
        number=names.index(own),
        count=len(names),
        layers=rows.layer_names.get(own, ()),
        note=rows.notes.get(own, ""),
        signed=own in rows.signed,
        of_map=rows.fields.get(own),
    )


def _map_attributes(
    axes: Sequence[str],
    *,
    number: int,
    count: int,
    layers: Sequence[str],
    note: str,
    signed: bool = False,
    of_map: MapField | None = None,
) -> dict[str, Any]:
    """Attributes of the map array with the 0-based ``number`` among ``count``.

    ``layers`` are the names along an axis "layer", ``note`` is what figures must say of the map,
    ``signed`` whether its values are evidence for and against, ``of_map`` where its cells lie in
    the model's input, unless they share it out between them. By the numbers a reader notices that
    an array is lost.
    """
    attributes = {
        "axes": list(axes),
        "layer_names": [storable(layer) for layer in layers] if "layer" in axes else [],
        "place": number,
        "maps": count,
        "note": storable(note),
        "signed": signed,
    }
    return attributes if of_map is None else attributes | {"field": of_map.plain()}


def whole_chunk(
    values: NDArray[Any], good: NDArray[np.intp], count: int, fill: Any
) -> NDArray[Any]:
    """A chunk of ``count`` rows: ``values`` at the rows ``good``, ``fill`` at the others."""
    if len(good) == count:
        return values
    chunk = np.full((count, *values.shape[1:]), fill, values.dtype)
    chunk[good] = values
    return chunk

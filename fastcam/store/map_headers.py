"""The headers of a store whose rows are whole images or volumes, from its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.named_inputs import InputValue
from fastcam.read.inputs.target_column import number_in
from fastcam.storage.locations import under
from fastcam.store.chunk_files import Chunks
from fastcam.store.lazy_columns import LazyColumn
from fastcam.store.map_schema import (
    CASES,
    DONE,
    GROWN,
    NO_PREDICTION,
    STATUS,
    TEXTS,
    MapHeader,
    relative_source,
)
from fastcam.store.root import storable


def headers_of(
    columns: Mapping[str, NDArray[Any]], root: Path, kinds: Sequence[str] = ()
) -> tuple[MapHeader, ...]:
    """One header a row of the columns of ``cases/`` and ``done/``.

    ``root`` is the folder that sources are relative to. ``affine`` and the columns of ``GROWN`` may
    be missing. ``kinds`` of the columns ``input0`` and so on: "image" or "number".
    """
    values = {
        name: columns[name].tolist()
        for name in (*TEXTS, "reason", "status", "prediction", "confidence", "shape")
    }
    empty = {name: np.empty(0, dtype) for name, (dtype, _) in GROWN.items()}
    affines: Sequence[NDArray[np.float64] | None] = [None] * len(values["status"])
    if "affine" in columns:
        finite = np.isfinite(columns["affine"]).all(axis=(1, 2))
        affines = [
            affine if is_finite else None
            for affine, is_finite in zip(columns["affine"], finite, strict=True)
        ]
    headers = []
    for i, status in enumerate(values["status"]):
        row = {name: column[i] for name, column in values.items()}
        arrays = {
            name: columns[name][i] if status == DONE and name in columns else default
            for name, default in empty.items()
        }
        z, y, x = row["shape"]
        headers.append(
            MapHeader(
                place=i + 1,
                id=row["id"],
                group=row["group"],
                source=under(root, row["source"]),
                mask_source=under(root, row["mask_source"]) if row["mask_source"] else None,
                label=row["label"],
                shape=(z, y, x),
                affine=affines[i],
                output=arrays["output"],
                prediction=None if row["prediction"] == NO_PREDICTION else row["prediction"],
                confidence=row["confidence"],
                probabilities=arrays["probability"],
                targets=arrays["target"],
                measures=arrays["measures"],
                pixels=arrays["pixels"],
                boxes=_boxes(arrays["boxes"]),
                status=STATUS[status],
                reason=row["reason"],
                inputs=tuple(
                    _input_value(str(columns[f"input{number}"][i]), kind, root)
                    for number, kind in enumerate(kinds)
                ),
            )
        )
    return tuple(headers)


def write_masks_and_labels(path: Path, root: Path, items: Sequence[Item]) -> None:
    """Replace the masks and labels in the store at ``path``, whose sources are relative to
    ``root``, by those of ``items``, which are all of its cases in its order."""
    columns = {
        "mask_source": [relative_source(item.mask, root) for item in items],
        "label": [item.label for item in items],
    }
    for name, texts in columns.items():
        values = np.array(storable(texts), dtype=object)
        Chunks(path / CASES / name).write_rows(0, values, durable=True)


def _boxes(values: NDArray[Any]) -> NDArray[np.float32]:
    """(t, 6), whatever a damaged store has in place of it."""
    right = values.ndim == 2 and values.shape[1] == 6
    return values if right else np.empty((0, 6), np.float32)


def _input_value(text: str, kind: str, root: Path) -> InputValue:
    """What stands in a column of inputs: a path, a number, or why there is no number."""
    if kind == "image":
        return under(root, text)
    value = number_in(text)
    return text if value is None else value


def has_outputs(column: NDArray[Any] | LazyColumn | None, finished: NDArray[np.bool_]) -> bool:
    """Whether the rows ``finished`` have an output; those of a large column are looked at when
    used."""
    if column is None or isinstance(column, LazyColumn):
        return column is not None
    return bool(np.isfinite(column[finished]).all())

"""What one batch gives to a store of maps, checked and laid out as the store's chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.store.map_schema import FIXED, GROWN, check_map_name, gate_name


@dataclass(frozen=True)
class BatchRows:
    """What one batch gives to the store.

    ``reasons`` has an entry for each of the batch's rows: "" where its maps are there, else why
    they are not. Every array has one row for each "", in order; m of them.

    ``maps`` (m, ...) by name, ``METHOD`` or ``METHOD/LAYER``; float16 stays float16, all else
    becomes float32; the axes after the first are the targets, if there are several, or layers and
    heads, then the space. ``layer_names`` by map: the layers, where they are an axis. ``output``
    (m, k) · ``shape`` (m, 3) int, z, y, x of the source · ``affine`` (m, 4, 4), NaN where there is
    none · ``prediction`` (m,) int · ``confidence`` (m,) · ``probability`` (m, k) · ``target``
    (m, t) int · ``measures`` (m, k) numbers that the engine took beside its maps · ``notes`` by
    map: what figures must say of it · ``gates`` (m, c) by module path: channel gates, 0 to 1.
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
    layer_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def failed(cls, reasons: tuple[str, ...]) -> BatchRows:
        """A batch of which nothing came out."""
        return cls(reasons, {}, np.empty((0, 0), np.float32), np.empty((0, 3), np.int32))


@dataclass(frozen=True)
class Settled:
    """A batch as it is written: ``reasons`` of all rows, ``good`` the 0-based rows that have
    values, and ``columns`` by array name, one row for each of ``good``."""

    reasons: list[str]
    good: NDArray[np.intp]
    columns: dict[str, NDArray[Any]]


def settle(rows: BatchRows) -> Settled:
    """Check lengths and types; rows whose output or maps are not finite become failed ones.

    ValueError where an array has the wrong number of rows, InputError where a map's name can't be.
    """
    reasons = list(rows.reasons)
    good = np.array([i for i, reason in enumerate(reasons) if not reason], np.intp)
    columns: dict[str, NDArray[Any]] = {}
    for name, values in rows.maps.items():
        check_map_name(name)
        half = values.dtype == np.float16
        columns[f"maps/{name}"] = np.asarray(values, np.float16 if half else np.float32)
    for path, values in rows.gates.items():
        columns[f"gates/{gate_name(path)}"] = np.asarray(values, np.float32)
    kinds = {name: dtype for name, (_, dtype, _) in FIXED.items()}
    kinds |= {name: dtype for name, (dtype, _) in GROWN.items()}
    for name, dtype in kinds.items():
        values = getattr(rows, name)
        if values is not None:
            columns[f"cases/{name}"] = np.asarray(values, dtype)
    if len(good) == 0:
        return Settled(reasons, good, {})
    for name, values in columns.items():
        if len(values) != len(good):
            raise ValueError(f"{name} has {len(values)} rows for {len(good)} finished images")
    finite = np.ones(len(good), bool)
    for name, values in columns.items():
        if not name.startswith(("maps/", "gates/")) and name != "cases/output":
            continue
        here = np.isfinite(values).reshape(len(good), -1).all(axis=1)
        for row in good[finite & ~here]:
            reasons[row] = f"{name.partition('/')[2]} has values that are no finite numbers"
        finite &= here
    if not finite.all():
        good, columns = good[finite], {name: part[finite] for name, part in columns.items()}
    return Settled(reasons, good, columns)


def filled(values: NDArray[Any], good: NDArray[np.intp], count: int, fill: Any) -> NDArray[Any]:
    """The whole chunk of ``count`` rows: ``values`` at rows ``good``, ``fill`` at the others."""
    if len(good) == count:
        return values
    chunk = np.full((count, *values.shape[1:]), fill, values.dtype)
    chunk[good] = values
    return chunk

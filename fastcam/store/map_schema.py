"""The Zarr schema of a store of maps: its arrays, how they are cut into chunks, what they mean.

    run.zarr    attrs: MapAttrs
      cases/    id, group, source, mask_source, label (n,) text
                shape (n, 3) int32 · affine (n, 4, 4) float64 · prediction (n,) int32 ·
                confidence (n,) float32, and from the first finished batch on
                output (n, k) float32 · probability (n, k) float32 · target (n, t) int32 ·
                measures (n, m) float32
      maps/     <method>/<layer> or <method>: (n, [target,] [layer, head,] [z,] y, x)
      gates/    <module path>: (n, c) float32, channel gates, with the maps of method channel
      done/     status (n,) int8 · reason (n,) text

What a batch writes has one chunk per batch and array, so a chunk has one writer and is written
once.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcam._version import __version__
from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item
from fastcam.store.chunks import TEXT, Chunks, create_array
from fastcam.store.root import SCHEMA_VERSION, storable

if TYPE_CHECKING:
    import zarr

KIND = "maps"
OPEN, DONE, FAILED = 0, 1, 2
Status = Literal["open", "done", "failed"]
STATUS: tuple[Status, ...] = ("open", "done", "failed")

TEXTS = ("id", "group", "source", "mask_source", "label")
_TEXT_CHUNK = 65536
# A prediction that no model makes: regression, or not computed.
NO_PREDICTION = -(2**31)

# Arrays there from the start: axes past the first, dtype, fill value.
FIXED: dict[str, tuple[tuple[int, ...], Any, float]] = {
    "shape": ((3,), np.int32, 0),
    "affine": ((4, 4), np.float64, np.nan),
    "prediction": ((), np.int32, NO_PREDICTION),
    "confidence": ((), np.float32, np.nan),
}
# Arrays whose width only the first finished batch tells: dtype, fill value.
GROWN: dict[str, tuple[Any, float]] = {
    "output": (np.float32, np.nan),
    "probability": (np.float32, np.nan),
    "target": (np.int32, NO_PREDICTION),
    "measures": (np.float32, np.nan),
}


@dataclass(frozen=True)
class MapAttrs:
    """Where the maps of a store come from.

    ``sha256`` is the fingerprint of settings and inputs, by which a run started again knows its
    store. ``root`` is the absolute folder that sources are relative to. ``dims`` is 2 or 3.
    ``created`` is UTC, ISO 8601.
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


@dataclass(frozen=True, eq=False)
class MapHeader:
    """One image or volume without its maps.

    ``place`` is 1-based. ``source`` is absolute. ``shape`` (z, y, x) of the source, z = 1 for a
    picture, zeros until known; ``affine`` (4, 4) takes the source's voxel (x, y, z, 1) to RAS
    millimetres. ``output`` (k,) float32 is the model's, raw; ``probabilities`` (k,) float32 and
    ``targets`` (t,) int32 are of length 0 where there are none, as are ``measures`` (m,) float32,
    numbers that the run's engine took beside its maps; ``prediction`` is None for a regression;
    all of these also where the image isn't done. ``confidence`` is NaN where there is
    none. ``reason`` says why it failed.
    """

    place: int
    id: str
    group: str
    source: Path
    mask_source: Path | None
    label: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64] | None
    output: NDArray[np.float32]
    prediction: int | None
    confidence: float
    probabilities: NDArray[np.float32]
    targets: NDArray[np.int32]
    measures: NDArray[np.float32]
    status: Status
    reason: str


def axes_of(ndim: int, dims: int) -> tuple[str, ...]:
    """The names of a map array's axes: ``("n", "layer", "head", "y", "x")`` and the like."""
    between: tuple[tuple[str, ...], ...] = ((), ("target",), ("layer", "head"))
    extra = ndim - 1 - dims
    if not 0 <= extra < len(between):
        raise ValueError(f"maps of {ndim} axes do not fit a store of {dims}-D images")
    return ("n", *between[extra], *("z", "y", "x")[3 - dims :])


def write_skeleton(path: Path, attrs: MapAttrs, items: Sequence[Item], batch: int) -> None:
    """All that is known before the first batch, as a new group at ``path``."""
    import zarr

    plain = {name: getattr(attrs, name) for name in MapAttrs.__dataclass_fields__}
    plain["preprocessing"], plain["settings"] = dict(attrs.preprocessing), dict(attrs.settings)
    root = zarr.create_group(path, zarr_format=3, attributes=storable(plain))
    cases, done = root.create_group("cases"), root.create_group("done")
    root.create_group("maps")
    folder = Path(attrs.root)
    columns = {
        "id": [item.id for item in items],
        "group": [item.group for item in items],
        "source": [_relative(item.source, folder) for item in items],
        "mask_source": [_relative(item.mask, folder) for item in items],
        "label": [item.label for item in items],
    }
    count = len(items)
    for name, texts in columns.items():
        create_array(cases, name, (count,), TEXT, None, _TEXT_CHUNK)
        column, plain_texts = Chunks(path / "cases" / name), storable(texts)
        for start in range(0, count, _TEXT_CHUNK):
            part = plain_texts[start : start + _TEXT_CHUNK]
            column.write(start // _TEXT_CHUNK, np.array(part, dtype=object))
    for name, (axes, dtype, fill) in FIXED.items():
        create_array(cases, name, (count, *axes), dtype, fill, batch)
    create_array(done, "status", (count,), np.int8, OPEN, batch)
    create_array(done, "reason", (count,), TEXT, None, batch)


def create_batch_array(
    root: zarr.Group, name: str, values: NDArray[Any], count: int, batch: int, attrs: dict[str, Any]
) -> None:
    """``maps/…`` or ``cases/…``, called ``name``: ``count`` rows like those of ``values``."""
    parent, _, last = name.rpartition("/")
    fill = GROWN[last][1] if parent == "cases" else np.nan
    shape = (count, *values.shape[1:])
    create_array(root.require_group(parent), last, shape, values.dtype, fill, batch, attrs)


def map_attributes(
    place: int, count: int, ndim: int, dims: int, layers: Sequence[str], note: str = ""
) -> dict[str, Any]:
    """Attributes of the map array at ``place`` among ``count``: by these a lost one is missed.

    ``note``: what figures must say of the map.
    """
    axes = axes_of(ndim, dims)
    named = [storable(layer) for layer in layers] if "layer" in axes else []
    found: dict[str, Any] = {"axes": list(axes), "layer_names": named, "place": place}
    return found | {"maps": count, "note": storable(note)}


def read_map_table(path: Path) -> dict[str, dict[str, Any]]:
    """The attributes of each map array of the store at ``path``, by name, in order.

    Empty where not all are there. Raises ``ZARR_ERRORS`` where one is damaged.
    """
    home, found = path / "maps", []
    for file in (*home.glob("*/zarr.json"), *home.glob("*/*/zarr.json")):
        node = json.loads(file.read_text(encoding="utf-8"))
        if node["node_type"] == "array":
            attributes = node["attributes"]
            name = file.parent.relative_to(home).as_posix()
            found.append((int(attributes["place"]), name, attributes))
    found.sort(key=lambda entry: entry[:2])
    count = found[0][2]["maps"] if found else 0
    whole = [place for place, _, _ in found] == list(range(count))
    return {name: attributes for _, name, attributes in found} if whole else {}


def read_gate_names(path: Path) -> tuple[str, ...]:
    """The names in ``gates/`` of the store at ``path``, in the order of the model.

    Raises ``ZARR_ERRORS`` where one is damaged.
    """
    found = []
    for file in (path / "gates").glob("*/zarr.json"):
        node = json.loads(file.read_text(encoding="utf-8"))
        found.append((int(node["attributes"]["place"]), file.parent.name))
    return tuple(name for _, name in sorted(found))


def gate_name(path: str) -> str:
    """The array in ``gates/`` of the gate at a module's dotted path; the model itself has none."""
    return path or "model"


def headers_of(columns: Mapping[str, NDArray[Any]], root: Path) -> tuple[MapHeader, ...]:
    """The rows of the columns of ``cases/`` and ``done/``; those that may be missing are empty."""
    plain = {
        name: columns[name].tolist()
        for name in (*TEXTS, "reason", "status", "prediction", "confidence", "shape")
    }
    empty = {name: np.empty(0, dtype) for name, (dtype, _) in GROWN.items()}
    located = "affine" in columns and np.isfinite(columns["affine"]).all(axis=(1, 2))
    headers = []
    for i, status in enumerate(plain["status"]):
        row = {name: column[i] for name, column in plain.items()}
        arrays = {
            name: columns[name][i] if status == DONE and name in columns else none
            for name, none in empty.items()
        }
        z, y, x = row["shape"]
        headers.append(
            MapHeader(
                place=i + 1,
                id=row["id"],
                group=row["group"],
                source=root / row["source"],
                mask_source=root / row["mask_source"] if row["mask_source"] else None,
                label=row["label"],
                shape=(z, y, x),
                affine=columns["affine"][i] if located is not False and located[i] else None,
                output=arrays["output"],
                prediction=None if row["prediction"] == NO_PREDICTION else row["prediction"],
                confidence=row["confidence"],
                probabilities=arrays["probability"],
                targets=arrays["target"],
                measures=arrays["measures"],
                status=STATUS[status],
                reason=row["reason"],
            )
        )
    return tuple(headers)


def check_map_name(name: str) -> None:
    """InputError unless ``name`` can be a path of one or two parts inside ``maps/``."""
    parts = name.split("/")
    if len(parts) > 2 or any(
        not part or part.startswith((".", "__")) or part in ("c", "zarr.json") for part in parts
    ):
        raise InputError(f"a map can't be called {name!r}: use METHOD or METHOD/LAYER")


def _relative(path: Path | None, root: Path) -> str:
    if path is None:
        return ""
    absolute = path.absolute()
    inside = absolute.is_relative_to(root)
    return (absolute.relative_to(root) if inside else absolute).as_posix()

"""Which maps and gates a store has, and what is said of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.storage.listing import listed
from fastcam.storage.small_objects import small_objects
from fastcam.store.map_fields import MapField
from fastcam.store.map_schema import DONE, LABELS
from fastcam.store.root import ZARR_ERRORS
from fastcam.store.row_arrays import RowArrays


class MapArrays(RowArrays):
    """The maps and gates of the store at ``path`` by their names, without their values."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._map_table: dict[str, dict[str, Any]] | None = None

    def refresh(self, batches: Iterable[int]) -> None:
        """As :class:`RowArrays` has it; also which maps there are."""
        super().refresh(batches)
        with self._state_lock:
            self._map_table = None

    @property
    def map_names(self) -> tuple[str, ...]:
        """``METHOD/LAYER`` or ``METHOD``, in the order the maps came; none before the first."""
        return tuple(self._map_attributes)

    def axes(self, name: str) -> tuple[str, ...]:
        """What the axes of ``map(name, index)`` are: ``("y", "x")``, ``("target", "z", "y", "x")``,
        ``("layer", "head", "y", "x")`` and the like. Those of a slice where a volume was seen slice
        by slice: its map has z before y and x."""
        return tuple(self._attributes_of(name)["axes"][1:])

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of every ``map(name, index)``, or of each slice in it: see ``axes``."""
        self._attributes_of(name)
        return self._array(f"maps/{name}").tail

    def layer_names(self, name: str) -> tuple[str, ...]:
        """The layers along the axis "layer"; empty where there is no such axis."""
        return tuple(self._attributes_of(name)["layer_names"])

    def field(self, name: str) -> MapField | None:
        """Where the cells of map ``name`` lie in the model's input; None: they share it out."""
        plain = self._attributes_of(name).get("field")
        return None if plain is None else MapField.of_plain(plain)

    def note(self, name: str) -> str:
        """What figures must say of map ``name``, "" for nothing."""
        return str(self._attributes_of(name).get("note", ""))

    def is_signed(self, name: str) -> bool:
        """Whether map ``name`` is evidence for an output, above 0, and against it, below 0, of
        which ``shown_map`` gives what is asked for. A store of schema 1 holds what was shown."""
        return bool(self._attributes_of(name).get("signed", False))

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Dotted paths of the modules whose channel gates are stored, in the model's order."""
        try:
            return _read_gate_names(self.path)
        except ZARR_ERRORS as error:
            raise self._damaged(f"gates: {error}") from error

    @property
    def measure_names(self) -> tuple[str, ...]:
        """What the numbers in a header's ``measures`` are, ``METHOD: WHAT`` of a method's maps;
        none where only the job that made the store knows."""
        for group in ("cases", "slices"):
            if self._has(f"{group}/measures"):
                return tuple(map(str, self._array(f"{group}/measures").attributes.get("names", ())))
        return ()

    def damaged_rows(self) -> list[int]:
        """The rows of finished batches of which a map, a gate or a label map is gone, emptied or
        cut."""
        with listed(self.path):
            return self._rows_with_damage()

    def _rows_with_damage(self) -> list[int]:
        names = [f"maps/{name}" for name in self.map_names]
        names += [f"gates/{name}" for name in self.gate_names]
        arrays = [self._array(name) for name in (*names, LABELS) if self._has(name)]
        rows: list[int] = []
        for number in range(self.batches):
            span = self.rows(number)
            if (self._known_status[span.start : span.stop] == DONE).any() and not all(
                array.is_whole(chunk)
                for array in arrays
                for chunk in range(span.start // array.rows, -(-span.stop // array.rows))
            ):
                rows += span
        return rows

    @property
    def _map_attributes(self) -> dict[str, dict[str, Any]]:
        """The attributes of each map array by its name, in order."""
        with self._state_lock:
            if self._map_table is None:
                try:
                    with small_objects(self.path / "maps", lambda way: way.name == "zarr.json"):
                        self._map_table = _read_map_table(self.path)
                except ZARR_ERRORS as error:
                    raise self._damaged(f"maps: {error}") from error
                if not self._map_table and (self._known_status == DONE).any():
                    raise self._damaged("some of its maps/ arrays are gone")
            return self._map_table

    def _attributes_of(self, name: str) -> dict[str, Any]:
        try:
            return self._map_attributes[name]
        except KeyError:
            names = ", ".join(self.map_names) or "none yet"
            raise InputError(f"{self.path}: has no map {name!r}; there are: {names}") from None


def _read_map_table(path: Path) -> dict[str, dict[str, Any]]:
    """The attributes of each map array of the store at ``path``, by name, in order.

    Empty where not all are there. Raises ``ZARR_ERRORS`` where one is damaged.
    """
    folder, arrays = path / "maps", []
    for file in (*folder.glob("*/zarr.json"), *folder.glob("*/*/zarr.json")):
        node = json.loads(file.read_text(encoding="utf-8"))
        if node["node_type"] == "array":
            attributes = node["attributes"]
            name = attributes.get("name") or file.parent.relative_to(folder).as_posix()
            arrays.append((int(attributes["place"]), name, attributes))
    arrays.sort(key=lambda entry: entry[:2])
    count = arrays[0][2]["maps"] if arrays else 0
    complete = [number for number, _, _ in arrays] == list(range(count))
    return {name: attributes for _, name, attributes in arrays} if complete else {}


def _read_gate_names(path: Path) -> tuple[str, ...]:
    """The names in ``gates/`` of the store at ``path``, in the order of the model.

    Raises ``ZARR_ERRORS`` where one is damaged.
    """
    arrays = []
    for file in (path / "gates").glob("*/zarr.json"):
        node = json.loads(file.read_text(encoding="utf-8"))
        attributes = node["attributes"]
        arrays.append((int(attributes["place"]), attributes.get("name") or file.parent.name))
    return tuple(name for _, name in sorted(arrays))

"""The store of maps goes on after a kill, and notices damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from fastcam.errors import CaseError, InputError, OutputError
from fastcam.store import map_schema
from fastcam.store.chunk_files import Chunks
from fastcam.store.maps import MapStore

from .sample_maps import CAM, LAST, full_store, new_store, rows


@pytest.fixture
def full(tmp_path: Path) -> MapStore:
    return full_store(tmp_path)


class Killed(BaseException):
    """What a kill looks like from inside."""


KILLS = ["maps/gradcam/layer4", "cases/output", "done/reason", "done/status"]


@pytest.mark.parametrize("before", KILLS)
@pytest.mark.parametrize("index", [0, 1])
def test_a_killed_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, index: int
) -> None:
    """Killed at the first writing (arrays just made) and at a later one, before each file."""
    store = new_store(tmp_path)
    if index:
        store.append(0, rows(2, 0))
    write = Chunks.write

    def dying(self: Chunks, at: int, values: np.ndarray, durable: bool = False) -> None:
        if self._folder == store.path / before:
            raise Killed
        write(self, at, values, durable)

    with monkeypatch.context() as patched:
        patched.setattr(Chunks, "write", dying)
        with pytest.raises(Killed):
            store.append(index, rows(2, 7))
    again = MapStore.open(store.path)
    assert again.unfinished() == [0, 1, 2][index:]
    with pytest.raises((CaseError, InputError), match="no map"):
        again.map(CAM, 2 * index)
    again.append(index, rows(2, 8))
    finished = MapStore.open(store.path)
    np.testing.assert_array_equal(finished.map(CAM, 2 * index + 1), rows(2, 8).maps[CAM][1])
    assert finished.unfinished() == [0, 1, 2][index + 1 :]


def test_killed_between_making_two_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path)
    made: list[str] = []

    def dying(root: zarr.Group, name: str, values: Any, **rest: Any) -> None:
        if len(made) == 1:
            raise Killed
        made.append(name)
        create(root, name, values, **rest)

    create = map_schema.create_batch_array
    with monkeypatch.context() as patched:
        patched.setattr("fastcam.store.map_schema.create_batch_array", dying)
        with pytest.raises(Killed):
            store.append(0, rows(2))
    again = MapStore.open(store.path)
    assert again.map_names == ()
    again.append(0, rows(2))
    assert MapStore.open(store.path).map_names == (CAM, LAST)


def test_a_full_disk_leaves_the_batch_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("fastcam.run.files._write_all", full)
        with pytest.raises(OutputError, match="disk is full"):
            store.append(0, rows(2))
    assert store.unfinished() == MapStore.open(store.path).unfinished() == [0, 1, 2]
    store.append(0, rows(2))
    assert store.unfinished() == [1, 2]


@pytest.mark.parametrize(
    "name",
    [
        "cases/id/zarr.json",
        "cases/id/c.0",
        "done/status/zarr.json",
        "cases/output/c.0.0",
        f"maps/{LAST}/zarr.json",
    ],
)
@pytest.mark.parametrize("cut", [True, False])
def test_damaged_stores_do_not_open(full: MapStore, name: str, cut: bool) -> None:
    file = full.path / name
    if cut:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    with pytest.raises(InputError, match="damaged") as caught:
        MapStore.open(full.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [0, 10, 60, None])
def test_a_lost_map_costs_only_its_images(full: MapStore, cut: int | None) -> None:
    file = full.path / "maps" / CAM / "c.1.0.0"
    if cut is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:cut])
    store = MapStore.open(full.path)
    with pytest.raises(CaseError, match=r"图2: its map gradcam/layer4\.1 .* is damaged or gone"):
        store.map(CAM, 2)
    assert np.isfinite(store.map(CAM, 0)).all()
    assert np.isfinite(store.map(LAST, 2)).all()


def test_a_lost_status_is_an_open_batch(full: MapStore) -> None:
    (full.path / "done/status/c.1").unlink()
    assert MapStore.open(full.path).unfinished() == [1]


def change(path: Path, **changes: object) -> None:
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"] = {k: v for k, v in (root["attributes"] | changes).items() if v is not ...}
    (path / "zarr.json").write_text(json.dumps(root))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 3}, "has schema 3, this fastcam reads schema 1 and 2"),
        ({"kind": "patch-attention"}, "kind 'patch-attention', which holds no maps"),
        ({"kind": ...}, "kind None"),
        ({"model": ...}, "attribute 'model' is missing"),
    ],
)
def test_stores_of_another_kind(full: MapStore, changes: dict[str, object], words: str) -> None:
    change(full.path, **changes)
    with pytest.raises(InputError, match=words):
        MapStore.open(full.path)
    with pytest.raises(InputError, match="is not a run store"):
        MapStore.open(full.path.parent)

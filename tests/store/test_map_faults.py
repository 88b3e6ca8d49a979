"""The store of maps goes on after a kill, and notices damage."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastcam.errors import CaseError, InputError, OutputError
from fastcam.run import files
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
    made: list[Path] = []

    def dying(path: Path, *rest: Any) -> int:
        if path.name == "zarr.json":
            if len(made) == 1:
                raise Killed
            made.append(path)
        return write(path, *rest)

    write = files.write_bytes
    with monkeypatch.context() as patched:
        patched.setattr("fastcam.run.files.write_bytes", dying)
        with pytest.raises(Killed):
            store.append(0, rows(2))
    again = MapStore.open(store.path)
    assert again.map_names == ()
    again.append(0, rows(2))
    assert MapStore.open(store.path).map_names == (CAM, LAST)


# Appends the first batch, killed (SIGKILL) as the file of the given number would get its name.
_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.store.sample_maps import new_store, rows

store = new_store(Path(sys.argv[1]))
replace, left = Path.replace, [int(sys.argv[2])]

def dying(self, target):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = dying
store.append(0, rows(2))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("number", [0, 3, 6, 9])
def test_what_a_kill_leaves_half_written_is_swept(tmp_path: Path, number: int) -> None:
    store = new_store(tmp_path)
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", _KILLED, str(folder), str(number)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    again = MapStore.open(folder / store.path.name)
    half = [path for path in again.path.rglob("*") if path.name.startswith(files.TEMPORARY)]
    assert len(half) == 1
    files.remove_leftovers(again.path, "**/")
    for one in (store, again):
        one.append(0, rows(2))
    assert contents(again.path) == contents(store.path)


def contents(store: Path) -> dict[str, bytes]:
    """Every file of a store but the root's attributes, which say when it was made."""
    found = [path for path in store.rglob("*") if path.is_file() and path != store / "zarr.json"]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in found}


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

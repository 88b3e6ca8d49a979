"""Stores whose descriptions ask for more than their files hold are refused before they are read."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import FastcamError, InputError
from fastcam.read.regular_files import read_regular, stored_bytes
from fastcam.read.results.results import read_results
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore, create_from_results
from tests.read.results.records import read, record
from tests.store.sample_maps import new_store, rows

LARGE = (10**9, 10**12)
# Bytes of a file that lies on the disk in a few of them.
HOLES = (1 << 31) - 100


@pytest.fixture(scope="module")
def patch_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patches")
    return create_from_results(
        folder / "run.zarr", read(folder, [record(name, 4) for name in "ABC"])
    ).path


@pytest.fixture(scope="module")
def map_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = new_store(tmp_path_factory.mktemp("maps"))
    store.append(0, rows(2))
    return store.path


def array_files(store: Path) -> list[str]:
    files = [file.relative_to(store).as_posix() for file in store.rglob("zarr.json")]
    return sorted(f for f in files if json.loads((store / f).read_text())["node_type"] == "array")


def changed(store: Path, folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    copy = folder / "changed.zarr"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store, copy, symlinks=True)
    node = json.loads((copy / name).read_text())
    change(node)
    (copy / name).write_text(json.dumps(node))
    return copy


def longer(count: int, axis: int) -> Callable[[dict[str, Any]], None]:
    def change(node: dict[str, Any]) -> None:
        node["shape"][axis] = count

    return change


def wider(count: int) -> Callable[[dict[str, Any]], None]:
    """The last axis of the array, and of its chunks."""

    def change(node: dict[str, Any]) -> None:
        node["shape"][-1] = count
        node["chunk_grid"]["configuration"]["chunk_shape"][-1] = count

    return change


def cut(chunk: list[Any]) -> Callable[[dict[str, Any]], None]:
    def change(node: dict[str, Any]) -> None:
        old = node["chunk_grid"]["configuration"]["chunk_shape"]
        node["chunk_grid"]["configuration"]["chunk_shape"] = (chunk * len(old))[: len(old)]

    return change


CHANGES = [
    *(longer(count, 0) for count in LARGE),
    *(longer(count, -1) for count in LARGE),
    *(wider(count) for count in LARGE),
    *(cut([rows]) for rows in (0, -1, 10**12, None, "1", 1.5, True)),
]


@pytest.mark.parametrize("kind", ["patch_store", "map_store"])
def test_absurd_shapes_are_refused(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = shutil.copytree(request.getfixturevalue(kind), tmp_path / "copy.zarr")
    for name in array_files(store):
        text = (store / name).read_text()
        for number, change in enumerate(CHANGES):
            node = json.loads(text)
            change(node)
            (store / name).write_text(json.dumps(node))
            with pytest.raises(InputError) as caught:
                open_store(store)
            assert "\n" not in str(caught.value), (name, number)
        (store / name).write_text(text)


@pytest.mark.parametrize("kind", ["patch_store", "map_store"])
def test_all_arrays_may_be_wrong_together(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    # Lengths that agree with each other, and with nothing on the disk.
    store = request.getfixturevalue(kind)
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    for name in array_files(store):
        node = json.loads((copy / name).read_text())
        node["shape"][0] = 10**9 + int(name.endswith("case_offset/zarr.json"))
        (copy / name).write_text(json.dumps(node))
    with pytest.raises(InputError, match="cases/id has 1000000000 rows in"):
        open_store(copy)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5) | st.just(1e308),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = (
    "shape",
    "chunk_grid",
    "data_type",
    "codecs",
    "chunk_key_encoding",
    "fill_value",
    "attributes",
    "node_type",
)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_json_in_a_description_is_no_traceback(
    patch_store: Path,
    map_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    store = data.draw(st.sampled_from([patch_store, map_store]))
    name = data.draw(st.sampled_from(["zarr.json", *array_files(store)]))
    key, value = data.draw(st.sampled_from(KEYS)), data.draw(JSON)
    folder = tmp_path_factory.mktemp("json")

    def change(node: dict[str, Any]) -> None:
        if key == "attributes" and name == "zarr.json":
            node[key][data.draw(st.sampled_from(sorted(node[key])))] = value
        else:
            node[key] = value

    copy = changed(store, folder, name, change)
    try:
        opened = open_store(copy)
        if isinstance(opened, MapStore):
            for map_name in opened.map_names:
                opened.map(map_name, 0)
        else:
            opened.case(0)
    except FastcamError as error:
        assert "\n" not in str(error)  # noqa: PT017 - many pass


def test_a_folder_that_leads_out_of_the_store_is_refused(map_store: Path, tmp_path: Path) -> None:
    copy, outside = tmp_path / "copy.zarr", tmp_path / "outside"
    shutil.copytree(map_store, copy)
    (copy / "maps").rename(outside)
    (copy / "maps").symlink_to(outside)
    with pytest.raises(InputError, match="its folder maps leads out of it"):
        open_store(copy)


def test_a_chunk_that_is_a_link_is_read_as_a_chunk(patch_store: Path, tmp_path: Path) -> None:
    # As data sets under version control have them; what lies there is no program.
    copy, elsewhere = tmp_path / "copy.zarr", tmp_path / "elsewhere"
    shutil.copytree(patch_store, copy)
    chunk = next(file for file in (copy / "cases" / "place").rglob("*") if file.name == "0")
    chunk.rename(elsewhere)
    chunk.symlink_to(elsewhere)
    assert len(open_store(copy).cases) == 3
    elsewhere.write_text("something else")
    with pytest.raises(InputError, match="damaged"):
        open_store(copy)


@pytest.mark.parametrize("kind", ["patch_store", "map_store"])
def test_chunks_that_are_pipes_are_refused(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(request.getfixturevalue(kind), copy)
    ids = [file for file in (copy / "cases" / "id").rglob("*") if file.name != "zarr.json"]
    chunk = next(file for file in ids if file.is_file())
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(InputError):
        open_store(copy)


def test_texts_that_claim_to_be_many_are_refused(patch_store: Path, tmp_path: Path) -> None:
    from numcodecs.zstd import Zstd

    copy = tmp_path / "copy.zarr"
    shutil.copytree(patch_store, copy)
    chunk = next(f for f in (copy / "cases" / "id").rglob("*") if f.is_file() and f.name == "0")
    chunk.write_bytes(Zstd().encode(b"\xff\xff\xff\x7f"))
    with pytest.raises(InputError, match="id has a chunk that is not whole"):
        open_store(copy)
    chunk.write_bytes(Zstd().encode(bytes(1 << 27)))
    with pytest.raises(InputError, match="unpacks to 134217728"):
        open_store(copy)


@pytest.mark.parametrize("kind", ["patch_store", "map_store"])
def test_chunks_of_holes_are_refused_and_not_read(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = request.getfixturevalue(kind)
    copy = tmp_path / "copy.zarr"
    for name in array_files(store):
        folder = (store / name).parent
        chunks = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".json"]
        shutil.copytree(store, copy)
        for chunk in chunks:
            sparse = copy / chunk.relative_to(store)
            with sparse.open("r+b") as file:
                # The length stands in the chunk's header where it is one that Blosc packed.
                file.seek(12)
                file.write(HOLES.to_bytes(4, "little"))
                file.truncate(HOLES)
        tracemalloc.start()
        if chunks:
            with pytest.raises(FastcamError) as caught:
                everything(open_store(copy))
            assert "\n" not in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < HOLES / 4
        tracemalloc.stop()
        shutil.rmtree(copy)


def everything(store: RunStore | MapStore) -> None:
    """Read all that a store has."""
    for index in range(len(store.cases if isinstance(store, RunStore) else store)):
        if isinstance(store, RunStore):
            store.case(index)
            continue
        for name in store.map_names:
            store.map(name, index)


def test_copies_with_small_holes_are_read(tmp_path: Path) -> None:
    # `cp --sparse=always` makes holes of zeros, and so do some back-ups.
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(b"a")
        file.truncate(1 << 20)
    assert read_regular(path) == b"a" + bytes((1 << 20) - 1)
    assert stored_bytes(path) < 1 << 16
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="1099511627776 bytes long and has"):
        read_regular(path)


def test_good_stores_pass(patch_store: Path, map_store: Path, tmp_path: Path) -> None:
    assert len(open_store(patch_store).cases) == 3
    assert len(MapStore.open(map_store)) == 5
    # A case with a thousand classes, which are mostly zeros.
    one_hot = {f"prob_class_{n}": float(n == 7) for n in range(1000)}
    cases = [record(str(n), 1, confidence=1.0, **one_hot) for n in range(20)]
    store = create_from_results(tmp_path / "many.zarr", read(tmp_path, cases))
    assert len(store.cases[0].probabilities) == 1000
    assert read_results(tmp_path / "results.pkl").cases[0].probabilities[7] == 1

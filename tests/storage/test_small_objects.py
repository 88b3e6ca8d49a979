"""Small objects are fetched once, as long as they stay what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.storage.object_path import ObjectPath
from fastcam.storage.small_objects import small_objects
from tests.object_server import ObjectServer


def everything(_: Path) -> bool:
    return True


def read_all(folder: ObjectPath, count: int) -> list[bytes]:
    with small_objects(folder, everything):
        return [(folder / f"in/{number}").read_bytes() for number in range(count)]


def fetched(server: ObjectServer) -> list[str]:
    """Names of the objects that were fetched."""
    asked = [
        path for method, path in server.requests if method == "GET" and "list-type" not in path
    ]
    return sorted(path.rsplit("/", 1)[-1] for path in asked)


def test_what_stays_the_same_is_fetched_once(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    contents = [b"one", b"two", b""]
    for number, content in enumerate(contents):
        (bucket / f"in/{number}").write_bytes(content)
    object_server.requests = []
    assert read_all(bucket, 3) == contents
    assert fetched(object_server) == ["0", "1", "2"]
    object_server.requests = []
    assert read_all(bucket, 3) == contents
    assert len(object_server.requests) == 1
    # Of the same size, in the same second.
    (bucket / "in/1").write_bytes(b"new")
    object_server.requests = []
    assert read_all(bucket, 3) == [b"one", b"new", b""]
    assert fetched(object_server) == ["1"]


def test_what_is_not_there_is_not_asked_for(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    (bucket / "in/0").write_bytes(b"one")
    with small_objects(bucket, everything):
        object_server.requests = []
        with pytest.raises(FileNotFoundError):
            (bucket / "in/1").read_bytes()
        assert not (bucket / "in/1").exists()
        assert object_server.requests == []
    (bucket / "in/1").write_bytes(b"two")
    assert read_all(bucket, 2) == [b"one", b"two"]


def test_only_small_ones_that_are_wanted(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastcam.storage.small_objects._FOLDER", 10)
    for name in ("few/0", "few/1", "many/0", "many/1", "other/0"):
        (bucket / name).write_bytes(b"four" if name[0] == "f" else b"sixsix")
    object_server.requests = []
    with small_objects(bucket, lambda way: way.parts[0] != "other"):
        assert fetched(object_server) == ["0", "1"]
        assert (bucket / "many/1").read_bytes() == b"sixsix"
        assert fetched(object_server) == ["0", "1", "1"]


def test_what_cannot_be_fetched_is_asked_for_again(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    (bucket / "in/0").write_bytes(b"one")
    object_server.fault = lambda method, path: (
        (403, "AccessDenied") if path.endswith("/0") else None
    )
    with small_objects(bucket, everything), pytest.raises(PermissionError, match="AccessDenied"):
        (bucket / "in/0").read_bytes()
    object_server.fault = lambda method, path: (403, "AccessDenied")
    with small_objects(bucket, everything):
        object_server.fault = lambda method, path: None
        assert (bucket / "in/0").read_bytes() == b"one"


def test_a_local_folder_is_left_alone(tmp_path: Path) -> None:
    with small_objects(tmp_path, everything):
        (tmp_path / "x").write_bytes(b"1")
        assert (tmp_path / "x").read_bytes() == b"1"


def test_no_more_is_remembered_than_has_room(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastcam.storage.small_objects._REMEMBERED", 1200)
    for number in range(4):
        (bucket / f"in/{number}").write_bytes(b"x" * 50)
    read_all(bucket, 4)
    object_server.requests = []
    assert read_all(bucket, 4) == [b"x" * 50] * 4
    assert fetched(object_server) == ["0", "1"]

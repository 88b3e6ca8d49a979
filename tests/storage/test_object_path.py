"""Paths in buckets read, write, list and match as those of a folder do: held against a real one."""

from __future__ import annotations

import errno
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.errors import MissingBucketError
from fastcam.storage.listing import listed
from fastcam.storage.locations import as_path, entries, files_below
from fastcam.storage.object_path import ObjectPath
from tests.object_server import ObjectServer

_NAMES = st.sampled_from(["a", "b", "a.png", "B c", "é日", "x%41", "q?r", "h#i", "[1]", "10", "9"])
_FILES = st.dictionaries(
    st.lists(_NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=5), max_size=6
)
_PATTERNS = ("*", "**/*", "*/*", "**/*.png", "a*", "*/a", "**/", "[ab]", "?", "10", "a/**/*", "*/")
ODD = (
    *("a b", "ü/日本", "q?x=1&y", "h#ash", "pc%41t", "pl+us", "st*ar", "br[a]c", "~t", "semi;c"),
    *("quo'te\"", "back\\slash", "a=b", "a:b", "{b}", "<x>", "|", "^", "  lead", "trail ", ".hid"),
)


def fill(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Write those that don't lie below another one, which a file system can't have."""
    written = {k: v for k, v in files.items() if not any(k.startswith(f"{o}/") for o in files)}
    for name, content in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return written


def check_same(path: ObjectPath, real: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        there = path / name
        assert there.read_bytes() == content
        assert there.is_file()
        assert there.exists()
        assert not there.is_dir()
        assert there.stat().st_size == len(content)
        assert there.read_start(2) == content[:2]
        with there.open("rb") as stream:
            assert stream.read() == content
    for folder in (p for p in (real, *real.rglob("*")) if p.is_dir() and files):
        there = path / folder.relative_to(real)
        assert there.is_dir()
        assert not there.is_file()
        assert {p.name for p in there.iterdir()} == {p.name for p in folder.iterdir()}
        found = {entry.name: entry.is_dir() for entry in entries(there)}
        assert found == {p.name: p.is_dir() for p in folder.iterdir()}
    assert {str(p.relative_to(path)) for p in files_below(path)} == set(files)
    for pattern in _PATTERNS:
        found_names = {p.relative_to(path) for p in path.glob(pattern)} - {Path()}
        expected = {p.relative_to(real) for p in real.glob(pattern)} - {Path()}
        if pattern.endswith("**/"):  # older Pythons name folders, newer ones too
            expected = {p for p in expected if (real / p).is_dir()}
        assert found_names == expected, pattern
    assert not (path / "nothing").exists()


@given(files=_FILES)
def test_a_tree_in_memory_is_that_of_a_folder(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = tmp_path_factory.mktemp("real")
    path = as_path(f"memory://{uuid.uuid4().hex}")
    assert isinstance(path, ObjectPath)
    written = fill(real, files)
    fill(path, written)
    check_same(path, real, written)
    with listed(path):
        check_same(path, real, written)
    path.remove_tree()
    assert not path.exists()


def test_a_tree_in_a_bucket_is_that_of_a_folder(bucket: ObjectPath, tmp_path: Path) -> None:
    files = {"a": b"1", "b/a.png": b"22", "b/é日/x%41": b"", "B c/q?r": b"4444", "10/9/[1]": b"5"}
    fill(tmp_path, files)
    fill(bucket, files)
    check_same(bucket, tmp_path, files)
    with listed(bucket):
        check_same(bucket, tmp_path, files)


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_written_found_and_removed(bucket: ObjectPath, name: str) -> None:
    path = bucket / "odd" / name
    path.write_bytes(name.encode())
    assert path.read_bytes() == name.encode()
    assert path.is_file()
    assert [p for p, _ in (bucket / "odd").tree()] == [path]
    with listed(bucket):
        assert path.exists()
    path.unlink()
    assert not path.exists()
    assert not (bucket / "odd").exists()


def test_keys_that_no_path_has_are_left_out(bucket: ObjectPath) -> None:
    from fastcam.storage.object_store import file_system

    fs = file_system("s3")
    for key in ("in/", "in/a.png", "in//b.png", "in/sub/", "in/sub/c.png"):
        fs.call_s3("put_object", Bucket=bucket.name, Key=key, Body=b"x")
    assert [str(p.relative_to(bucket)) for p in files_below(bucket)] == ["in/a.png", "in/sub/c.png"]
    assert [p.name for p in (bucket / "in").iterdir()] == ["a.png", "sub"]
    assert (bucket / "in").is_dir()


@pytest.mark.parametrize("name", ["a*", "a?", "[ab]c"])
def test_names_that_look_like_patterns_are_removed_alone(bucket: ObjectPath, name: str) -> None:
    kept = [bucket / "out/ab", bucket / "out/abc", bucket / "out/bc"]
    for path in (*kept, bucket / "out" / name / "x", bucket / f"{name}/y"):
        path.write_bytes(b"1")
    (bucket / "out" / name).remove_tree()
    assert [path for path, _ in (bucket / "out").tree()] == kept
    (bucket / name).remove_tree()
    assert [path for path, _ in bucket.tree()] == kept


def test_what_is_not_there(bucket: ObjectPath) -> None:
    path = bucket / "none"
    for question in ("stat", "read_bytes", "unlink", "open"):
        with pytest.raises(FileNotFoundError):
            getattr(path, question)()
    with pytest.raises(FileNotFoundError):
        path.read_start(3)
    path.unlink(missing_ok=True)
    path.remove_tree()
    gone = ObjectPath("s3", f"{bucket.name}-gone/x")
    assert not gone.exists()
    with pytest.raises(FileNotFoundError, match="there is no such bucket"):
        gone.read_bytes()
    with pytest.raises(FileNotFoundError, match="there is no such bucket"):
        gone.write_bytes(b"x")
    for question in ("stat", "open", "tag"):
        with pytest.raises(MissingBucketError, match="-gone/x: there is no such bucket"):
            getattr(gone, question)()


def test_a_change_of_content_changes_the_state(bucket: ObjectPath) -> None:
    path = bucket / "x"
    path.write_bytes(b"one")
    before = path.stat()
    with listed(bucket):
        # A listing says the same as asking for the object.
        assert path.stat() == before
    path.write_bytes(b"two")
    assert path.stat().st_mtime_ns != before.st_mtime_ns
    assert stat.S_ISREG(before.st_mode)


def test_text_is_read_as_it_was_written(bucket: ObjectPath) -> None:
    path = bucket / "x.csv"
    path.write_bytes("é,1\r\n2\n".encode())
    assert path.read_text(newline="") == "é,1\r\n2\n"
    with path.open(encoding="utf-8") as stream:
        assert list(stream) == ["é,1\n", "2\n"]
    with pytest.raises(OSError, match="mode 'w'") as error:
        path.open("w")
    assert error.value.errno == errno.EROFS


def test_large_objects_are_fetched_into_a_file(
    bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastcam.storage.object_path._IN_MEMORY", 100)
    path = bucket / "large"
    path.write_bytes(bytes(range(256)) * 10)
    with path.open("rb") as stream:
        assert stream.read() == bytes(range(256)) * 10


@pytest.mark.parametrize(
    ("question", "requests"),
    [("read_bytes", 1), ("stat", 1), ("is_file", 1), ("write_bytes", 1)],
)
def test_requests_a_question(
    bucket: ObjectPath, object_server: ObjectServer, question: str, requests: int
) -> None:
    path = bucket / "x"
    path.write_bytes(b"content")
    object_server.requests = []
    getattr(path, question)(*([b"other"] if question == "write_bytes" else []))
    assert len(object_server.requests) == requests

"""Many questions, few requests."""

from __future__ import annotations

from fastcam.run.input_files import file_states
from fastcam.storage.fetched_ahead import contents_ahead, fetched_ahead
from fastcam.storage.listing import KeptListing, kept_listings, listed
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_store import file_system
from tests.object_server import ObjectServer


def test_a_thousand_questions_are_one_request(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    for number in range(5):
        (bucket / f"in/{number}.png").write_bytes(b"x")
    object_server.requests = []
    with listed(bucket / "in", None):
        there = [(bucket / f"in/{number}.png").exists() for number in range(1000)]
        assert (bucket / "in").is_dir()
        assert len(list((bucket / "in").iterdir())) == sum(there) == 5
    assert len(object_server.requests) == 1
    assert (bucket / "in/0.png").exists()
    assert len(object_server.requests) == 2


def test_what_is_written_within_the_block_is_seen(bucket: ObjectPath) -> None:
    with listed(bucket):
        assert not (bucket / "x").exists()
        (bucket / "x").write_bytes(b"1")
        assert (bucket / "x").exists()
        (bucket / "x").unlink()
        assert not (bucket / "x").exists()


def test_an_object_that_is_listed_is_there(bucket: ObjectPath) -> None:
    path = bucket / "in/x.png"
    path.write_bytes(b"1")
    with listed(path):
        assert path.is_file()
        assert not path.is_dir()
        assert path.read_bytes() == b"1"
        assert [found for found, _ in path.tree_or_self()] == [path]
        with listed(path.parent):
            assert list(path.parent.iterdir()) == [path]
    with listed(as_path("memory://one/x")):
        as_path("memory://one/x").write_bytes(b"1")
        assert as_path("memory://one/x").is_file()


def test_blocks_within_each_other(bucket: ObjectPath, object_server: ObjectServer) -> None:
    with listed(bucket):
        with listed(bucket, bucket / "a"):
            assert not (bucket / "a/x").exists()
        assert not (bucket / "a/y").exists()
        assert len(object_server.requests) == 1


def test_a_listing_is_kept_from_one_block_to_the_next(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    (bucket / "x").write_bytes(b"1")
    object_server.requests = []
    kept = KeptListing(bucket)
    for _ in range(3):
        with kept:
            assert (bucket / "x").exists()
    assert len(object_server.requests) == 1


def test_listings_of_several_blocks_are_one(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    for name in ("in/a/x", "in/b/x", "other/x"):
        (bucket / name).write_bytes(b"1")
    object_server.requests = []
    with kept_listings(bucket / "in", None):
        for folder in ("in", "in/a", "in/b"):
            with listed(bucket / folder):
                assert (bucket / folder).is_dir()
                assert not (bucket / folder / "y").exists()
        assert len(object_server.requests) == 1
        with listed(bucket / "other"):
            assert (bucket / "other/x").exists()
        assert len(object_server.requests) == 2
        # Between the blocks the store is asked.
        assert (bucket / "in/a/x").stat().st_size == 1
        assert len(object_server.requests) == 3
        # What this process writes is seen.
        (bucket / "in/a/y").write_bytes(b"1")
        with listed(bucket / "in"):
            assert (bucket / "in/a/y").exists()
        assert len(object_server.requests) == 5
    with listed(bucket / "in"):
        assert (bucket / "in/a").is_dir()
    assert len(object_server.requests) == 6


def test_a_part_that_was_listed_is_not_taken_for_the_whole(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    for name in ("in/a/x", "in/b/x"):
        (bucket / name).write_bytes(b"1")
    with kept_listings(bucket / "in"):
        with listed(bucket / "in/a"):
            assert (bucket / "in/a/x").exists()
        with listed(bucket / "in"):
            assert (bucket / "in/b/x").exists()


def test_twenty_thousand_keys(bucket: ObjectPath, object_server: ObjectServer) -> None:
    # Written into moto itself: 20,000 requests would take a minute.
    from moto.s3.models import s3_backends

    (backend,) = (region["global"] for region in s3_backends.values())
    for number in range(20_000):
        backend.put_object(bucket.name, f"in/{number:05}.png", b"x")
    object_server.requests = []
    with listed(bucket):
        found = list((bucket / "in").iterdir())
        assert [path.name for path in found] == [f"{number:05}.png" for number in range(20_000)]
        assert all(path.is_file() for path in found)
    assert len(object_server.requests) == 20


def test_states_of_many_objects_are_one_listing(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    paths = [bucket / f"in/{number}.png" for number in range(60)]
    for path in paths:
        path.write_bytes(path.name.encode())
    object_server.requests = []
    states = file_states([*paths, bucket / "none"])
    assert [state and state.size for state in states] == [*(len(p.name) for p in paths), None]
    assert len(object_server.requests) == 3
    assert states[:20] == file_states(paths[:20])


def test_twenty_thousand_keys_in_memory() -> None:
    path = as_path("memory://twenty-thousand")
    fs = file_system("memory")
    for number in range(20_000):
        fs.pipe_file(f"memory://twenty-thousand/in/{number:05}.png", b"x")
    with listed(path):
        assert sum(p.is_file() for p in (path / "in").iterdir()) == 20_000
        assert len(list(path.rglob("*7.png"))) == 2000
    for key in [key for key in fs.store if key.startswith("/twenty-thousand/")]:
        del fs.store[key]


def test_objects_fetched_ahead_are_asked_for_once(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    paths = [bucket / f"{number}.png" for number in range(8)]
    for path in paths:
        path.write_bytes(path.name.encode())
    object_server.requests = []
    with fetched_ahead([*paths, None, bucket / "none"]):
        count = len(object_server.requests)
        for path in paths:
            assert path.is_file()
            with path.open("rb") as stream:
                assert stream.read() == path.name.encode()
        assert len(object_server.requests) == count == 2 * 8 + 2
        assert not (bucket / "none").exists()
    paths[0].write_bytes(b"new")
    assert paths[0].read_bytes() == b"new"


def test_large_objects_are_not_fetched_ahead(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch
) -> None:
    monkeypatch.setattr("fastcam.storage.fetched_ahead._EACH", 10)
    (bucket / "large").write_bytes(b"x" * 11)
    with fetched_ahead([bucket / "large"]):
        assert [method for method, _ in object_server.requests] == ["PUT", "HEAD"]
        assert (bucket / "large").read_bytes() == b"x" * 11


def test_contents_are_one_request_each(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch
) -> None:
    monkeypatch.setattr("fastcam.storage.fetched_ahead._EACH", 10)
    for name, content in (("a.png", b"nine byte"), ("b.png", b"ten bytes!"), ("c.png", b"")):
        (bucket / name).write_bytes(content)
    object_server.requests = []
    with contents_ahead([bucket / name for name in ("a.png", "b.png", "c.png", "none.png")]):
        assert [method for method, _ in object_server.requests] == ["GET"] * 4
        object_server.requests = []
        path = bucket / "a.png"
        assert path.exists()
        assert path.is_file()
        assert not path.is_dir()
        assert path.read_start(4) == b"nine"
        with path.open("rb") as stream:
            assert stream.read() == b"nine byte"
        assert object_server.requests == []
        # What may be cut, is empty or isn't there is asked for.
        assert (bucket / "b.png").read_bytes() == b"ten bytes!"
        assert (bucket / "c.png").read_bytes() == b""
        assert not (bucket / "none.png").exists()
        # Its state isn't known: an object that has changed meanwhile has another one.
        path.write_bytes(b"other")
        assert path.stat().st_size == 5


def test_contents_ahead_have_a_limit(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch
) -> None:
    monkeypatch.setattr("fastcam.storage.fetched_ahead._ALL", 20)
    monkeypatch.setattr("fastcam.storage.parallel._AT_ONCE", 1)
    paths = [bucket / f"{number}.png" for number in range(8)]
    for path in paths:
        path.write_bytes(b"ten bytes!")
    object_server.requests = []
    with contents_ahead(paths):
        assert len(object_server.requests) == 2
        assert [path.read_bytes() for path in paths] == [b"ten bytes!"] * 8


def test_blocks_keep_what_those_around_them_keep(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    for name in ("a", "b"):
        (bucket / name).write_bytes(name.encode())
    with fetched_ahead([bucket / "a"]), contents_ahead([bucket / "b"]):
        object_server.requests = []
        assert (bucket / "a").read_bytes() + (bucket / "b").read_bytes() == b"ab"
        assert object_server.requests == []

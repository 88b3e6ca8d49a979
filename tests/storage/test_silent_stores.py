"""Stores that don't answer: one request is tried at length, what follows is not."""

from __future__ import annotations

import errno
import socket
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import botocore.exceptions as botocore
import pytest
from aiohttp import ServerDisconnectedError

from fastcam.errors import SilentStoreError
from fastcam.storage import silent_stores
from fastcam.storage.object_path import ObjectPath
from tests.object_server import ObjectServer
from tests.storage.test_object_store import quick

URL: dict[str, Any] = {"endpoint_url": "http://h/b/x", "error": "refused"}


class _Store:
    """A file system whose requests do, or raise, what ``answer`` does.

    Attributes:
        asked: how often for which object or bucket.
    """

    def __init__(self) -> None:
        self.answer: Callable[[str], bytes] = _refused
        self.asked: Counter[str] = Counter()

    def cat_file(self, url: str, **_: object) -> bytes:
        self.asked[url] += 1
        return self.answer(url)

    def info(self, url: str, timeout: float) -> bytes:
        assert timeout <= 5
        return self.cat_file(url)


def _refused(url: str) -> bytes:
    raise ConnectionRefusedError(errno.ECONNREFUSED, f"refused of {url}")


def _here(url: str) -> bytes:
    return b"here"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> _Store:
    store = _Store()
    monkeypatch.setattr("fastcam.storage.object_store.file_system", lambda scheme: store)
    monkeypatch.setattr(silent_stores, "_silences", {})
    return store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr(silent_stores, "time", fake)
    return clock


def _why(path: ObjectPath) -> str:
    with pytest.raises(SilentStoreError) as error:
        path.read_bytes()
    return str(error.value)


def test_what_follows_is_one_short_question(store: _Store, clock: SimpleNamespace) -> None:
    path = ObjectPath("s3", "b/x")
    assert _why(path) == "s3://b/x: can't be read: refused of s3://b/x"
    for name in "yzyz":
        # The reason is that of the request that found it out.
        assert _why(path.with_name(name)) == f"s3://b/{name}: can't be read: refused of s3://b/x"
    assert store.asked == {"s3://b/x": 1, "s3://b": 1}
    clock.now += 6
    _why(path)
    assert store.asked == {"s3://b/x": 1, "s3://b": 2}
    with pytest.raises(TimeoutError) as error:
        path.tree()
    assert (error.value.strerror, error.value.filename) == ("refused of s3://b/x", "s3://b/x")


@pytest.mark.parametrize("refusal", [None, PermissionError("no"), FileNotFoundError("b")])
def test_a_store_that_answers_again(
    store: _Store, clock: SimpleNamespace, refusal: OSError | None
) -> None:
    path = ObjectPath("s3", "b/x")
    _why(path)

    def answer(url: str) -> bytes:
        if refusal is not None and url == "s3://b":
            raise refusal
        return b"here"

    store.answer = answer
    assert [path.read_bytes() for _ in range(3)] == [b"here"] * 3
    assert store.asked == {"s3://b/x": 4, "s3://b": 1}


def test_a_success_meanwhile_counts(store: _Store, clock: SimpleNamespace) -> None:
    path = ObjectPath("s3", "b/x")
    _why(path)
    silent_stores.answered("s3://b/other")
    store.answer = _here
    assert path.read_bytes() == b"here"
    assert store.asked == {"s3://b/x": 2}


def test_long_afterwards_nothing_is_known(store: _Store, clock: SimpleNamespace) -> None:
    path = ObjectPath("s3", "b/x")
    _why(path)
    clock.now += 61
    _why(path)
    assert store.asked == {"s3://b/x": 2}


def test_another_bucket_may_be_there(store: _Store, clock: SimpleNamespace) -> None:
    path, other = ObjectPath("s3", "b/x"), ObjectPath("s3", "c/x")
    _why(path)
    _why(path)
    store.answer = lambda url: _here(url) if url.startswith("s3://c") else _refused(url)
    assert other.read_bytes() == b"here"
    assert store.asked == {"s3://b/x": 1, "s3://b": 1, "s3://c": 1, "s3://c/x": 1}
    # Other stores have nothing to do with it.
    store.asked.clear()
    _why(path)
    store.answer = _here
    assert ObjectPath("gs", "b/x").read_bytes() == b"here"
    assert store.asked == {"s3://b/x": 1, "gs://b/x": 1}


def test_a_busy_store_that_was_given_up_is_asked_at_length_again(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    object_server.fault = lambda method, path: (503, "SlowDown")
    with pytest.raises(OSError, match="SlowDown"):
        (bucket / "x").write_bytes(b"1")
    left = [(503, "SlowDown")] * 6
    object_server.fault = lambda method, path: left.pop() if left else None
    (bucket / "x").write_bytes(b"1")
    assert not left


def test_a_server_that_falls_silent_and_comes_back(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    object_server.silent = True
    for name in "xyz":
        with pytest.raises(TimeoutError, match=r"Connection.*Error: .*/x"):
            (bucket / name).write_bytes(b"1")
    asked = {path.rpartition("/")[2] for _, path in object_server.requests}
    assert asked == {"x", bucket.name}
    object_server.silent = False
    silent_stores.given_up(str(bucket), "silent")  # and nothing was asked since
    (bucket / "x").write_bytes(b"1")
    assert (bucket / "x").read_bytes() == b"1"


def test_a_server_that_takes_a_request_and_never_answers(
    object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    monkeypatch.setattr("fastcam.storage.object_store._READ", 0.1)
    monkeypatch.setattr(silent_stores, "_ASKED", 0.1)
    ends: list[BaseException] = []

    def put() -> None:
        for name in "xy":
            try:
                ObjectPath("s3", f"some-bucket/{name}").write_bytes(b"1")
            except OSError as error:
                ends.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=put, daemon=True)
        thread.start()
        thread.join(120)
    assert [(type(end), str(end).count("Read timeout")) for end in ends] == [(TimeoutError, 1)] * 2


class ServiceRequestError(Exception):
    """As azure.core has it."""


@pytest.mark.parametrize(
    "error",
    [
        botocore.EndpointConnectionError(**URL),
        botocore.ConnectTimeoutError(**URL),
        botocore.ReadTimeoutError(**URL),
        botocore.ConnectionClosedError(**URL),
        ServerDisconnectedError(),
        ServiceRequestError(),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_what_no_answer_is(error: Exception) -> None:
    assert silent_stores.is_silence(error)
    wrapped = ValueError("x")
    wrapped.__cause__ = error
    assert silent_stores.is_silence(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        botocore.ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"),
        botocore.NoCredentialsError(),
        PermissionError(),
        FileNotFoundError(),
    ],
)
def test_what_is_an_answer(error: Exception) -> None:
    assert not silent_stores.is_silence(error)

"""What a store answers when it doesn't do what it is asked, as one error with a reason."""

from __future__ import annotations

import errno
import logging
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from fastcam.errors import SilentStoreError
from fastcam.storage import object_store
from fastcam.storage.object_path import ObjectPath
from tests.object_server import Answer, ObjectServer


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No breaks before a request is tried again."""
    import asyncio

    sleep = asyncio.sleep
    monkeypatch.setattr("asyncio.sleep", lambda seconds, *_: sleep(0))


def test_a_busy_store_is_asked_again(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    left = [(503, "SlowDown")] * 6
    object_server.fault = lambda method, path: left.pop() if left else None
    (bucket / "x").write_bytes(b"1")
    assert not left
    assert (bucket / "x").read_bytes() == b"1"


def test_a_store_that_stays_busy_is_given_up(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    object_server.fault = lambda method, path: (503, "SlowDown")
    with pytest.raises(OSError, match="SlowDown") as error:
        (bucket / "x").write_bytes(b"1")
    assert error.value.errno == errno.EIO
    assert error.value.filename == str(bucket / "x")
    # Breaks of up to 15 s between five of them, and again.
    assert len(object_server.requests) == 10


def test_a_store_that_is_not_there_is_given_up(
    monkeypatch: pytest.MonkeyPatch, object_server: ObjectServer
) -> None:
    quick(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SilentStoreError, match=r"^s3://b/x: .*Could not connect to the endpoint"):
        ObjectPath("s3", "b/x").read_bytes()


REFUSALS: list[tuple[Answer, type[OSError], str]] = [
    ((403, "AccessDenied"), PermissionError, "permission denied (AccessDenied: as the test"),
    ((403, "ExpiredToken"), PermissionError, "permission denied (ExpiredToken: as the test"),
    ((400, "ExpiredToken"), PermissionError, "permission denied (ExpiredToken: as the test"),
    ((403, "InvalidAccessKeyId"), PermissionError, "permission denied (InvalidAccessKeyId"),
    ((404, "NoSuchBucket"), FileNotFoundError, "there is no such bucket"),
    ((404, "NoSuchKey"), FileNotFoundError, "No such file or directory"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), REFUSALS)
@pytest.mark.parametrize("question", ["read_bytes", "write_bytes", "tree"])
def test_refusals(
    bucket: ObjectPath, object_server: ObjectServer, answer, kind, words, question
) -> None:
    object_server.fault = lambda method, path: answer
    with pytest.raises(kind) as error:
        getattr(bucket / "x", question)(*([b""] if question == "write_bytes" else []))
    assert words in error.value.strerror
    assert len(object_server.requests) <= 2


def test_refusals_without_a_text(bucket: ObjectPath, object_server: ObjectServer) -> None:
    # The answer to HEAD has no body: S3 says of an expired token no more than "Bad Request".
    object_server.fault = lambda method, path: (400, "ExpiredToken")
    with pytest.raises(OSError, match="Bad Request: the credentials may have expired"):
        (bucket / "x").stat()
    object_server.fault = lambda method, path: (403, "ExpiredToken")
    with pytest.raises(PermissionError, match="permission denied"):
        (bucket / "x").stat()


def test_without_credentials(
    bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch, object_server: ObjectServer, tmp_path
) -> None:
    from s3fs import S3FileSystem

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    object_store._file_systems.clear()
    S3FileSystem.clear_instance_cache()
    with pytest.raises(OSError, match=r"(?i)credentials"):
        (bucket / "x").write_bytes(b"1")
    assert not object_server.requests


def test_a_missing_folder_is_no_missing_bucket(bucket: ObjectPath) -> None:
    with pytest.raises(FileNotFoundError) as error:
        list((bucket / "my-bucket-of/container").iterdir())
    assert error.value.strerror == os.strerror(errno.ENOENT)


class HttpError(Exception):
    """As gcsfs has it."""

    code = 401


# What gcsfs 2026.10 raises, taken from its answers to an emulator of Google's store.
GOOGLE: list[tuple[Exception, type[OSError], str]] = [
    (
        OSError("Forbidden: http://h/upload/storage/v1/b/study/o\nme does not have access."),
        PermissionError,
        "permission denied (me does not have access.)",
    ),
    (
        HttpError("Anonymous caller does not have access, 401"),
        PermissionError,
        "permission denied (HttpError: Anonymous caller does not have access, 401)",
    ),
    (ValueError("Bad Request: b/study/o/x\ninvalid thing"), OSError, "ValueError: invalid thing"),
    (FileNotFoundError("b/study/o"), FileNotFoundError, "there is no such bucket"),
    (
        FileNotFoundError("http://h/upload/storage/v1/b/study/o"),
        FileNotFoundError,
        "there is no such bucket",
    ),
    (FileNotFoundError("b/study/o/bucket%2Fo"), FileNotFoundError, "No such file or directory"),
    (
        FileNotFoundError("http://h/download/storage/v1/b/study/o/x?alt=media"),
        FileNotFoundError,
        "No such file or directory",
    ),
]


@pytest.mark.parametrize(("raised", "kind", "reason"), GOOGLE)
def test_what_google_answers(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[OSError], reason: str
) -> None:
    def cat_file(url: str) -> bytes:
        raise raised

    monkeypatch.setattr(
        "fastcam.storage.object_store.file_system",
        lambda scheme: SimpleNamespace(cat_file=cat_file),
    )
    with pytest.raises(OSError, match=r".") as error:
        ObjectPath("gs", "study/x").read_bytes()
    assert type(error.value) is kind
    assert error.value.strerror == reason
    assert error.value.filename == "gs://study/x"


def test_google_is_asked_by_http_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The class that fsspec gives asks by gRPC what kind of bucket it is, at each request where
    that is refused."""
    made: list[dict[str, Any]] = []
    core = SimpleNamespace(GCSFileSystem=lambda **options: made.append(options) or "fs")
    monkeypatch.setitem(sys.modules, "gcsfs", SimpleNamespace(core=core))
    monkeypatch.setitem(sys.modules, "gcsfs.core", core)
    monkeypatch.setattr(object_store, "check_scheme", lambda scheme: None)
    monkeypatch.setattr(object_store, "_file_systems", {})
    assert object_store.file_system("gs") == "fs"
    assert object_store.file_system("gs") == "fs"
    (options,) = made
    assert options["use_listings_cache"] is False
    timeout = options["requests_timeout"]
    assert (timeout.sock_connect, timeout.sock_read) == (10, 60)
    # Whoever has set up no logging sees none of the tracebacks that it logs.
    assert any(isinstance(h, logging.NullHandler) for h in logging.getLogger("gcsfs").handlers)

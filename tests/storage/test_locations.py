"""Paths and URLs as they are given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastcam.errors import InputError
from fastcam.storage.locations import as_path, common_folder, is_url, relative_text, under
from fastcam.storage.object_path import ObjectPath


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.png", Path("a/b.png")),
        ("/a/b", Path("/a/b")),
        ("C:/x", Path("C:/x")),
        ("file:///tmp/a%20b", Path("/tmp/a b")),
        ("file://localhost/tmp/x", Path("/tmp/x")),
        ("s3://bucket/a b/ü%41?#.png", ObjectPath("s3", "bucket/a b/ü%41?#.png")),
        ("S3://Bucket/", ObjectPath("s3", "Bucket")),
        ("memory://m/x", ObjectPath("memory", "m/x")),
    ],
)
def test_what_is_read(text: str, expected: Path) -> None:
    path = as_path(text)
    assert path == expected
    assert type(path) is type(expected)
    assert as_path(path) is path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://host/x.png", "http://…: URLs of this kind are not read; fastcam reads s3://"),
        ("https://host/x.png", "https://…: URLs of this kind are not read"),
        ("simplecache::s3://b/x", "URLs of this kind are not read"),
        ("s3://", "names no bucket; write s3://BUCKET/FOLDER"),
        ("s3:///x", "names no bucket"),
        ("s3://b//x", "has an empty, '.' or '..' part"),
        ("s3://b/../x", "has an empty, '.' or '..' part"),
        ("s3://b/./x", "has an empty, '.' or '..' part"),
        ("gs://b/x", "gs:// needs the package gcsfs: pip install 'fastcam[gcs]'"),
        ("az://b/x", "az:// needs the package adlfs: pip install 'fastcam[azure]'"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        as_path(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIAEXAMPLE:hidden@bucket/x",
        "s3://user:hidden@bucket",
        "s3://bucket/x?X-Amz-Signature=hidden&X-Amz-Expires=1",
        "s3://bucket/x?AWSAccessKeyId=AKIAEXAMPLE&Signature=hidden",
        "gs://bucket/x?X-Goog-Signature=hidden",
        "az://container/x?sv=2024&sig=hidden",
        "https://user:hidden@host/x?sig=hidden",
    ],
)
def test_credentials_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError) as error:
        as_path(text)
    assert "hidden" not in str(error.value)
    assert "AKIAEXAMPLE" not in str(error.value)


def test_what_a_url_is() -> None:
    assert is_url("s3://b/x")
    assert not is_url("/s3/b")
    assert not is_url("s3:/b")


def test_under_a_root() -> None:
    root = ObjectPath("s3", "b/root")
    assert under(root, "x/y.png") == root / "x/y.png"
    assert under(root, "/data/y.png") == Path("/data/y.png")
    assert under(Path("/r"), "s3://b/x") == ObjectPath("s3", "b/x")


def test_common_folders_are_those_of_the_operating_system() -> None:
    texts = ["b/x/y", "b/x/z/w", "b/x/zz"]
    assert common_folder([ObjectPath("s3", t) for t in texts]) == ObjectPath("s3", "b/x")
    local = ["/a/b/c", "/a/b", "/a/bc"]
    assert common_folder(map(Path, local)) == Path(os.path.commonpath(local))
    with pytest.raises(ValueError, match="no folder"):
        common_folder([ObjectPath("s3", "b/x"), ObjectPath("s3", "c/x")])
    with pytest.raises(ValueError, match="some lie on this machine"):
        common_folder([ObjectPath("s3", "b/x"), Path("/b/x")])


def test_the_way_from_a_folder() -> None:
    base = ObjectPath("s3", "b/out/fig")
    assert relative_text(base / "x.png", base) == "x.png"
    assert relative_text(ObjectPath("s3", "b/in/x"), base) == "../../in/x"
    assert relative_text(ObjectPath("gs", "b/in/x"), base) == "gs://b/in/x"
    assert relative_text(Path("/data/x"), base) == "/data/x"
    assert relative_text(base, Path("/data")) == "s3://b/out/fig"

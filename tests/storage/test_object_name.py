"""What paths in buckets are called: held against ``pathlib.PurePosixPath``."""

from __future__ import annotations

import os
import pickle
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.storage.object_name import ObjectName

# What stands in names, dots at either end included.
_PARTS = st.text("ab.Z0 é日%?#*[-_", min_size=1, max_size=8).filter(lambda p: p not in (".", ".."))
_KEYS = st.lists(_PARTS, min_size=1, max_size=5).map(lambda parts: PurePosixPath(*parts))


@given(_KEYS)
def test_parts_of_the_name_are_those_of_a_path(key: PurePosixPath) -> None:
    path = ObjectName("s3", key)
    for name in ("name", "stem", "suffix", "suffixes"):
        assert getattr(path, name) == getattr(key, name)
    assert str(path) == path.as_posix() == f"s3://{key}"
    assert path.parts == (f"s3://{key.parts[0]}", *key.parts[1:])


@given(_KEYS, _PARTS, _PARTS)
def test_other_names_are_those_of_a_path(key: PurePosixPath, one: str, two: str) -> None:
    path = ObjectName("gs", key)
    assert (path / one).key == key / one
    assert path.joinpath(one, two).key == key.joinpath(one, two)
    assert path.with_name(one).key == key.with_name(one)
    for method, given_text in (("with_stem", one), ("with_suffix", ".x"), ("with_suffix", "")):
        try:
            expected = getattr(key, method)(given_text)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                getattr(path, method)(given_text)
        else:
            assert getattr(path, method)(given_text).key == expected


@given(_KEYS)
def test_the_bucket_is_the_root(key: PurePosixPath) -> None:
    path = ObjectName("s3", key)
    assert [p.key for p in path.parents] == [p for p in key.parents if p.parts]
    top = ObjectName("s3", key.parts[0])
    assert top.parent == top
    assert (path.parent.key == key.parent) == (len(key.parts) > 1)


@given(_KEYS, _KEYS)
def test_ways_from_one_to_the_other(one: PurePosixPath, two: PurePosixPath) -> None:
    path, other = ObjectName("s3", one), ObjectName("s3", two)
    assert path.is_relative_to(other) == one.is_relative_to(two)
    below = ObjectName("s3", one / two)
    assert below.relative_to(path) == Path(two)
    assert (path == other) == (one == two)
    assert (path < other) == (f"s3://{one}" < f"s3://{two}")
    assert hash(path) == hash(ObjectName("s3", str(one)))


def test_other_stores_and_this_machine_lie_elsewhere() -> None:
    path = ObjectName("s3", "b/x")
    assert path != ObjectName("gs", "b/x")
    assert not path.is_relative_to(Path("b"))
    assert not path.is_relative_to(ObjectName("gs", "b"))
    with pytest.raises(ValueError, match="does not lie in"):
        path.relative_to(ObjectName("gs", "b"))
    with pytest.raises(ValueError, match="does not lie in"):
        path.relative_to("b")


def test_it_is_no_file_of_this_machine() -> None:
    with pytest.raises(OSError, match="not a file of this machine"):
        os.fspath(ObjectName("s3", "b/x"))


def test_it_is_absolute_and_travels() -> None:
    path = ObjectName("s3", "b/x y")
    assert path.resolve() == path.absolute() == path.expanduser() == path
    assert path.is_absolute()
    assert pickle.loads(pickle.dumps(path)) == path
    assert repr(path) == "ObjectName('s3://b/x y')"

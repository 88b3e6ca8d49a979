"""A file read from its start is that file, and costs as little as is read of it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.storage.kept_objects import START
from fastcam.storage.listing import listed
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath
from fastcam.storage.object_starts import by_starts, header_of, starts_ahead
from tests.object_server import ObjectServer

_CONTENT = bytes(range(256)) * (START // 256) + b"behind the start" * 100
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, START + 50)),
        st.tuples(st.just("seek"), st.integers(0, len(_CONTENT) + 50)),
        st.tuples(st.just("end"), st.integers(-2 * START, 0)),
    ),
    max_size=6,
)


@given(length=st.sampled_from([0, 5, START - 1, START, START + 1, len(_CONTENT)]), steps=_STEPS)
def test_it_reads_as_the_file_does(length: int, steps: list[tuple[str, int]]) -> None:
    path = as_path("memory://starts/x")
    path.write_bytes(_CONTENT[:length])
    with header_of(path) as stream, io.BytesIO(_CONTENT[:length]) as expected:
        for step, number in steps:
            if step == "read":
                assert stream.read(number) == expected.read(number)
            elif step == "seek":
                assert stream.seek(number) == expected.seek(number)
            else:
                number = max(number, -length)
                assert stream.seek(number, os.SEEK_END) == expected.seek(number, os.SEEK_END)


def test_a_header_costs_one_small_request(
    bucket: ObjectPath, object_server: ObjectServer, tmp_path: Path
) -> None:
    path = bucket / "x.nii.gz"
    path.write_bytes(_CONTENT)
    with listed(bucket):
        assert path.is_file()
        object_server.requests = []
        with header_of(path, buffered=False) as stream:
            assert stream.read(1 << 19) == _CONTENT[:START]
            assert len(object_server.requests) == 1
            assert stream.read() == _CONTENT[START:]
            assert len(object_server.requests) == 2
    (tmp_path / "x").write_bytes(_CONTENT)
    with header_of(tmp_path / "x") as stream:
        assert stream.read() == _CONTENT


def test_starts_are_fetched_side_by_side_and_once(
    bucket: ObjectPath, object_server: ObjectServer, tmp_path: Path
) -> None:
    paths: list[Path] = [bucket / f"{number}.dcm" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d" % number + _CONTENT)
    (tmp_path / "5").write_bytes(b"5")
    paths += [bucket / "none", tmp_path / "5"]

    def first(path: Path) -> bytes:
        if path.name == "none":
            return b"-"
        with header_of(path) as stream:
            return stream.read(1)

    with listed(bucket):
        assert not paths[5].exists()
        for requests in (6, 1):  # the one that isn't there is asked for again
            object_server.requests = []
            assert by_starts(first, paths) == [b"0", b"1", b"2", b"3", b"4", b"-", b"5"]
            assert len(object_server.requests) == requests
        paths[2].write_bytes(b"X" + _CONTENT)
        assert paths[2].exists()
        assert by_starts(first, paths)[2] == b"X"


def test_the_start_of_an_object_whose_start_is_known(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    (bucket / "x").write_bytes(_CONTENT)
    (bucket / "short").write_bytes(b"short")
    with starts_ahead([bucket / "x", bucket / "short"]):
        object_server.requests = []
        assert (bucket / "x").read_start(132) == _CONTENT[:132]
        assert (bucket / "short").read_start(START + 1) == b"short"
        assert object_server.requests == []
        assert (bucket / "x").read_start(START + 1) == _CONTENT[: START + 1]
        assert object_server.requests != []
    assert (bucket / "x").read_bytes() == _CONTENT


def test_errors_come_where_it_is_read(bucket: ObjectPath) -> None:
    with pytest.raises(FileNotFoundError), header_of(bucket / "none"):
        pass

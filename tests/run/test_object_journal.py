"""Journals in buckets: rows are there after every stop, each once, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.errors import OutputError
from fastcam.run.input_files import InputRecord
from fastcam.run.object_journal import journal_text, open_journal, parts_folder
from fastcam.storage.object_path import ObjectPath
from tests.object_server import ObjectServer

_COLUMNS = ["place", "path", "size", "modified", "checksum"]


def row(place: int, path: str = 'a,"b"\né.png') -> InputRecord:
    return InputRecord(place, path, place * 2, place * 3, "f")


def opened(path: Path):
    return open_journal(path, _COLUMNS, InputRecord.of_cells)


def begun(path: Path):
    journal = opened(path)
    journal.replace(())
    return journal


@pytest.fixture(params=["local", "bucket"])
def path(request: pytest.FixtureRequest, tmp_path: Path, bucket: ObjectPath) -> Path:
    return (tmp_path if request.param == "local" else bucket) / "figures.csv"


def test_rows_are_read_as_they_were_added(path: Path) -> None:
    rows = [row(n) for n in range(1, 30)]
    journal = begun(path)
    for start in range(0, 29, 10):
        journal.add(rows[start : start + 10])
        journal.flush()
    assert journal.rows() == rows
    journal.close()
    later = opened(path)
    assert later.rows() == rows
    later.add([row(99)])
    later.close()
    assert opened(path).rows() == [*rows, row(99)]


def test_rows_stand_there_once_after_they_were_read_and_replaced(path: Path) -> None:
    journal = begun(path)
    for number in range(5):
        journal.add([row(number)])
        assert journal.rows() == [row(n) for n in range(number + 1)]
    journal.replace(journal.rows()[1:])
    journal.add([row(9)])
    journal.close()
    expected = [row(1), row(2), row(3), row(4), row(9)]
    assert opened(path).rows() == expected
    assert journal_text(path).count("\r\n") == 6


def test_a_run_that_is_killed_leaves_what_was_put(bucket: ObjectPath) -> None:
    path = bucket / "figures.csv"
    journal = begun(path)
    journal.add([row(1), row(2)])
    journal.flush()
    journal.add([row(3)])
    del journal  # as after kill -9: nothing is closed
    assert opened(path).rows() == [row(1), row(2)]


def test_rows_of_two_runs_that_were_killed_keep_their_order(bucket: ObjectPath) -> None:
    path = bucket / "figures.csv"
    begun(path).close()
    for run in range(3):
        journal = opened(path)
        journal.rows()
        for part in range(3):
            journal.add([row(10 * run + part)])
            journal.flush()
        del journal
    places = [record.place for record in opened(path).rows()]
    assert places == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_rows_wait_for_a_while(
    bucket: ObjectPath, object_server: ObjectServer, monkeypatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    journal = begun(bucket / "figures.csv")
    assert not journal.due
    journal.add([row(1)])
    assert not journal.due
    now[0] += 2.5
    assert journal.due
    journal.flush()
    assert not journal.due
    monkeypatch.setattr("fastcam.run.object_journal._ROWS", 3)
    journal.add([row(2), row(3)])
    assert not journal.due
    journal.add([row(4)])
    assert journal.due


def test_nothing_is_lost_where_a_put_fails(bucket: ObjectPath, object_server: ObjectServer) -> None:
    journal = begun(bucket / "figures.csv")
    journal.add([row(1)])
    object_server.fault = lambda method, path: (403, "AccessDenied") if method == "PUT" else None
    with pytest.raises(OutputError, match="can't be written"):
        journal.flush()
    object_server.reset()
    journal.add([row(2)])
    journal.close()
    assert opened(bucket / "figures.csv").rows() == [row(1), row(2)]


def test_a_replacement_that_fails_loses_nothing(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    path = bucket / "figures.csv"
    journal = begun(path)
    journal.add([row(1), row(2)])
    journal.flush()
    for refused in ("PUT", "POST"):  # of the whole, and of the parts' removal

        def fault(method: str, url: str, refused: str = refused) -> tuple[int, str] | None:
            return (403, "AccessDenied") if method == refused else None

        object_server.fault = fault
        with pytest.raises(OutputError):
            journal.replace([row(1), row(2)])
        object_server.reset()
        assert set(opened(path).rows()) == {row(1), row(2)}


def test_where_there_is_none(bucket: ObjectPath) -> None:
    path = bucket / "figures.csv"
    with pytest.raises(FileNotFoundError):
        journal_text(path)
    assert opened(path).rows() == []
    assert parts_folder(path) == bucket / "figures.csv.parts"

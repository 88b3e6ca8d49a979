from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcam.errors import OutputError
from fastcam.run.files import remove, remove_leftovers, write_bytes, write_text


def test_pieces_are_joined_and_no_temporary_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "切片 1.png"
    write_bytes(target, [b"abc", memoryview(b"def"), b""])
    assert target.read_bytes() == b"abcdef"
    assert list(tmp_path.iterdir()) == [target]


def test_views_of_wide_elements_are_written_whole(tmp_path: Path) -> None:
    words = memoryview(b"12345678").cast("I")
    write_bytes(tmp_path / "words", [words])
    assert (tmp_path / "words").read_bytes() == b"12345678"


def test_what_is_there_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"a longer text from before")
    write_bytes(target, [b"new"])
    assert target.read_bytes() == b"new"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    write_bytes(tmp_path / "a", [b"0123456789", b"abcd"])
    assert (tmp_path / "a").read_bytes() == b"0123456789abcd"


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EIO, "Input/output error")],
)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    write, calls = os.write, []

    def fill_up(descriptor: int, data: bytes) -> int:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(code, os.strerror(code))
        return write(descriptor, data[:2])

    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(OutputError) as caught:
        write_bytes(target, [b"new text"])
    message = str(caught.value)
    assert str(target) in message
    assert words in message
    assert "\n" not in message
    assert isinstance(caught.value.__cause__, OSError)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", pieces())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/a", "file/a", "folder"])
def test_places_that_cannot_be_written_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=f"{name}: can't be written: .*--output-dir"):
        write_bytes(tmp_path / name, [b"x"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_names_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    longest = tmp_path / ("é" * 125 + ".png")
    write_bytes(longest, [b"x"])
    assert longest.read_bytes() == b"x"
    with pytest.raises(OutputError, match="name is too long"):
        write_bytes(tmp_path / ("a" * 300), [b"x"])


def test_two_threads_writing_one_file_never_mix(tmp_path: Path) -> None:
    target = tmp_path / "a"
    both_are_halfway = threading.Barrier(2, timeout=60)
    failed: list[OutputError] = []

    def pieces(letter: bytes) -> Iterator[bytes]:
        yield letter * 1000
        both_are_halfway.wait()
        yield letter * 1000

    def write(letter: bytes) -> None:
        try:
            write_bytes(target, pieces(letter))
        except OutputError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert target.read_bytes() in (b"a" * 2000, b"b" * 2000)
    assert list(tmp_path.iterdir()) == [target]


def test_text_is_utf8_and_broken_letters_become_escapes(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "患者 \udcff\n")
    assert (tmp_path / "a").read_bytes() == "患者 \\udcff\n".encode()


def test_remove_takes_whatever_is_there(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "a").touch()
    (tmp_path / "file").touch()
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("folder", "file", "link", "nothing"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from fastcam.run.files import write_bytes

def pieces():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)

write_bytes(Path(sys.argv[1]), pieces())
"""


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    below = tmp_path / "below" / "deeper"
    below.mkdir(parents=True)
    mine = {".tmp-of-the-user", ".tmp-a-b-c", "result"}
    for name in mine:
        (tmp_path / name).touch()
    running = tmp_path / f".tmp-figure.png-{os.getpid()}-1"
    running.touch()
    for folder in (tmp_path, below):
        command = [sys.executable, "-c", _KILLED, str(folder / "figure-1.png")]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*mine, running.name, "below"}
    assert len(list(below.iterdir())) == 1
    remove_leftovers(tmp_path, "**/")
    assert list(below.iterdir()) == []

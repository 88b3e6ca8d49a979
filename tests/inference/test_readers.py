"""Processes that read ahead, and signals that arrive while they are started."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import GeneratorType

import pytest
from torch.utils.data import DataLoader, Dataset

from fastcam.errors import SchedulerError
from fastcam.inference.readers import await_turn, read_ahead

_STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Blocked(Dataset[list[int]]):
    """The signals that a reader has blocked."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: int) -> list[int]:
        return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


@pytest.fixture
def signal_at_forks() -> Iterator[list[bool]]:
    """SIGINT to this process right after each of its forks; for as long as the list isn't empty."""
    active = [True]

    def send() -> None:
        if active:
            os.kill(os.getpid(), signal.SIGINT)

    os.register_at_fork(after_in_parent=send)
    yield active
    active.clear()


def test_a_stop_while_readers_start_is_not_lost(signal_at_forks: list[bool]) -> None:
    with pytest.raises(KeyboardInterrupt):
        read_ahead(Blocked(), 1, 1, batch_size=None)
    signal_at_forks.clear()
    assert not _STOPS & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_readers_can_be_stopped() -> None:
    (blocked,) = read_ahead(Blocked(), 1, 1, batch_size=None)
    assert not _STOPS & set(blocked)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", SchedulerError),
        ("something else", RuntimeError),
    ],
)
def test_a_reader_that_is_killed_while_they_start(
    monkeypatch: pytest.MonkeyPatch, reason: str, error: type[Exception]
) -> None:
    before = signal.getsignal(signal.SIGCHLD)

    def start(_: DataLoader[object]) -> Iterator[object]:
        # As PyTorch's handler does, which is set by then.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        raise RuntimeError(reason)

    monkeypatch.setattr(DataLoader, "__iter__", start)
    with pytest.raises(error):
        read_ahead(Blocked(), 1, 1, batch_size=None)
    assert signal.getsignal(signal.SIGCHLD) is before


class Ending:
    """A reader whose exit code is known only when it was asked for a few times."""

    def __init__(self, *codes: int | None) -> None:
        self._codes = list(codes)

    @property
    def exitcode(self) -> int | None:
        return self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]


class Broken:
    """An iterator of a DataLoader whose connection to its readers breaks."""

    def __init__(self, *readers: Ending) -> None:
        self._workers = readers

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        raise ConnectionResetError


@pytest.mark.parametrize(
    ("readers", "error"),
    [
        ([Ending(None, None, -signal.SIGKILL)], SchedulerError),
        ([Ending(0), Ending(None, None, None, -signal.SIGKILL)], SchedulerError),
        ([Ending(None)], ConnectionResetError),
        ([Ending(0), Ending(0)], ConnectionResetError),
    ],
)
def test_a_connection_breaks_before_its_reader_counts_as_ended(
    monkeypatch: pytest.MonkeyPatch, readers: list[Ending], error: type[Exception]
) -> None:
    monkeypatch.setattr(DataLoader, "__iter__", lambda _: Broken(*readers))
    with pytest.raises(error):
        next(read_ahead(Blocked(), 1, 1, batch_size=None))


_FAULTS = """
import resource
import numpy as np
from fastcam.run.freed_memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones((4, 512, 512), np.uint8) + 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_readers_keep_the_memory_of_arrays() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True
    )
    before, after = map(int, run.stdout.split())
    assert before > 1000
    assert after < before / 10


class Counted(Dataset[int]):
    """Numbers, of each of which a file tells that it was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> int:
        await_turn()
        (self.folder / str(index)).touch()
        return index

    def read(self) -> int:
        return len(list(self.folder.iterdir()))


def test_readers_in_turns_rest_while_the_caller_works(tmp_path: Path) -> None:
    data = Counted(tmp_path)
    found = []
    for batch in read_ahead(data, 2, 2, True, batch_size=2, collate_fn=list):
        before = data.read()
        time.sleep(0.05)
        # What each of them had begun when the batch was there.
        assert data.read() <= before + 2
        found.append(batch)
    assert found == [[i, i + 1] for i in range(0, 24, 2)]


def test_readers_in_turns_end_with_a_caller_that_leaves(tmp_path: Path) -> None:
    ahead = read_ahead(Counted(tmp_path), 2, 2, True, batch_size=2, collate_fn=list)
    assert next(ahead) == [0, 1]
    assert isinstance(ahead, GeneratorType)
    readers = ahead.gi_frame.f_locals["iterator"]._workers
    ahead.close()
    del ahead
    # PyTorch kills readers that don't end within five seconds.
    assert [reader.exitcode for reader in readers] == [0, 0]


def test_a_reader_goes_on_when_its_turn_does_not_come(tmp_path: Path) -> None:
    data = Counted(tmp_path)
    ahead = read_ahead(data, 1, 2, True, batch_size=1, collate_fn=list)
    next(ahead)
    last = time.monotonic() + 20
    while data.read() < 3 and time.monotonic() < last:
        time.sleep(0.1)
    assert data.read() >= 3

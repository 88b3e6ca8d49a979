"""``progress.json``: what a run writes while it goes on, and what others read of it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastcam.errors import InputError, OutputError
from fastcam.run.progress import NoProgress, count_failures
from fastcam.run.run_status import PROGRESS, RunStatus, read_state, unfinished_run
from fastcam.storage.object_path import ObjectPath
from tests.object_server import ObjectServer
from tests.process_tree import wait_until


class _Calls(NoProgress):
    def __init__(self) -> None:
        self.calls: list[object] = []

    def begin(self, what: str, total: int) -> None:
        self.calls.append((what, total))

    def advance(self, count: int) -> None:
        self.calls.append(count)


def test_a_run_from_begin_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("fastcam.run.run_status.time.monotonic", lambda: now)
    shown = _Calls()
    with RunStatus(tmp_path, "render", shown) as status:
        assert not list(tmp_path.iterdir()), "the folder may still be another run's"
        status.begin("figures", 10)
        now += 4
        count_failures(status, 2)
        status.advance(8)
        state = read_state(tmp_path)
        assert (state.command, state.status, state.process) == ("render", "running", os.getpid())
        assert (state.unit, state.total, state.done, state.left) == ("figures", 10, 8, 2)
        assert (state.per_second, state.seconds_left, state.failed) == (2.0, 1.0, 2)
        now += 0.5
        status.advance(1)  # so soon after the last it isn't written
        assert read_state(tmp_path).done == 8
    state = read_state(tmp_path)
    assert (state.status, state.done, state.seconds_left) == ("finished", 9, None)
    assert state.started <= state.updated
    assert shown.calls == [("figures", 10), 8, 1]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", ""),
        (OutputError("x: the disk is full"), "failed", "x: the disk is full"),
        (RuntimeError("a\nb"), "failed", "RuntimeError: a\\nb"),
    ],
)
def test_how_a_run_ended(tmp_path: Path, error: BaseException, status: str, reason: str) -> None:
    def run() -> None:
        with RunStatus(tmp_path, "infer", NoProgress()) as shown:
            shown.begin("images", 3)
            raise error

    with pytest.raises(type(error)):
        run()
    state = read_state(tmp_path)
    assert (state.status, state.reason) == (status, reason)


class _Notes(NoProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


_UNSAID = (
    "the last run, of fastcam infer, ended without saying so (it was killed, or its folder could "
    "not be written to) after at least 0 of 70 images"
)


def test_the_next_run_says_that_the_last_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path;"
        "from fastcam.run.progress import NoProgress; from fastcam.run.run_status import RunStatus;"
        "status = RunStatus(Path(sys.argv[1]), 'infer', NoProgress());"
        "status.begin('images', 70); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    shown = _Notes()
    with RunStatus(tmp_path, "infer", shown) as status:
        status.begin("images", 70)
    assert shown.notes == [f"{tmp_path}: {_UNSAID}"]
    shown.notes.clear()
    with RunStatus(tmp_path, "infer", shown):
        pass
    assert shown.notes == []


def test_the_next_run_says_why_the_last_failed(tmp_path: Path) -> None:
    def run() -> None:
        with RunStatus(tmp_path, "infer", NoProgress()) as status:
            status.begin("images", 70)
            raise InputError("s3://b/in/x.png: can't be read: SlowDown")

    with pytest.raises(InputError):
        run()
    assert unfinished_run(tmp_path) == (
        "the last run, of fastcam infer, failed after 0 of 70 images: "
        "s3://b/in/x.png: can't be read: SlowDown"
    )


def test_a_run_whose_folder_was_lost_is_not_said_to_have_been_killed(
    bucket: ObjectPath, object_server: ObjectServer
) -> None:
    """Nobody can know: its state could not be written any more."""
    code = (
        "import sys; from fastcam.run.progress import NoProgress;"
        "from fastcam.run.run_status import RunStatus;"
        "from fastcam.storage.locations import as_path;"
        "status = RunStatus(as_path(sys.argv[1]), 'infer', NoProgress());"
        "status.__enter__(); status.begin('images', 70); input();"
        "status.__exit__(None, PermissionError('the token has expired'), None)"
    )
    command = [sys.executable, "-c", code, str(bucket)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        wait_until(lambda: (bucket / PROGRESS).exists(), 60)
        object_server.fault = lambda method, path: (
            (403, "ExpiredToken") if method == "PUT" else None
        )
        process.communicate("\n", 60)
    assert process.returncode == 0
    object_server.fault = lambda method, path: None
    assert read_state(bucket).status == "dead"
    assert unfinished_run(bucket) == _UNSAID


def test_a_run_that_never_began_leaves_the_record_of_another(tmp_path: Path) -> None:
    with RunStatus(tmp_path, "infer", NoProgress()) as other:
        other.begin("images", 3)
        with pytest.raises(InputError), RunStatus(tmp_path, "infer", NoProgress()):
            raise InputError("another fastcam run is writing into this folder")
        assert read_state(tmp_path).status == "running"


def test_a_process_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from fastcam.run.progress import NoProgress\n"
        "from fastcam.run.run_status import RunStatus\n"
        "RunStatus(pathlib.Path(sys.argv[1]), 'infer', NoProgress()).begin('images', 3)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False, timeout=60)
    assert read_state(tmp_path).status == "dead"
    path = tmp_path / PROGRESS
    record = json.loads(path.read_text())
    record["process"]["host"] = "another"
    path.write_text(json.dumps(record))
    assert read_state(tmp_path).status == "running", "nobody knows from here"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"stage": 1}', "[" * 100_000, '{"status": "odd", "stage": {}}']
)
def test_files_that_say_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / PROGRESS).write_text(content)
    with pytest.raises(InputError, match="does not say how far a run is"):
        read_state(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / PROGRESS)
    with pytest.raises(InputError, match="can't be read: is not a regular file"):
        read_state(tmp_path)


def test_why_a_bucket_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        raise OSError(errno.EIO, "ExpiredToken: the token has expired", str(path))

    monkeypatch.setattr("fastcam.run.run_status.read_regular", refused)
    with pytest.raises(InputError, match=r"progress\.json: can't be read: ExpiredToken: the token"):
        read_state(Path("figures"))


def test_folders_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no progress\.json"):
        read_state(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        read_state(tmp_path / "missing")


def test_a_folder_that_cant_be_written_to_is_the_runs_own_matter(tmp_path: Path) -> None:
    (tmp_path / PROGRESS).mkdir()
    with RunStatus(tmp_path, "infer", NoProgress()) as status:
        status.begin("images", 3)
        status.end()


def test_other_progresses_count_no_failures() -> None:
    shown: Any = _Calls()
    count_failures(shown, 3)
    assert shown.calls == []

"""Output that can't be written: one clear line, exit code 1, no halves, and a rerun goes on."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ..messages import one_line

Call = Callable[..., Any]


def test_a_file_is_in_the_way(render: Call, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    outcome = render()
    assert outcome.code == 1
    assert str(tmp_path / "out") in one_line(outcome.err)
    outcome = render(output_dir=tmp_path / "out" / "below")
    assert outcome.code == 1
    assert "below" in one_line(outcome.err)
    assert (tmp_path / "out").read_text() == "mine"


def test_output_folder_that_cannot_be_made(render: Call) -> None:
    outcome = render(output_dir=Path("/proc/fastcam"))
    assert outcome.code == 1
    assert "/proc/fastcam: can't be made" in one_line(outcome.err)


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_pictures_that_cannot_be_written(
    render: Call, tmp_path: Path, whole: Call, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    real = os.open

    def refuse(path: Any, *args: Any, **more: Any) -> int:
        if ".png" in str(path):
            raise OSError(reason, os.strerror(reason), str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", refuse)
    outcome = render()
    monkeypatch.undo()
    assert outcome.code == 1
    assert "choose another --output-dir" in one_line(outcome.err)
    assert str(tmp_path / "out") in outcome.err
    whole(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("spared", [0, 1, 7])
def test_full_disk(
    render: Call,
    tmp_path: Path,
    whole: Call,
    rows: Call,
    monkeypatch: pytest.MonkeyPatch,
    spared: int,
) -> None:
    real, written = os.write, 0

    def fill(descriptor: int, data: Any) -> int:
        nonlocal written
        if bytes(data[:4]) == b"\x89PNG" or len(data) > 5000:
            written += 1
            if written > spared:
                real(descriptor, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", fill)
    outcome = render("--mode", "all_slices")
    monkeypatch.undo()
    assert outcome.code == 1
    line = one_line(outcome.err)
    assert "the disk is full" in line
    assert ".png" in line
    out = tmp_path / "out"
    whole(out)
    for path in out.glob("*/*.png"):
        Image.open(path).load()
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    assert all((out / row["path"]).is_file() for row in rows(out / "figures.csv"))
    again = render("--mode", "all_slices")
    assert again.code == 0
    assert len(list(out.glob("*/*.png"))) == 12


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if not mount or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full(render: Call, tiny_disk: Path, whole: Call, rows: Call) -> None:
    out = tiny_disk / "out"
    outcome = render("--mode", "all_slices", "--panel-size", 400, output_dir=out)
    assert outcome.code == 1
    assert "the disk is full" in one_line(outcome.err)
    whole(out)
    for path in out.glob("*/*.png"):
        Image.open(path).load()
    assert all((out / row["path"]).is_file() for row in rows(out / "figures.csv"))

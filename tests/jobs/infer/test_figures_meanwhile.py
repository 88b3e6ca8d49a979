"""What a run passes on of the process that draws its figures, and how it ends where that fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastcam
from fastcam.jobs.infer import figures_meanwhile
from fastcam.jobs.infer.figures_meanwhile import FiguresMeanwhile
from tests.jobs.render.test_follow import MODEL, OPTIONS
from tests.noise_pictures import save_noise
from tests.process_tree import wait_until


class Noted:
    """A progress that keeps the lines it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def begin(self, what: str, total: int) -> None: ...
    def advance(self, count: int) -> None: ...
    def end(self) -> None: ...


def meanwhile(progress: Noted, program: str) -> FiguresMeanwhile:
    """One whose process is a program of Python."""
    made = FiguresMeanwhile(Path("run.zarr"), Path("figures"), progress, overwrite=False)
    made._command = [sys.executable, "-c", program]
    return made


def test_what_the_process_says_is_noted() -> None:
    progress = Noted()
    said = "print('fastcam: warning: odd', file=sys.stderr); print('drawn \\u56fe \\udc80')"
    program = f"import sys; {said}"
    assert meanwhile(progress, program).wait()
    assert progress.lines == ["fastcam: warning: odd", "drawn 图 \\udc80"]


def test_its_error_is_said_once_at_the_end() -> None:
    progress = Noted()
    drawing = meanwhile(progress, "import sys; sys.exit('fastcam: s3://b/f: no such bucket')")
    for _ in range(20):  # the run itself goes on, and ends soon
        drawing.advance(1)
        time.sleep(0.05)
    assert progress.lines == []
    assert not drawing.wait()
    (line,) = progress.lines
    assert line == drawing.outcome
    assert "exit code 1 (s3://b/f: no such bucket); fastcam render run.zarr" in line


def test_a_run_that_goes_on_says_that_its_figures_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures_meanwhile, "_PATIENCE", 0.1)
    progress = Noted()
    drawing = meanwhile(progress, "raise SystemExit(2)")

    def said() -> bool:
        drawing.advance(1)
        return bool(progress.lines)

    wait_until(said, 60)
    for _ in range(5):
        drawing.advance(1)
        time.sleep(0.1)
    assert not drawing.wait()
    assert len(progress.lines) == 1
    assert "figures: drawing them ended with exit code 2; fastcam render" in progress.lines[0]


def test_some_failed_figures_are_a_failure_but_no_line_more() -> None:
    progress = Noted()
    drawing = meanwhile(progress, "print('2 failed'); raise SystemExit(3)")
    assert not drawing.wait()
    assert progress.lines == ["2 failed"]
    assert drawing.outcome == "figures: figures"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(MODEL)
    return save_noise(tmp_path / "images", "0123")


def test_figures_that_fail_are_no_success(images: Path, tmp_path: Path) -> None:
    model, figures = f"{tmp_path / 'net.py'}:Net", tmp_path / "figures"
    figures.write_text("in the way")
    progress = Noted()
    report = fastcam.infer(
        model, images, tmp_path / "run", render=figures, progress=progress, **OPTIONS
    )
    assert (report.done, report.failed, report.exit_code) == (4, 0, 3)
    assert report.notes[-1] == progress.lines[-1]
    assert f"({figures}: can't be made: a file of that name is in the way" in report.notes[-1]
    figures.unlink()
    report = fastcam.infer(model, images, tmp_path / "run", render=figures, **OPTIONS)
    assert report.exit_code == 0
    assert len(list(figures.glob("*.png"))) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_figures_of_a_run_that_is_killed_are_drawn(images: Path, tmp_path: Path) -> None:
    """Though nobody reads what the process that draws them says."""
    model, run, figures = f"{tmp_path / 'net.py'}:Net", tmp_path / "run", tmp_path / "figures"
    net = tmp_path / "net.py"
    # Of the last images it is killed, when the figures of the first are being drawn.
    net.write_text(
        MODEL.replace("def forward(self, x):", "def forward(self, x):\n        hold(self)")
        + HOLD.replace("FIGURES", repr(str(figures)))
    )
    options = "--method gradcam --layer layer --batch-size 1 --workers 0 --device cpu"
    command = [sys.executable, "-m", "fastcam", "infer", str(images), "--model", model]
    command += ["--output-dir", str(run), "--render", str(figures), *options.split()]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL

    def status() -> str:
        file = figures / "run.json"
        return str(json.loads(file.read_text())["status"]) if file.exists() else "running"

    wait_until(lambda: (figures / "index.html").exists() and status() != "running", 120)
    assert status() == "finished"
    assert 0 < len(list(figures.glob("*.png"))) < 4


HOLD = """

calls = [0]

def hold(net):
    import os, signal, time
    from pathlib import Path
    calls[0] += 1
    figures = Path(FIGURES)
    if figures.parent.joinpath("run/progress.json").exists() and calls[0] > 6:
        while not figures.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
"""

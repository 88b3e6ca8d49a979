"""``fastcam.render`` as a function."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import fastcam
from fastcam.demo.neck_set import SyntheticSet


class _RecordingProgress:
    """A progress that keeps its calls, and the addresses on which the process then listens."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.addresses: set[str] = set()

    def note(self, text: str) -> None:
        self.calls.append((text, 0))

    def begin(self, what: str, total: int) -> None:
        self.calls.append((what, total))
        connections = psutil.Process().net_connections(kind="inet")
        self.addresses |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}

    def advance(self, count: int) -> None:
        self.calls.append(("+", count))

    def end(self) -> None:
        self.calls.append(("end", 0))


def test_render(neck: SyntheticSet, tmp_path: Path) -> None:
    progress = _RecordingProgress()
    report = fastcam.render(
        str(neck.results),
        root_dir=str(neck.images),
        output_dir=tmp_path / "out",
        workers=1,
        panel_size=96,
        analyze_stats=True,
        progress=progress,
    )
    assert (report.cases, report.planned, report.drawn, report.failed) == (3, 3, 3, 0)
    assert report.exit_code == 0
    assert report.failures == []
    assert [path.name for path in report.statistics] == [
        "statistics.json",
        "statistics.csv",
        "statistics.png",
    ]
    stages = [call for call in progress.calls if call[1]]  # without notes and ends
    assert stages[0] == ("figures", 3)
    assert sum(count for what, count in stages if what == "+") == 6
    assert ("cases measured", 3) in stages
    assert progress.addresses <= {"127.0.0.1"}  # nobody else on the network may look in


def test_errors_are_typed(neck: SyntheticSet, tmp_path: Path) -> None:
    with pytest.raises(fastcam.InputError, match="workers 0"):
        fastcam.render(neck.results, root_dir=neck.images, output_dir=tmp_path / "out", workers=0)
    with pytest.raises(fastcam.InputError, match="'middle'"):
        fastcam.render(
            neck.results,
            root_dir=neck.images,
            output_dir=tmp_path / "out",
            mode="middle",  # type: ignore[arg-type]
        )
    (tmp_path / "file").touch()
    with pytest.raises(fastcam.OutputError, match="file"):
        fastcam.render(neck.results, root_dir=neck.images, output_dir=tmp_path / "file", workers=1)


def test_an_interrupt_goes_on(neck: SyntheticSet, tmp_path: Path) -> None:
    class Impatient(_RecordingProgress):
        def advance(self, count: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fastcam.render(
            neck.results,
            root_dir=neck.images,
            output_dir=tmp_path / "out",
            workers=1,
            panel_size=96,
            progress=Impatient(),
        )
    again = fastcam.render(
        neck.results, root_dir=neck.images, output_dir=tmp_path / "out", workers=1, panel_size=96
    )
    assert again.already == 3


def test_open_store(neck: SyntheticSet, tmp_path: Path) -> None:
    fastcam.render(
        neck.results, root_dir=neck.images, output_dir=tmp_path / "out", workers=1, panel_size=96
    )
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    assert [case.name for case in store.cases] == ["neck_001", "neck_002", "neck_003"]


def test_names() -> None:
    assert set(fastcam.__all__) == set(dir(fastcam))
    for name in fastcam.__all__:
        assert getattr(fastcam, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fastcam.nothing


def test_drawing_imports_no_torch(neck: SyntheticSet, tmp_path: Path) -> None:
    code = (
        "import sys, fastcam\n"
        "fastcam.render(sys.argv[1], root_dir=sys.argv[2], output_dir=sys.argv[3], workers=1,"
        " panel_size=96)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, neck.results, neck.images, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert done.stdout == "False\n"

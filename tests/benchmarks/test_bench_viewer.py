from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .quick_run import quick_run


@pytest.mark.skipif(
    shutil.which("chromium") is None and shutil.which("chromium-browser") is None,
    reason="no Chromium here: apt-get install chromium",
)
def test_the_view_benchmark_still_runs(tmp_path: Path):
    report, _ = quick_run("bench_viewer", tmp_path)
    assert len(report["wheel"]) > 0
    assert len(report["slider"]) > 0
    assert report["first"] > 0
    assert 0 < report["memory"] < 4096

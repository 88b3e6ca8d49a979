from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_cam_benchmark_still_runs(tmp_path: Path):
    report, _ = quick_run("bench_cam", tmp_path)
    for ways in report["time"].values():
        assert {"forward", "fastcam", "fastcam 4 layers", "fastcam 14 classes"} <= set(ways)
        assert all(spent["process"] > 0 for spent in ways.values())
    assert set(report["memory MiB"]) == {"forward", "fastcam"}

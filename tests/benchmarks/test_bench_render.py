from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_figure_benchmark_still_runs(tmp_path: Path):
    reports, output = quick_run("bench_render", tmp_path, "--content", "noise")
    report = reports["noise"]
    assert set(report["ms"]) == set(report["KiB"]) == {"fastcam", "floor", "opencv", "matplotlib"}
    assert all(value > 0 for value in report["ms"].values())
    assert "x the floor" in output


def test_the_job_benchmark_still_runs(tmp_path: Path):
    runs, _ = quick_run("bench_job", tmp_path, "--folder", str(tmp_path))
    assert {run["name"] for run in runs} >= {"1 workers", "2 workers"}
    assert all(run["figures"] == 8 and run["pss_mib"] > 0 for run in runs)
    assert not (tmp_path / "figures").exists()

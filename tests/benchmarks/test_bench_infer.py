from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_infer_benchmark_still_runs(tmp_path: Path):
    reports, output = quick_run("bench_infer", tmp_path)
    assert reports["fp32"]["forward"] > 0
    assert reports["fp32"]["infer"] > 0
    assert "fp32: forward" in output


def test_without_a_model(tmp_path: Path):
    reports, output = quick_run("bench_infer", tmp_path, "--model-free", "--readers", "1")
    assert reports.keys() == {"jpg, 1 readers", "png16, 1 readers"}
    assert all(report["bare"] > 0 and report["infer"] > 0 for report in reports.values())
    assert "png16, 1 readers: bare" in output

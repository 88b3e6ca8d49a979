from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_infer_benchmark_still_runs(tmp_path: Path):
    reports, output = quick_run("bench_infer", tmp_path)
    assert reports["fp32"]["forward"] > 0
    assert reports["fp32"]["infer"] > 0
    assert "fp32: forward" in output

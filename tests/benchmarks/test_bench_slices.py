from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_slices_benchmark_still_runs(tmp_path: Path):
    report, _ = quick_run("bench_slices", tmp_path)
    assert report["png"] > 0
    assert report["volume"] > 0
    assert len(report["ratios"]) == 1

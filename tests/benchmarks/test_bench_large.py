from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_benchmark_of_large_sets_still_runs(tmp_path: Path):
    report, _ = quick_run("bench_large", tmp_path)
    stages = {"plan", "items", "open", "resume", "close", "page", "memory"}
    assert report["200"].keys() == stages
    assert report["3000 patches"]["file"] > 0

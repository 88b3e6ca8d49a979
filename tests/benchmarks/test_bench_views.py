from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_views_benchmark_still_runs(tmp_path: Path):
    reports, output = quick_run("bench_views", tmp_path)
    report = reports["vit_small, 1 thread"]
    assert {"forward", "pass", "seven", "usual"} <= set(report["ms"])
    assert "7 attention_rollout: numbers" in report["ms"]
    assert len(report["ms"]) == 4 + 3 * 7
    assert report["ratio"] > 0
    assert "seven by forward and drawing" in output

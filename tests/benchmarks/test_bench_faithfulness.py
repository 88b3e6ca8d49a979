from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_faithfulness_benchmark_still_runs(tmp_path: Path):
    report, output = quick_run("bench_faithfulness", tmp_path)
    assert set(report) == {"50", "5"}
    assert report["50"]["passes"] == 493
    assert report["50"]["verdicts"] == 1
    assert report["50"]["tau deletion"] == 1
    assert -1 <= report["5"]["tau insertion"] <= 1
    assert "5 steps: passes 43" in output

from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_evaluate_benchmark_still_runs(tmp_path: Path):
    report, output = quick_run("bench_evaluate", tmp_path, "--analyze")
    assert set(report["seconds"]) == {"forward", "evaluate", "analyze"}
    assert 0 < report["drawing"]["evaluate"] < report["seconds"]["evaluate"]
    assert set(report["ratio"]) == {"evaluate", "analyze"}
    assert "x the forward loop" in output


def test_the_speed_of_figures_is_measured(tmp_path: Path):
    report, output = quick_run("bench_evaluate", tmp_path, "--figures")
    assert set(report["ratios"]) == {"analyze", "evaluate"}
    (rates,) = report["megapixels_a_second"]
    assert report["ratios"]["analyze"] == [rates["analyze"] / rates["render of analyze"]]
    assert "x the speed of render" in output

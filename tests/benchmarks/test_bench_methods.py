from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_methods_benchmark_still_runs(tmp_path: Path):
    reports, output = quick_run("bench_methods", tmp_path)
    vit = reports["ViT-S/16, 197 tokens"]
    assert set(vit) == {"forward", "backward", "legrad", "chefer", "eager"}
    assert set(reports["RISE, 4 masks"]) == {"masked loop", "rise"}
    windows = reports["sliding windows"]
    assert set(windows) == {"inferer and maps", "windowed", "monai inferer"}
    assert set(reports["MiB at 197 tokens"]) == {"backward", "legrad"}
    times = [pair for title, of in reports.items() if "MiB" not in title for pair in of.values()]
    assert all(milliseconds > 0 and ratio > 0 for milliseconds, ratio in times)
    assert "integrated gradients, 2 steps" in output

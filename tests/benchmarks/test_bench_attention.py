from __future__ import annotations

from pathlib import Path

from .quick_run import quick_run


def test_the_attention_benchmark_still_runs(tmp_path: Path):
    reports, output = quick_run("bench_attention", tmp_path, "--way", "rollout")
    report = reports["197 tokens, cpu, 1 threads, batch 1"]
    assert set(report["ms"]) == set(report["MiB"]) == {"forward", "rollout"}
    assert all(milliseconds > 0 and ratio > 0 for milliseconds, ratio in report["ms"].values())
    assert "197 tokens" in output

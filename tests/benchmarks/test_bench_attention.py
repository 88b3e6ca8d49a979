from __future__ import annotations

import json
from pathlib import Path

from .test_bench_render import run


def test_the_attention_benchmark_still_runs(tmp_path: Path):
    done = run("bench_attention", "--way", "rollout", "--json", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())["197 tokens, cpu, 1 threads, batch 1"]
    assert set(found["ms"]) == set(found["MiB"]) == {"forward", "rollout"}
    assert all(milliseconds > 0 and ratio > 0 for milliseconds, ratio in found["ms"].values())
    assert "197 tokens" in done.stdout

from __future__ import annotations

import json
from pathlib import Path

from .test_bench_render import run


def test_the_views_benchmark_still_runs(tmp_path: Path):
    done = run("bench_views", "--json", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())["vit_small, 1 thread"]
    assert {"forward", "pass", "seven", "usual", "7 attention_rollout: numbers"} <= set(found["ms"])
    assert len(found["ms"]) == 4 + 3 * 7
    assert found["ratio"] > 0
    assert "seven by forward and drawing" in done.stdout

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_slices_benchmark_still_runs(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks.bench_slices", "--quick"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "found.json")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["png"] > 0
    assert found["volume"] > 0
    assert len(found["ratios"]) == 1

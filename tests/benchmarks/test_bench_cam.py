from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_cam_benchmark_still_runs(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks.bench_cam", "--quick", "--json", "found.json"]
    command[-1] = str(tmp_path / "found.json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    for ways in found["time"].values():
        assert {"forward", "fastcam", "fastcam 4 layers", "fastcam 14 classes"} <= set(ways)
        assert all(spent["process"] > 0 for spent in ways.values())
    assert set(found["memory MiB"]) == {"forward", "fastcam"}

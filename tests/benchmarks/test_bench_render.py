from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", "--quick", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_figure_benchmark_still_runs(tmp_path: Path):
    done = run("bench_render", "--content", "noise", "--json", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())["noise"]
    assert set(found["ms"]) == set(found["KiB"]) == {"fastcam", "floor", "opencv", "matplotlib"}
    assert all(value > 0 for value in found["ms"].values())
    assert "x the floor" in done.stdout


def test_the_job_benchmark_still_runs(tmp_path: Path):
    done = run("bench_job", "--folder", str(tmp_path), "--json", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr
    runs = json.loads((tmp_path / "found.json").read_text())
    assert {run["what"] for run in runs} >= {"1 workers", "2 workers"}
    assert all(run["figures"] == 8 and run["pss_mib"] > 0 for run in runs)
    assert not (tmp_path / "figures").exists()

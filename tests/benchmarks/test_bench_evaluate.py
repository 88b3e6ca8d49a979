from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_evaluate_benchmark_still_runs(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks.bench_evaluate", "--quick", "--analyze"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "found.json")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found["seconds"]) == {"forward", "evaluate", "analyze"}
    assert 0 < found["drawing"]["evaluate"] < found["seconds"]["evaluate"]
    assert set(found["ratio"]) == {"evaluate", "analyze"}
    assert "x the forward loop" in done.stdout


def test_the_speed_of_figures_is_measured(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks.bench_evaluate", "--quick", "--figures"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "found.json")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found["ratios"]) == {"analyze", "evaluate"}
    (rates,) = found["megapixels_a_second"]
    assert found["ratios"]["analyze"] == [rates["analyze"] / rates["render of analyze"]]
    assert "x the speed of render" in done.stdout

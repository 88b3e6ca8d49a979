from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(option: str, found: Path) -> tuple[Any, str]:
    """What the benchmark measures with an option, and what it prints."""
    command = [sys.executable, "-m", "benchmarks.bench_evaluate", "--quick", option]
    done = subprocess.run(
        [*command, "--json", str(found)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(found.read_text()), done.stdout


def test_the_evaluate_benchmark_still_runs(tmp_path: Path):
    found, said = run("--analyze", tmp_path / "found.json")
    assert set(found["seconds"]) == {"forward", "evaluate", "analyze"}
    assert 0 < found["drawing"]["evaluate"] < found["seconds"]["evaluate"]
    assert set(found["ratio"]) == {"evaluate", "analyze"}
    assert "x the forward loop" in said


def test_the_speed_of_figures_is_measured(tmp_path: Path):
    found, said = run("--figures", tmp_path / "found.json")
    assert set(found["ratios"]) == {"analyze", "evaluate"}
    (rates,) = found["megapixels_a_second"]
    assert found["ratios"]["analyze"] == [rates["analyze"] / rates["render of analyze"]]
    assert "x the speed of render" in said

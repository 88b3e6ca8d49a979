"""A benchmark run small, in a process of its own, as its tests do it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def quick_run(benchmark: str, folder: Path, *options: str) -> tuple[Any, str]:
    """What a benchmark measures, from the JSON file that it writes into ``folder``, and what it
    prints."""
    report = folder / "report.json"
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--quick", "--json", str(report)]
    process = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return json.loads(report.read_text()), process.stdout

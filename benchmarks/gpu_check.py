"""Everything that only a GPU shows, in one command of at most eight minutes: ``make gpu-check``.

The tests marked ``cuda``, then the benchmarks of CAMs, attention and whole runs on the GPU, and the
figures with up to sixteen workers, one after the other, since they are measured. What a step prints
and its numbers lie in ``build/gpu-check/``; the exit code is 1 where one failed, and 2 without a
GPU.

Run: python -m benchmarks.gpu_check [--limit SECONDS] [--output-dir DIR]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

LIMIT = 8 * 60


@dataclass(frozen=True)
class Step:
    """A command of the check.

    - ``name``: what its files are called
    - ``arguments``: of Python; ``--json FILE`` is added where it is a benchmark
    - ``seconds``: what it may take
    """

    name: str
    arguments: tuple[str, ...]
    seconds: int


def benchmark(name: str, seconds: int, options: str) -> Step:
    """A benchmark of this folder, with ``options``."""
    return Step(name, ("-m", f"benchmarks.bench_{name}", *options.split()), seconds)


STEPS = (
    Step("tests", ("-m", "pytest", "-q", "-m", "cuda", "tests/inference"), 90),
    benchmark(
        "infer",
        150,
        "--model resnet50 --model vit_base --precision bf16 --compile --batch 64 --images 512 "
        "--rounds 2",
    ),
    benchmark("cam", 90, "--batch 16 --rounds 2"),
    benchmark("attention", 60, "--device cuda --tokens 197 --rounds 2 --batch 16"),
    benchmark("job", 90, "--cases 20 --rounds 1"),
)


def run_steps(steps: Sequence[Step], limit: float, output_dir: Path) -> list[str]:
    """Run the steps within ``limit`` seconds in all; the names of those that failed.

    One that takes longer than it may is killed; those for which no time is left have failed.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + limit
    failed = []
    for step in steps:
        start = time.monotonic()
        left = min(step.seconds, end - start)
        command = [sys.executable, *step.arguments]
        if step.arguments[1].startswith("benchmarks."):
            command += ["--json", str(output_dir / f"{step.name}.json")]
        with (output_dir / f"{step.name}.txt").open("w", encoding="utf-8") as log:
            try:
                code = subprocess.run(
                    command, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=max(left, 0)
                ).returncode
                ending = "done" if code == 0 else f"failed with exit code {code}"
            except subprocess.TimeoutExpired:
                code, ending = -1, f"stopped after {max(left, 0):.0f} s"
        print(f"{step.name}: {ending}, {time.monotonic() - start:.0f} s", flush=True)
        print((output_dir / f"{step.name}.txt").read_text(encoding="utf-8"), flush=True)
        failed += [step.name] if code else []
    return failed


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds in all")
    parser.add_argument("--output-dir", type=Path, default=Path("build/gpu-check"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(
            f"gpu-check: PyTorch {torch.__version__} finds no GPU here; run it where there is one",
            file=sys.stderr,
        )
        return 2
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", flush=True)
    failed = run_steps(STEPS, options.limit, options.output_dir)
    print(f"results: {options.output_dir}; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""A whole job: 100 cases of 100 slices, 10,000 figures, with 1 and with 2 workers (up to 16).

Each run is a process of its own (`fastcam render --mode all_slices`), started cold, into an empty
folder; numbers of workers take turns, and a ratio is the median of those within the rounds. Memory
is that of all its processes together, looked at every five seconds: the sum of their proportional
set sizes, in which shared pages count once, and of their resident sizes, in which they count in
every process. It is looked at in one more run of each, after the rounds: the looks make one worker
a tenth slower, and two hardly.

`--bind` gives each run as many cores as it has workers, as on a machine with no more of them: one
worker uses up to two cores otherwise.
`--shapes 2x1,0x2` compares worker processes and threads in each (0: threads of the main process).

Run: python -m benchmarks.bench_job [--quick] [--folder DIR] [--rounds 2] [--bind] [--json FILE]
The test set (2.9 GB) and the figures (about 2 GB a run, removed after it) go into DIR.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fastcam.demo.neck_set import SyntheticSet, make_test_set
from fastcam.figures import warmup
from fastcam.jobs.render import job
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import Selection, Sources, Style
from fastcam.run import scheduler

_FIRST, _EVERY = 1.0, 5.0  # seconds before the first look at the memory, and between looks


@dataclass(frozen=True)
class Run:
    """One run of the job."""

    name: str
    seconds: float
    figures: int
    pss_mib: float
    rss_mib: float
    output_mib: float

    @property
    def rate(self) -> float:
        return self.figures / self.seconds


def _memory(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    import psutil

    pss = rss = 0
    try:
        root = psutil.Process(process.pid)
        for member in [root, *root.children(recursive=True)]:
            try:
                info = member.memory_full_info()
            except psutil.Error:
                continue
            pss += getattr(info, "pss", info.uss)
            rss += info.rss
    except psutil.Error:
        pass
    return pss / 2**20, rss / 2**20


@contextlib.contextmanager
def _bound(cores: int | None) -> Iterator[None]:
    """This process, and what it starts, on so many cores; on all of them for None."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_job(name: str, command: list[str], output: Path, cores: int | None, watched: bool) -> Run:
    """Run a command to its end, its memory ``watched`` or not."""
    shutil.rmtree(output, ignore_errors=True)
    start = time.perf_counter()
    with _bound(cores):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    pss = rss = 0.0
    wait = _FIRST
    if not watched:
        process.wait()
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=wait)
        wait = _EVERY
        now_pss, now_rss = _memory(process)
        pss, rss = max(pss, now_pss), max(rss, now_rss)
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    pictures = list(output.glob("*/*.png"))
    size = sum(path.stat().st_size for path in pictures) / 2**20
    shutil.rmtree(output)
    return Run(name, seconds, len(pictures), pss, rss, size)


def _render(inputs: SyntheticSet, output: Path, workers: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "fastcam.cli.main",
        "render",
        str(inputs.results),
        "--root-dir",
        str(inputs.images),
        "--mask-dir",
        str(inputs.masks),
        "--output-dir",
        str(output),
        "--mode",
        "all_slices",
        "--workers",
        workers,
    ]


def _shaped(inputs: SyntheticSet, output: Path, shape: str) -> list[str]:
    paths = [str(p) for p in (inputs.results, inputs.images, inputs.masks, output)]
    return [sys.executable, "-m", "benchmarks.bench_job", "--run-shape", shape, *paths]


def run_shape(shape: str, results: str, images: str, masks: str, output: str) -> None:
    """The job with so many processes and threads, whatever fastcam itself would choose."""
    processes, threads = map(int, shape.split("x"))
    scheduler.cluster_shape = lambda workers, figures: scheduler.ClusterShape(processes, threads)
    request = RenderRequest(
        results=Path(results),
        output_dir=Path(output),
        sources=Sources(Path(images), Path(masks)),
        style=Style(),
        selection=Selection("all_slices"),
    )
    job.render(request, workers=2)


def main() -> None:
    """Make the test set unless it is there, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 cases of 4 slices, for the tests")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--shapes", default="")
    parser.add_argument("--bind", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--run-shape", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run_shape:
        run_shape(*options.run_shape)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        cases, slices, size = (2, 4, 128) if options.quick else (options.cases, 100, 512)
        inputs = SyntheticSet(
            folder / "images", folder / "masks", folder / "results.pkl", folder / "truth.json"
        )
        if not inputs.truth.exists():
            print(f"making {cases} cases in {folder}", flush=True)
            make_test_set(folder, cases=cases, slices=slices, size=size, patches_per_slice=24)
        output = folder / "figures"
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        counts = [n for n in (1, 2, 4, 8, 16) if n == 1 or n <= max(cores, 2)]
        commands = (
            {shape: _shaped(inputs, output, shape) for shape in options.shapes.split(",")}
            if options.shapes
            else {f"{n} workers": _render(inputs, output, str(n)) for n in counts}
        )
        if warmup.needed():
            warmup.warm_up()  # compiling is no part of the job
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for turn in range(1 if options.quick else options.rounds):
            for name, command in commands.items():
                bound = int(name.split()[0]) if options.bind and not options.shapes else None
                runs[name].append(run_job(name, command, output, bound, watched=False))
                run = runs[name][-1]
                print(
                    f"round {turn + 1}  {name:>10}: {run.seconds:7.1f} s  {run.rate:6.0f} figures/s"
                    f"  {run.output_mib:6.0f} MiB written",
                    flush=True,
                )
        for name, command in commands.items():
            peak = run_job(name, command, output, None, watched=True)
            print(f"{name:>10}: peak {peak.pss_mib:5.0f} MiB PSS, {peak.rss_mib:5.0f} MiB RSS")
            runs[name] = [
                replace(run, pss_mib=peak.pss_mib, rss_mib=peak.rss_mib) for run in runs[name]
            ]
    first = next(iter(runs.values()))
    for name, rounds in runs.items():
        median = statistics.median(run.seconds for run in rounds)
        ratios = [alone.seconds / run.seconds for alone, run in zip(first, rounds, strict=True)]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{name:>10}: {median:7.1f} s, {statistics.median(ratios):.2f}x ({each})")
    if options.json:
        content = [asdict(run) for rounds in runs.values() for run in rounds]
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The parts of `fastcam render` that grow with the number of figures, drawing left out.

Cases of 100 slices with a patch each. The drawing is simulated: every figure is a file of a byte
that is listed as finished, so that sets of a million can be measured in minutes. Stages, each of
which is to grow no faster than the number of figures:

- ``plan``     what is to be drawn, when nothing has been
- ``items``    the plan cut into work items, and dealt out to two workers
- ``open``     the folder opened again: every listed file is looked at
- ``resume``   what is left to draw, when all of it is listed
- ``close``    the list written anew, in order
- ``page``     the page

Each number of figures is measured in a process of its own; ``memory`` is the most it took, less
what it took after its imports.

Run: python -m benchmarks.bench_large [--quick] [--figures N]... [--folder DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fastcam.jobs.render.gallery import write_page
from fastcam.jobs.render.patches.job import PatchSource
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import Selection, Sources, Style
from fastcam.read.results.case import Case
from fastcam.read.results.results import Results
from fastcam.run import file_names
from fastcam.run.folder import RunFolder
from fastcam.run.records import FigureRecord
from fastcam.run.work_items import CaseSlices, assign, work_items
from fastcam.store.patches import RunStore, create_from_results

SLICES = 100
_WORKERS = 2
_SIDE = 8
# File systems allow so many links to a file.
_MOST_LINKS = 10_000
Value = TypeVar("Value")


def make_case(place: int) -> Case:
    """A case with a patch on each of its slices."""
    return Case(
        place=place,
        name=f"case_{place:05d}",
        true_label=place % 2,
        predicted_label=place % 2,
        correct=True,
        confidence=0.75,
        probabilities=(0.25, 0.75),
        weights=np.full(SLICES, 1 / SLICES, np.float32),
        boxes=np.tile(np.array([0, 0, _SIDE, _SIDE], np.int32), (SLICES, 1)),
        slices=np.arange(SLICES, dtype=np.int32),
        roi=np.zeros(SLICES, np.int32),
        mask_ratio=np.ones(SLICES, np.float32),
    )


def make_set(folder: Path, cases: int) -> None:
    """A run store and the volumes of its cases, all of them the same."""
    images = folder / "images"
    images.mkdir(parents=True)
    for number in range(cases):
        path = images / f"case_{number + 1:05d}.npy"
        if number % _MOST_LINKS == 0:
            first = path
            np.save(path, np.zeros((SLICES, _SIDE, _SIDE), np.uint8))
        else:
            os.link(first, path)
    made = tuple(make_case(number + 1) for number in range(cases))
    create_from_results(folder / "run.zarr", Results(Path("r.pkl"), "f" * 64, made, (), ()))


def pretend_to_draw(store: RunStore, folder: RunFolder, cases: list[CaseSlices]) -> None:
    """Files of a byte in the place of figures, listed as finished."""
    for case_slices in cases:
        case = store.case(case_slices.case)
        records: list[FigureRecord] = []
        first = folder.path
        for index in case_slices.slices:
            path = file_names.slice_path(case, index, "png")
            file = folder.path / path
            if not records:
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(b"x")
                first = file
            else:
                os.link(first, file)
            records.append(
                FigureRecord(path=path, place=case.place, case=case.name, slice=index, size=1)
            )
        summary = file_names.summary_path(case)
        (folder.path / summary).write_bytes(b"x")
        records.append(FigureRecord(path=summary, place=case.place, case=case.name, size=1))
        folder._journal.add(records)
        folder.finished |= {record.path: record for record in records}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: Path, figures: int) -> dict[str, float]:
    """Seconds of each stage, and the MiB that they took at most."""
    make_set(folder, figures // SLICES)
    seconds: dict[str, float] = {}

    def timed(stage: str, action: Callable[[], Value]) -> Value:
        start = time.perf_counter()
        value = action()
        seconds[stage] = time.perf_counter() - start
        return value

    request = RenderRequest(
        results=folder / "run.zarr",
        output_dir=folder / "out",
        sources=Sources(root_dir=folder / "images"),
        selection=Selection(mode="all_slices"),
        style=Style(),
    )
    before = peak_mib()
    read = PatchSource.of(request).read()
    with RunFolder(request.output_dir, read.fingerprint, False, True) as opened:
        job = read.import_into(opened)
        plan = timed("plan", lambda: job.plan(opened.finished))
        assert plan.figures.left == figures
        timed("items", lambda: assign(work_items(plan.figures.cases), _WORKERS))
        pretend_to_draw(job.store, opened, list(plan.figures.cases))
    del plan
    opened = timed(
        "open", lambda: RunFolder(request.output_dir, read.fingerprint, False, trust_inputs=True)
    )
    with opened:
        plan = timed("resume", lambda: job.plan(opened.finished))
        assert plan.figures.left == 0
        assert plan.figures.already == figures
        timed("close", opened.rewrite_journal)
        opened.write_run({"status": "finished", "store": str(request.results.resolve())})
    timed("page", lambda: write_page(request.output_dir))
    return {**seconds, "memory": peak_mib() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few figures")
    parser.add_argument("--figures", type=int, action="append")
    parser.add_argument("--folder", type=Path, help="where the sets are made and removed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    counts = options.figures or ([200] if options.quick else [10_000, 100_000, 1_000_000])
    results: dict[str, Any] = {}
    for figures in counts:
        # A process of its own: the memory of the one before would count.
        with (
            tempfile.TemporaryDirectory(dir=options.folder) as folder,
            multiprocessing.get_context("spawn").Pool(1) as pool,
        ):
            result = pool.apply(measure, (Path(folder), figures))
        results[str(figures)] = result
        text = ", ".join(f"{stage} {value:.2f} s" for stage, value in list(result.items())[:-1])
        print(f"{figures:,} figures: {text}, {result['memory']:.0f} MiB", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

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

``--patches N`` measures the import of pickled results of N patches instead, 1300 a case: seconds
to read the file and write the store, and the most memory that took, less what a small file takes,
to the file's size. Making the file takes 700 bytes a patch.

Run: python -m benchmarks.bench_large [--quick] [--figures N]... [--folder DIR] [--json FILE]
     python -m benchmarks.bench_large --patches 1040000 [--patches 13000000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fastcam.jobs.render.gallery import write_page
from fastcam.jobs.render.patches.job import PatchSource
from fastcam.jobs.render.request import RenderRequest
from fastcam.options import Selection, Sources, Style
from fastcam.read.results.case import Case
from fastcam.read.results.results import Results, read_results
from fastcam.run import file_names
from fastcam.run.folder import RunFolder
from fastcam.run.records import FigureRecord
from fastcam.run.work_items import CaseSlices, assign, work_items
from fastcam.store.patches import RunStore, create_from_results

SLICES = 100
_WORKERS = 2
_SIDE = 8
# Patches of a case of pickled results, and of a file that is just large enough to be read in parts.
_PATCHES, _SMALL_FILE = 1300, 350_000
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


def write_results(path: Path, patches: int) -> None:
    """Pickled results as a training script writes them."""
    rng = np.random.default_rng(0)
    cases = []
    for number in range(max(2, patches // _PATCHES)):
        corners = rng.integers(0, 480, (_PATCHES, 2)).tolist()
        ratios = rng.random(_PATCHES).tolist()
        positions = [
            {
                "center_x": x + 12,
                "center_y": y + 12,
                "bbox": (x, y, x + 24, y + 24),
                "roi_id": x % 2,
                "slice_idx": row // 13,
                "mask_ratio": ratios[row],
            }
            for row, (x, y) in enumerate(corners)
        ]
        case = make_case(number + 1)
        cases.append(
            {
                "patient_name": case.name,
                "true_label": case.true_label,
                "predicted_label": case.predicted_label,
                "is_correct": case.correct,
                "prob_class_0": 0.25,
                "prob_class_1": 0.75,
                "confidence": case.confidence,
                "num_patches": _PATCHES,
                "attention_weights": np.full(_PATCHES, 1 / _PATCHES, np.float32),
                "positions": positions,
            }
        )
    with path.open("wb") as file:
        pickle.dump(cases, file, protocol=4)


def measure_import(path: Path, small: Path) -> dict[str, float]:
    """Seconds of the import of a results file, and MiB it took beyond those of a small one."""
    create_from_results(small.with_suffix(".zarr"), read_results(small))
    before, start = peak_mib(), time.perf_counter()
    create_from_results(path.with_suffix(".zarr"), read_results(path))
    seconds = time.perf_counter() - start
    size, memory = path.stat().st_size / 2**20, peak_mib() - before
    return {"seconds": seconds, "file": size, "memory": memory, "ratio": memory / size}


def imports(patches: int, folder: Path) -> dict[str, float]:
    """Make a results file, and measure its import."""
    path, small = folder / "results.pkl", folder / "small.pkl"
    for file, count in ((small, _SMALL_FILE), (path, patches)):
        with _own_process() as pool:
            pool.apply(write_results, (file, count))
    with _own_process() as pool:
        return pool.apply(measure_import, (path, small))


def _own_process() -> Pool:
    """A fresh process: the memory of what ran before would count."""
    return multiprocessing.get_context("spawn").Pool(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few figures")
    parser.add_argument("--figures", type=int, action="append")
    parser.add_argument("--patches", type=int, action="append", help="measure the import")
    parser.add_argument("--folder", type=Path, help="where the sets are made and removed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    default = [] if options.patches else [10_000, 100_000, 1_000_000]
    counts = options.figures or ([200] if options.quick else default)
    results: dict[str, Any] = {}
    for figures in counts:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder, _own_process() as pool:
            result = pool.apply(measure, (Path(folder), figures))
        results[str(figures)] = result
        text = ", ".join(f"{stage} {value:.2f} s" for stage, value in list(result.items())[:-1])
        print(f"{figures:,} figures: {text}, {result['memory']:.0f} MiB", flush=True)
    for patches in options.patches or ([3000] if options.quick else []):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            result = imports(patches, Path(folder))
        results[f"{patches} patches"] = result
        print(
            f"{patches:,} patches: file {result['file']:.0f} MiB, {result['seconds']:.1f} s, "
            f"{result['memory']:.0f} MiB, {result['ratio']:.2f} of the file",
            flush=True,
        )
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

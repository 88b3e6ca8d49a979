"""The job of ``fastcam analyze``: maps at several depths, numbers, figures and comparisons."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.errors import FastcamError, InputError
from fastcam.figures import fonts, lettering, warmup
from fastcam.jobs.analyze import activation_files
from fastcam.jobs.analyze.class_comparison import Cohort, compare_classes, group_of
from fastcam.jobs.analyze.figures import activation_plots, channels
from fastcam.jobs.analyze.figures import classes as comparing
from fastcam.jobs.analyze.file_names import FEATURES, FOLDERS, class_names
from fastcam.jobs.analyze.image_results import image_results
from fastcam.jobs.analyze.item import AnalysisJob, Measured, analyse_item, figure_paths
from fastcam.jobs.analyze.report import REPORT, RESULTS, Analysis
from fastcam.jobs.analyze.request import AnalysisChoice, Subjects
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.analyze.results_file import results_text
from fastcam.jobs.analyze.summary import summary_report
from fastcam.jobs.infer.job import infer_maps
from fastcam.jobs.infer.request import InputChoice, InferenceOptions
from fastcam.run import scheduler, work_items
from fastcam.run.files import TEMPORARY, make_folder, write_text
from fastcam.run.folder import STORE, RunFolder
from fastcam.run.progress import Progress, Silent
from fastcam.run.records import Failure
from fastcam.run.work_items import CaseSlices
from fastcam.store.maps import MapStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from fastcam.attribution.request import MapRequest
    from fastcam.read.inputs.preprocess import Preprocessing
COMPARED = "compare"
# One of each class, of so many classes.
_EXAMPLES = 4


def analyse_images(
    subjects: Subjects,
    spec: Preprocessing,
    choice: InputChoice,
    wanted: MapRequest,
    running: InferenceOptions,
    how: AnalysisChoice,
    output_dir: Path,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Analysis:
    """Run the model over the images, and write what its layers looked at into ``output_dir``.

    What is finished is kept, images and figures alike; the numbers are taken again from the store.
    Raises :class:`InputError` before anything is written when the model, the settings or the
    inputs are wrong, :class:`OutputError` when a file can't be written.
    """
    progress = progress or Silent()
    _check_apart(choice, output_dir)
    seconds: dict[str, float] = {}
    with _timed(seconds, "infer"):
        stores = _run(
            subjects, spec, choice, wanted, running, output_dir, overwrite, progress
        )  # fmt: skip
    store = stores[0]
    done = [index for index, header in enumerate(store.headers) if header.status == "done"]
    outputs = len(store.headers[done[0]].output) if done else 0
    classes = class_names(store.headers, outputs, how.class_names) if done else ()
    job = _job(stores, wanted, how, classes, output_dir)
    with RunFolder(output_dir, _settings(stores, how), overwrite) as folder:
        _remove_leftovers(output_dir)
        failures = _failed(stores)
        status = "stopped"
        try:
            with _timed(seconds, "draw"):
                measured, drawn, there = _draw(job, done, folder, how, failures, progress)
            images = image_results(job, measured, folder.finished)
            places = [one.image for one in measured]
            with _timed(seconds, "compare"):
                cohort = compare_classes(images, job.layers, partial(_read, job, places))
                files = _compared(subjects.model, spec, wanted, job, images, places, cohort, how)
            found = Analysis(
                output_dir, images, cohort, tuple(failures), (*files, RESULTS, REPORT), seconds,
                drawn, there,
            )  # fmt: skip
            facts = _facts(subjects, spec, wanted, stores)
            write_text(output_dir / RESULTS, results_text(found, facts))
            write_text(output_dir / REPORT, summary_report(found, facts, how.language))
            status = "finished"
        finally:
            with contextlib.suppress(FastcamError):
                folder.rewrite_journal()
                folder.write_failures(failures, range(1, len(store) + 1))
                folder.write_run({"status": status, "seconds": seconds, "store": STORE})
    return found


def _check_apart(choice: InputChoice, output_dir: Path) -> None:
    """InputError where the output would be among the images of the next run."""
    for path in choice.paths:
        if path.is_dir() and output_dir.resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"--output-dir {output_dir}: lies inside the images' folder {path}, where a second "
                "run would take the figures for images; give one beside it"
            )


def _run(
    subjects: Subjects,
    spec: Preprocessing,
    choice: InputChoice,
    wanted: MapRequest,
    running: InferenceOptions,
    output_dir: Path,
    overwrite: bool,
    progress: Progress,
) -> list[MapStore]:
    """The store of the run, and of the model to compare with, finished."""
    from fastcam.attribution.cam.features import FeatureEngine
    from fastcam.attribution.faithfulness.perturbation_curves import black_of

    def build(model: nn.Module, wanted: MapRequest, compiled: bool) -> FeatureEngine:
        return FeatureEngine(model, wanted, spec.halves, compiled, black_of(spec))

    runs = [(subjects.model, subjects.described, output_dir)]
    if subjects.other is not None:
        runs.append((subjects.other, subjects.other_described, output_dir / COMPARED))
    stores = []
    for model, described, folder in runs:
        said = {**described, "measures": "activations"}
        report = infer_maps(
            model, said, spec, choice, wanted, running, folder, overwrite, progress, build
        )
        stores.append(MapStore.open(report.store))
    return stores


def _job(
    stores: Sequence[MapStore],
    wanted: MapRequest,
    how: AnalysisChoice,
    classes: tuple[str, ...],
    output_dir: Path,
) -> AnalysisJob:
    texts = [text for h in stores[0].headers for text in (h.id, h.group)]
    characters = lettering.alphabet([*texts, *wanted.layers, *classes, *how.models])
    return AnalysisJob(
        tuple((store.path.resolve(), store.attrs.created) for store in stores),
        how.models,
        output_dir.resolve(),
        wanted.layers,
        tuple(f"{wanted.methods[0]}/{layer}" for layer in wanted.layers),
        classes,
        how.style,
        how.dpi,
        characters,
        fonts.chain(characters, how.style.font),
    )


def _settings(stores: Sequence[MapStore], how: AnalysisChoice) -> dict[str, Any]:
    """All that decides how the figures look."""
    style = asdict(how.style)
    return {
        "results": stores[0].attrs.sha256[:16],
        "compare": stores[1].attrs.sha256[:16] if len(stores) > 1 else "",
        **{name: style[name] for name in ("colormap", "heat_alpha", "blend", "panel_size",
                                          "theme", "font")},
        "dpi": how.dpi,
        "class_names": list(how.class_names),
        "models": list(how.models),
    }  # fmt: skip


def _failed(stores: Sequence[MapStore]) -> list[Failure]:
    """Images without maps, of the second model only those that the first one has."""
    first = stores[0].headers
    found = [(header, header.reason) for header in first if header.status == "failed"]
    for store in stores[1:]:
        found += [
            (header, f"not compared: {header.reason}")
            for header, own in zip(store.headers, first, strict=True)
            if header.status == "failed" != own.status
        ]
    return [Failure("error", h.place, h.id, None, 0, reason) for h, reason in found]


def _draw(
    job: AnalysisJob,
    done: Sequence[int],
    folder: RunFolder,
    how: AnalysisChoice,
    failures: list[Failure],
    progress: Progress,
) -> tuple[list[Measured], int, int]:
    """Numbers of all images in order, and how many figures were drawn and were there already."""
    portions, there = [], 0
    for index in done:
        paths = figure_paths(job, index)
        left = tuple(at for at, path in enumerate(paths) if path not in folder.finished)
        there += len(paths) - len(left)
        source = str(job.store.headers[index].source)
        portions.append(CaseSlices(index, left, False, source, "", None, ""))
    if not portions:
        return [], 0, 0
    for name in FOLDERS:
        make_folder(job.output_dir / name)
    figures = sum(len(portion.slices) for portion in portions)
    if figures and warmup.needed():
        progress.note("first run: compiling the kernels, once for this installation")
        warmup.warm_up()
    measured: list[Measured] = []
    drawn = 0
    shape = scheduler.shape_of(how.workers or scheduler.cores(), figures)
    with scheduler.local_cluster(shape) as client:
        progress.begin("figures", figures)
        try:
            items = work_items.work_items(portions)
            for item, made in scheduler.run(client, partial(analyse_item, job), items):
                folder.record(made.drawn)
                measured += made.measured
                drawn += len(made.drawn)
                failures += made.failures
                progress.advance(work_items.figures_of(item))
        finally:
            progress.end()
    return sorted(measured, key=lambda one: one.image), drawn, there


def _read(
    job: AnalysisJob, places: Sequence[int], image: int, layer: str
) -> NDArray[np.float32]:  # fmt: skip
    return job.store.map(job.maps[job.layers.index(layer)], places[image])


def _compared(
    model: nn.Module,
    spec: Preprocessing,
    wanted: MapRequest,
    job: AnalysisJob,
    images: Sequence[ImageResult],
    places: Sequence[int],
    cohort: Cohort,
    how: AnalysisChoice,
) -> list[str]:
    """Everything that is drawn or listed of many images together; the files."""
    if not images:
        return []
    _, groups = group_of(images)
    files = comparing.write_class_figures(
        cohort, images, places, job.store, job.halves, how.style, how.dpi, job.output_dir
    )
    files += activation_files.write_statistics(images, job.layers, job.output_dir)
    figure = activation_plots.activation_page(images, groups, job.layers, how.style)
    figures = {f"{FEATURES}/activation_statistics.png": figure}
    if job.halves != "no":
        figures["left_right_shares.png"] = activation_plots.shares_page(images, groups, how.style)
    for path, one in figures.items():
        one.save(job.output_dir / path)
    examples = [places[members[0]] for members in groups.values()][:_EXAMPLES]
    shown = channels.write_channel_figures(
        model, spec, wanted, job.store, examples, job.naming, how.style, job.output_dir
    )
    return [*files, *figures, *shown]


def _facts(
    subjects: Subjects, spec: Preprocessing, wanted: MapRequest, stores: Sequence[MapStore]
) -> dict[str, Any]:
    same = None
    if len(stores) > 1:
        pairs = zip(stores[0].headers, stores[1].headers, strict=True)
        same = sum(
            a.prediction == b.prediction
            for a, b in pairs
            if a.status == b.status == "done" and a.prediction is not None
        )
    return {
        "model": subjects.described["model"],
        "checkpoint": str(subjects.described["checkpoint"] or ""),
        "compare": str(subjects.other_described.get("checkpoint") or ""),
        "same_predictions": same,
        "method": wanted.methods[0],
        "sign": wanted.sign,
        "layers": list(wanted.layers),
        "halves": spec.halves,
    }


def _remove_leftovers(output_dir: Path) -> None:
    """Half-written files of a run that was killed; nobody else writes here now."""
    for name in FOLDERS:
        for path in (output_dir / name).glob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = round(time.perf_counter() - start, 3)

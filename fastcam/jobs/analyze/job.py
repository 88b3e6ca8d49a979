"""The job of ``fastcam analyze``: maps at several depths, numbers, figures and comparisons."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fastcam_kernels import resize
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.baselines import black_of
from fastcam.attribution.cam.features import FeatureEngine
from fastcam.attribution.request import MapRequest
from fastcam.errors import FastcamError, InputError
from fastcam.figures import fonts, glyph_atlas, warmup
from fastcam.figures.panel_order import MAP_PANELS, panel_names
from fastcam.jobs.analyze.class_comparison import compare_classes
from fastcam.jobs.analyze.cohort_files import write_cohort_files
from fastcam.jobs.analyze.display_names import FOLDERS, class_names
from fastcam.jobs.analyze.image_results import image_results, same_predictions
from fastcam.jobs.analyze.image_store import ImageStore
from fastcam.jobs.analyze.item import AnalysisItem, ImageNumbers, analyze_item
from fastcam.jobs.analyze.picture_groups import picture_groups
from fastcam.jobs.analyze.plan import AnalysisPlan, plan_figures
from fastcam.jobs.analyze.report import REPORT, RESULTS, Analysis, results_text
from fastcam.jobs.analyze.request import AnalyzeOptions, AnalyzeRequest
from fastcam.jobs.analyze.summary import summary_report
from fastcam.jobs.analyze.task import AnalysisTask
from fastcam.jobs.infer.job import infer_maps
from fastcam.jobs.infer.request import InferRequest, InputChoice
from fastcam.jobs.render import PRELOAD
from fastcam.jobs.render.gallery import PAGE, check_page
from fastcam.jobs.render.picture_page import write_picture_page
from fastcam.options import Style
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.run import queues, scheduler, work_items
from fastcam.run.cgroups import cores
from fastcam.run.failures import error_count
from fastcam.run.files import TEMPORARY, make_folder, write_text
from fastcam.run.folder import STORE, RunFolder
from fastcam.run.input_files import ALL_CASES, input_records
from fastcam.run.progress import NoProgress, Progress, count_failures
from fastcam.run.records import Failure

# The folder of the run of the model to compare with.
COMPARED = "compare"
# The options of the style that change an analysis's figures.
_STYLE_OPTIONS = (
    *("style", "aspect", "colormap", "heat_alpha", "blend", "panel_size", "theme", "font"),
)
# Only where they are given: folders from before there were any have no word of them.
_PAPER_OPTIONS = ("width_mm", "font_scale", "format", "dpi", "panels")


def analyze_images(request: AnalyzeRequest, progress: Progress | None = None) -> Analysis:
    """Run the model over the images, and write what its layers use of them into a folder.

    What is finished is kept, images and figures alike; the numbers are taken again from the store.
    Raises :class:`InputError` before anything is written when the model, the settings or the
    inputs are wrong, :class:`OutputError` when a file can't be written.
    """
    progress, output_dir = progress or NoProgress(), request.output_dir
    panel_names(MAP_PANELS, request.options.style.panels)
    _check_apart(request.inputs, output_dir)
    check_page(output_dir / PAGE)
    seconds: dict[str, float] = {}
    with _timed(seconds, "infer"):
        stores, warnings = _infer(request, progress)
    indices = [i for i, header in enumerate(stores[0].headers) if header.status == "done"]
    task = _task(request, stores, indices)
    settings, trusted = _settings(stores, request.options), request.inference.trust_inputs
    with RunFolder(output_dir, settings, request.overwrite, trusted) as folder:
        for line in folder.notes:
            progress.note(line)
        _remove_leftovers(output_dir)
        failures = [*_inference_failures(stores), *warnings]
        record = partial(_write_record, folder, failures, len(stores[0]), seconds)
        try:
            with _timed(seconds, "draw"):
                plan = plan_figures(task, indices, folder.finished)
                items = _draw(task, plan, folder, failures, request.options.workers, progress)
            numbers = _image_numbers(items)
            images = image_results(task, numbers, folder.finished)
            measured = [entry.image for entry in numbers]
            with _timed(seconds, "compare"):
                comparison = compare_classes(
                    images, task.layers, partial(_map_values, task, measured)
                )
                files = write_cohort_files(request, task, comparison, images, measured)
            report = Analysis(
                output_dir=output_dir,
                images=images,
                comparison=comparison,
                failures=tuple(failures),
                files=(*files, RESULTS, REPORT),
                seconds=seconds,
                figures_drawn=sum(len(item.drawn) for item in items),
                figures_existing=plan.existing,
            )
            facts = _facts(request, stores)
            write_text(output_dir / RESULTS, results_text(report, facts))
            text = summary_report(report, facts, request.options.language)
            write_text(output_dir / REPORT, text)
            write_picture_page(
                output_dir,
                "Layers compared",
                picture_groups(task, report, measured, folder.finished),
                files=[REPORT, RESULTS],
                failures=failures,
                random_weights=task.random_weights,
            )
        except BaseException:
            # Why it was stopped is what is said.
            with contextlib.suppress(FastcamError):
                record("stopped")
            raise
        record("finished")
    return report


def _write_record(
    folder: RunFolder,
    failures: Sequence[Failure],
    count: int,
    seconds: Mapping[str, float],
    status: str,
) -> None:
    """Write what is finished, what failed, of ``count`` images, and how the run ended."""
    folder.rewrite_journal()
    folder.write_failures(failures, range(1, count + 1))
    folder.write_run({"status": status, "seconds": seconds, "store": STORE})


def _check_apart(inputs: InputChoice, output_dir: Path) -> None:
    """InputError where the output would be among the images of the next run."""
    for path in inputs.paths:
        if path.is_dir() and output_dir.resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"--output-dir {output_dir}: lies inside the images' folder {path}, where a second "
                "run would take the figures for images; give one beside it"
            )


def _infer(request: AnalyzeRequest, progress: Progress) -> tuple[list[ImageStore], list[Failure]]:
    """The images of the run, and of the model to compare with, finished; and what is odd about
    them."""
    preprocessing, models = request.preprocessing, request.models
    runs = [(models.model, models.model_info, request.output_dir)]
    if models.other is not None:
        runs.append((models.other, models.other_info, request.output_dir / COMPARED))
    stores: list[ImageStore] = []
    warnings: list[Failure] = []
    choices = request.choices or (None,) * len(runs)
    for (model, model_info, output_dir), choice in zip(runs, choices, strict=True):
        infer_request = InferRequest(
            model_info={**model_info, "measures": "activations", "sign": request.maps.sign},
            preprocessing=preprocessing,
            inputs=request.inputs,
            maps=request.maps,
            options=request.inference,
            output=request.call.output,
        )
        report = infer_maps(
            model,
            infer_request,
            output_dir,
            overwrite=request.overwrite,
            progress=progress,
            build=partial(_feature_engine, preprocessing),
            choice=choice,
        )
        if not stores:
            warnings += [failure for failure in report.failures if failure.level == "warning"]
        stores.append(ImageStore(report.store, request.options.show_channel))
    return stores, warnings


def _feature_engine(
    preprocessing: Preprocessing, model: nn.Module, maps: MapRequest, compiled: bool
) -> FeatureEngine:
    """The engine of an analysis; of this module, so that other processes can make it, too."""
    return FeatureEngine(model, maps, preprocessing.halves, compiled, black_of(preprocessing))


def _task(
    request: AnalyzeRequest, stores: Sequence[ImageStore], indices: Sequence[int]
) -> AnalysisTask:
    """What workers need; ``indices`` are those of the images that have maps."""
    headers, options, maps = stores[0].headers, request.options, request.maps
    outputs = len(headers[indices[0]].output) if indices else 0
    classes = class_names(headers, outputs, options.class_names) if indices else ()
    texts = [text for header in headers for text in (header.id, header.group)]
    characters = glyph_atlas.alphabet([*texts, *maps.layers, *classes, *options.models])
    return AnalysisTask(
        stores=tuple((store.path.resolve(), store.attrs.created) for store in stores),
        models=options.models,
        output_dir=request.output_dir.resolve(),
        layers=maps.layers,
        maps=tuple(f"{maps.methods[0]}/{layer}" for layer in maps.layers),
        classes=classes,
        style=options.style,
        characters=characters,
        fonts=fonts.chain(characters, options.style.font),
        show_channel=options.show_channel,
    )


def _settings(stores: Sequence[ImageStore], options: AnalyzeOptions) -> dict[str, Any]:
    """All that decides how the figures look."""
    style, usual = asdict(options.style), asdict(Style())
    style["panels"], usual["panels"] = list(style["panels"]), []
    channel = {} if options.show_channel is None else {"show_channel": options.show_channel}
    return {
        "results": stores[0].attrs.sha256[:16],
        "compare": stores[1].attrs.sha256[:16] if len(stores) > 1 else "",
        **{name: style[name] for name in _STYLE_OPTIONS},
        **{name: style[name] for name in _PAPER_OPTIONS if style[name] != usual[name]},
        "class_names": list(options.class_names),
        "models": list(options.models),
        **channel,
    }


def _inference_failures(stores: Sequence[ImageStore]) -> list[Failure]:
    """Images without maps, of the second model only those that the first one has."""
    first = stores[0].headers
    failures = stores[0].failures
    for store in stores[1:]:
        failures += [
            Failure("error", header.place, header.id, None, 0, f"not compared: {header.reason}")
            for header, own in zip(store.headers, first, strict=True)
            if header.status == "failed" != own.status
        ]
    return failures


def _draw(
    task: AnalysisTask,
    plan: AnalysisPlan,
    folder: RunFolder,
    failures: list[Failure],
    workers: int | None,
    progress: Progress,
) -> list[AnalysisItem]:
    """Measure all images of the plan, and draw their figures.

    Figures and failures go into ``folder`` and ``failures`` as they come, so that a job that is
    stopped keeps them.
    """
    if not plan.images:
        return []
    for name in FOLDERS:
        make_folder(task.output_dir / name)
    if plan.figures:
        folder.record((), input_records(ALL_CASES, task.fonts))
    if plan.figures and warmup.needed():
        progress.note(warmup.NOTE)
        warmup.warm_up()
    results = []
    shape = scheduler.cluster_shape(workers or cores(), plan.figures)
    with scheduler.local_cluster(shape, PRELOAD) as client:
        progress.begin("figures", plan.figures)
        try:
            draw = partial(analyze_item, task)
            for item, result in queues.run(client, draw, plan.items):
                folder.record(result.drawn, result.inputs)
                failures += result.failures
                count_failures(progress, error_count(result.failures))
                results.append(result)
                progress.advance(work_items.figures_of(item))
        finally:
            progress.end()
    return results


def _image_numbers(items: Sequence[AnalysisItem]) -> list[ImageNumbers]:
    """The numbers of all images, in the run's order, of each once: an image of many figures is
    measured in every item that draws some."""
    numbers = {entry.image: entry for item in items for entry in item.numbers}
    return sorted(numbers.values(), key=lambda entry: entry.image)


def _map_values(
    task: AnalysisTask, indices: Sequence[int], number: int, layer: str
) -> NDArray[np.float32]:
    """The raw map (h, w) of the ``number``-th measured image, turned as its picture is."""
    index = indices[number]
    name = task.maps[task.layers.index(layer)]
    values = task.store.placed_map(name, index)
    display = task.store.display(index, task.store.input_name(name))
    turned = np.ascontiguousarray(display.apply(values))
    # Images that lie on their side have maps of the same shape as the others', so that all have a
    # mean.
    return (
        turned
        if turned.shape == values.shape
        else resize.resize(turned, values.shape[0], values.shape[1], resize.BILINEAR)
    )


def _facts(request: AnalyzeRequest, stores: Sequence[ImageStore]) -> dict[str, Any]:
    """About the run, for the files."""
    same = None
    if len(stores) > 1:
        same = same_predictions(stores[0].headers, stores[1].headers)
    models, maps = request.models, request.maps
    windows = {} if maps.windows is None else {"windows": asdict(maps.windows)}
    boxes = {"target": str(maps.boxes[0])} if maps.boxes else {}
    return {
        "model": models.model_info["model"],
        "checkpoint": str(models.model_info["checkpoint"] or ""),
        "compare": str(models.other_info.get("checkpoint") or ""),
        "same_predictions": same,
        "method": maps.methods[0],
        "sign": maps.sign,
        "layers": list(maps.layers),
        "halves": request.preprocessing.halves,
        **windows,
        **boxes,
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

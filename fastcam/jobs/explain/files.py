"""The job of ``fastcam explain``: images explained by one or several models, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from fastcam.errors import InputError
from fastcam.inference.images import ImageBatch, collate, read_each
from fastcam.jobs.explain.comparison import Comparison
from fastcam.jobs.explain.explanation import Explanation
from fastcam.jobs.explain.job import explain_images
from fastcam.jobs.explain.report import ExplainReport, image_failure
from fastcam.jobs.explain.request import (
    ExplainRequest,
    FigureOptions,
    ModelChoice,
    layers_of,
    steps_of,
    with_methods,
)
from fastcam.jobs.explain.support import support_of
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.run import file_names
from fastcam.run.failures import write_failures
from fastcam.run.files import make_folder
from fastcam.run.records import Failure

Log = Callable[[str], None]


def write_explanations(
    models: Sequence[ModelChoice],
    items: Sequence[Item],
    output_dir: Path,
    request: ExplainRequest,
    preprocessing_of: Callable[[nn.Module], Preprocessing],
    *,
    layers: Sequence[str | int] = (),
    targets: Any = None,
    support: Any = None,
    figure_options: FigureOptions | None = None,
    log: Log = lambda line: None,
) -> ExplainReport:
    """Explain every image by every model, and write the figures of
    :meth:`fastcam.jobs.explain.comparison.Comparison.save`.

    One image has its figures right in ``output_dir``, several have a folder each in it.
    ``preprocessing_of`` gives a model's preprocessing. ``layers``, ``targets`` and ``support`` are
    what :func:`fastcam.explain` takes. ``log`` gets a numbered line for each step before it is
    done. An image that can't be read, or whose maps are not finite, is left out and listed in
    ``failures.csv``. InputError for all else that is wrong, and where no image is left: nothing is
    written then.
    """
    if output_dir.exists() and not output_dir.is_dir():
        make_folder(output_dir)
    has_support = support is not None
    steps_of_model = len(steps_of(request, has_support)) if request.methods else 1
    log_step = numbered(log, len(models) * (1 + steps_of_model) + 2)
    loaded = []
    for choice in models:
        log_step(f"loading {choice.name}")
        loaded.append(choice.load())
    request = with_methods(request, loaded, has_support)
    request = replace(request, layers=layers_of(layers, request.methods))
    steps = steps_of(request, has_support)
    preprocessings = [preprocessing_of(model) for model in loaded]
    log_step(f"reading {len(items)} {'image' if len(items) == 1 else 'images'}")
    batches, numbers, failures = _read(items, preprocessings)
    results = {}
    for model, choice, preprocessing, batch in zip(
        loaded, models, preprocessings, batches, strict=True
    ):

        def log_of_model(text: str, label: str = choice.label) -> None:
            log_step(f"{label}: {text}" if label else text)

        results[choice.label] = explain_images(
            model,
            batch,
            request,
            steps,
            targets=targets,
            support=support_of(support, preprocessing),
            log_step=log_of_model,
            log=log,
        )
    log_step("drawing")
    figures, undrawn = _write_figures(
        results, items, numbers, output_dir, figure_options or FigureOptions()
    )
    failures = sorted([*failures, *undrawn], key=lambda failure: failure.place)
    write_failures(output_dir, failures)
    return ExplainReport(figures, failures, results)


def numbered(log: Log, total: int) -> Log:
    """``log`` with ``[1/total]`` before each line."""
    numbers: Iterator[int] = iter(range(1, total + 1))
    return lambda text: log(f"[{next(numbers)}/{total}] {text}")


def _read(
    items: Sequence[Item], preprocessings: Sequence[Preprocessing]
) -> tuple[list[ImageBatch], list[int], list[Failure]]:
    """For each preprocessing the images that can be read for all of them, the numbers of these,
    and why the others can't. InputError where none can."""
    sources = [item.source for item in items]
    read = [read_each(sources, preprocessing) for preprocessing in preprocessings]
    reasons = {number: reason for _, of_one in reversed(read) for number, reason in of_one.items()}
    numbers = [number for number in range(len(items)) if number not in reasons]
    if not numbers:
        first = reasons[min(reasons)]
        raise InputError(first if len(items) == 1 else f"none of the images can be read: {first}")
    names = tuple(items[number].id for number in numbers)
    batches = [collate([images[number] for number in numbers], names) for images, _ in read]
    failures = [image_failure(number, items[number], reason) for number, reason in reasons.items()]
    return batches, numbers, failures


def _write_figures(
    results: dict[str, Explanation],
    items: Sequence[Item],
    numbers: Sequence[int],
    output_dir: Path,
    options: FigureOptions,
) -> tuple[list[Path], list[Failure]]:
    """The figures of the images with these ``numbers``, and those whose maps can't be drawn."""
    comparison = Comparison(tuple(results.values()), tuple(results))
    folders = file_names.image_folders([items[number].id for number in numbers])
    written: list[Path] = []
    errors: list[InputError] = []
    failures: list[Failure] = []
    for index, (number, name) in enumerate(zip(numbers, folders, strict=True)):
        folder = output_dir if len(items) == 1 else output_dir / name
        try:
            written += comparison.write(folder, index, options.scale, options.head, options.style)
        except InputError as error:
            errors.append(error)
            failures.append(image_failure(number, items[number], str(error)))
    if not written:
        raise errors[0]
    return written, failures

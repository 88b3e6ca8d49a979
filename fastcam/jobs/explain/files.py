"""The job of ``fastcam explain``: images explained by one or several models, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from fastcam.attribution.baselines import black_of
from fastcam.errors import InputError
from fastcam.inference.images import (
    ImageBatch,
    InputPicture,
    VolumeView,
    collate,
    read_each,
    read_slices,
    slice_items,
)
from fastcam.inference.several_inputs import read_inputs_each
from fastcam.jobs.explain.comparison import Comparison, Explanation
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
from fastcam.jobs.infer.request import InputChoice
from fastcam.jobs.render.gallery import PAGE, check_page
from fastcam.jobs.render.picture_page import PictureGroup, write_picture_page
from fastcam.models.text_similarity import text_similarity, texts_in
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.inputs.slice_inputs import choose_slicing
from fastcam.read.inputs.slicing import plan_slices, plane_remark
from fastcam.read.inputs.volume_input import check_channels, check_shown
from fastcam.run import file_names
from fastcam.run.failures import write_failures
from fastcam.run.files import make_folder, remove_leftovers
from fastcam.run.records import Failure

Log = Callable[[str], None]
Read = tuple[dict[int, InputPicture], dict[int, str]]
SliceReader = Callable[[Preprocessing, VolumeView], Read]


def write_explanations(
    models: Sequence[ModelChoice],
    inputs: InputChoice,
    output_dir: Path,
    request: ExplainRequest,
    preprocessing_of: Callable[[nn.Module], Preprocessing],
    *,
    layers: Sequence[str | int] = (),
    targets: Any = None,
    support: Any = None,
    figure_options: FigureOptions | None = None,
    slice_options: Mapping[str, Any] | None = None,
    log: Log = lambda line: None,
) -> ExplainReport:
    """Explain every image or volume by every model, and write the figures of
    :meth:`fastcam.jobs.explain.comparison.Comparison.save`.

    The models are loaded first: they say whether ``inputs`` are images or volumes. Of volumes that
    a 2-D model gets the slices are images of their own, ``<id>_slice042``: the middle one, or what
    ``slice_options``, the keywords of :func:`choose_slicing`, say. One image has its figures right
    in ``output_dir``, several have a folder each in it.
    ``preprocessing_of`` gives a model's preprocessing. ``layers``, ``targets`` and ``support`` are
    what :func:`fastcam.explain` takes. ``log`` gets a numbered line for each step before it is
    done. An image that can't be read, or whose maps are not finite, is left out and listed in
    ``failures.csv``. InputError for all else that is wrong, and where no image is left: nothing is
    written then.
    """
    if output_dir.exists() and not output_dir.is_dir():
        make_folder(output_dir)
    check_page(output_dir / PAGE)
    options = figure_options or FigureOptions()
    has_support = support is not None
    steps_of_model = len(steps_of(request, has_support)) if request.methods else 1
    log_step = numbered(log, len(models) * (1 + steps_of_model) + 2)
    loaded: list[nn.Module] = []
    texts = texts_in([text for row in targets or () for text in row])
    if texts:
        targets = [list(range(len(texts)))]
        names = options.style.class_names or texts
        options = replace(options, style=replace(options.style, class_names=names))
    for choice in models:
        log_step(f"loading {choice.name}")
        model = choice.load()
        loaded.append(text_similarity(model, texts) if texts else model)
    request = with_methods(request, loaded, has_support)
    request = replace(request, layers=layers_of(layers, request.methods))
    steps = steps_of(request, has_support)
    preprocessings = [preprocessing_of(model) for model in loaded]
    dims = _dims(models, preprocessings)
    check_shown(options.show_channel, preprocessings[0])
    channels = preprocessings[0].channels
    slicing = choose_slicing(
        lambda dims: inputs.find(dims, channels)[1],
        dims,
        usual="middle:1",
        **(slice_options or {}),
    )
    inputs = replace(inputs, slicing=slicing)
    model_inputs, items = inputs.find(dims, channels)
    for preprocessing in preprocessings:
        check_channels([item.source for item in items], preprocessing, inputs.volume)
    slices = None
    if remark := inputs.left_out(dims):
        log(remark)
    if slicing is not None:
        table = plan_slices(items, slicing, inputs.axes, inputs.volume)
        if remark := plane_remark(items, table):
            log(remark)
        slices = partial(read_slices, items, table, slicing)
        items = slice_items(items, table)
    request = replace(request, inputs=model_inputs)
    unit = "slice" if slices is not None else "image" if dims == 2 else "volume"
    log_step(f"reading {len(items)} {unit}{'' if len(items) == 1 else 's'}")
    view = VolumeView(inputs.axes, inputs.volume, options.show_channel)
    batches, numbers, failures, warnings = _read(
        items, request.inputs, preprocessings, view, slices
    )
    for text in warnings:
        log(f"warning: {text}")
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
            black=black_of(preprocessing),
            log_step=log_of_model,
            log=log,
        )
    log_step("drawing")
    figures, groups, undrawn = _write_figures(results, items, numbers, output_dir, options)
    failures = sorted([*failures, *undrawn], key=lambda failure: failure.place)
    remove_leftovers(output_dir)
    write_failures(output_dir, failures)
    title = ", ".join(choice.name for choice in models)
    random = [label for label, result in results.items() if result.random_weights]
    remark = (
        "random weights"
        if len(random) == len(results)
        else f"random weights of {', '.join(random)}"
    )
    write_picture_page(
        output_dir, title, groups, failures=failures, random_weights=remark if random else ""
    )
    return ExplainReport(figures, failures, results)


def _dims(models: Sequence[ModelChoice], preprocessings: Sequence[Preprocessing]) -> int:
    """2 where the models take images, 3 for volumes. InputError where some do this, some that."""
    taking = {
        len(preprocessing.size): choice
        for preprocessing, choice in zip(preprocessings, models, strict=True)
    }
    if len(taking) > 1:
        raise InputError(
            f"{taking[2].name} takes images and {taking[3].name} volumes: they can't be compared; "
            "give models of one kind"
        )
    return next(iter(taking))


def numbered(log: Log, total: int) -> Log:
    """``log`` with ``[1/total]`` before each line."""
    numbers: Iterator[int] = iter(range(1, total + 1))
    return lambda text: log(f"[{next(numbers)}/{total}] {text}")


def _read(
    items: Sequence[Item],
    inputs: Sequence[ModelInput],
    preprocessings: Sequence[Preprocessing],
    view: VolumeView,
    slices: SliceReader | None,
) -> tuple[list[ImageBatch], list[int], list[Failure], list[str]]:
    """For each preprocessing the images that can be read for all of them, the numbers of these,
    why the others can't, and what is odd about them. ``slices`` reads those of volumes. InputError
    where none can."""
    warnings: dict[str, None] = {}
    if inputs:
        reasons: dict[int, str] = {}
        for preprocessing in preprocessings:
            reasons = read_inputs_each(items, inputs, preprocessing)[2] | reasons
    else:
        sources = [item.source for item in items]
        read_all = slices or partial(read_each, sources)
        read = [read_all(preprocessing, view) for preprocessing in preprocessings]
        reasons = {n: reason for _, of_one in reversed(read) for n, reason in of_one.items()}
        pictures = [picture for images, _ in read for picture in images.values()]
        warnings = dict.fromkeys(text for picture in pictures for text in picture.warnings)
    numbers = [number for number in range(len(items)) if number not in reasons]
    if not numbers:
        first = reasons[min(reasons)]
        unit = "images" if len(preprocessings[0].size) == 2 else "volumes"
        raise InputError(first if len(items) == 1 else f"none of the {unit} can be read: {first}")
    if inputs:
        readable = [items[number] for number in numbers]
        several = [read_inputs_each(readable, inputs, p)[1] for p in preprocessings]
        batches = [batch for batch in several if batch is not None]
    else:
        names = tuple(items[number].id for number in numbers)
        batches = [collate([images[number] for number in numbers], names) for images, _ in read]
    failures = [image_failure(number, items[number], reason) for number, reason in reasons.items()]
    return batches, numbers, failures, list(warnings)


def _write_figures(
    results: dict[str, Explanation],
    items: Sequence[Item],
    numbers: Sequence[int],
    output_dir: Path,
    options: FigureOptions,
) -> tuple[list[Path], list[PictureGroup], list[Failure]]:
    """The figures of the images with these ``numbers``, all and by image, and those whose maps
    can't be drawn."""
    comparison = Comparison(tuple(results.values()), tuple(results))
    folders = file_names.image_folders([items[number].id for number in numbers])
    paths: list[Path] = []
    groups: list[PictureGroup] = []
    errors: list[InputError] = []
    failures: list[Failure] = []
    for index, (number, name) in enumerate(zip(numbers, folders, strict=True)):
        folder = output_dir if len(items) == 1 else output_dir / name
        remove_leftovers(folder)
        try:
            written = comparison.write(folder, index, options.scale, options.head, options.style)
        except InputError as error:
            errors.append(error)
            failures.append(image_failure(number, items[number], str(error)))
            continue
        text = comparison.prediction_text(index, options.style)
        relative = [path.relative_to(output_dir).as_posix() for path in written]
        groups.append(PictureGroup(items[number].id, text, None, relative))
        paths += written
    if not paths:
        raise errors[0]
    return paths, groups, failures

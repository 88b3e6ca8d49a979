"""What an evaluation finds out before its model runs: what the outputs mean, and the test set."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from fastcam.attribution.box_target import BoxTarget
from fastcam.attribution.model_call import ModelCall
from fastcam.attribution.modules import device_of
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.attribution.window_plan import WindowPlan
from fastcam.errors import InputError
from fastcam.inference.dry_run import resolve_call
from fastcam.inference.predictions import Task
from fastcam.jobs.evaluate.detection_set import (
    boxes_to_explain,
    check_no_boxes,
    read_detection_set,
)
from fastcam.jobs.evaluate.masked_set import explained_segments, read_masked_set
from fastcam.jobs.evaluate.metrics.regression import value_groups
from fastcam.jobs.evaluate.metrics.segmentation import check_monai
from fastcam.jobs.evaluate.request import EvaluateOptions
from fastcam.jobs.evaluate.scoring import Kind
from fastcam.jobs.evaluate.test_set import (
    EvaluationSet,
    SetChoice,
    find_items,
    model_inputs_of,
    read_set,
)
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.read.inputs.slice_inputs import choose_slicing
from fastcam.read.inputs.slicing import Slicing, parse_slice_choice
from fastcam.read.inputs.volume_input import check_shown
from fastcam.store.pooling import check_pool


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What is evaluated, and on what.

    Attributes:
        kind: what kind of task it is.
        classes: number of classes; 0 for a regression.
        slicing: which slices of volumes the model sees one by one; None: it sees all at once.
        test_set: the images with their true values.
        segments: of a segmentation what its maps explain.
        boxes: of a detector the boxes whose scores they explain.
    """

    kind: Kind
    classes: int
    slicing: Slicing | None
    test_set: EvaluationSet
    segments: tuple[SegmentTarget, ...] = ()
    boxes: tuple[BoxTarget, ...] = ()


def prepare(
    model: nn.Module,
    preprocessing: Preprocessing,
    choice: SetChoice,
    options: EvaluateOptions,
    slice_options: Mapping[str, Any],
    *,
    task: Task,
    output: str,
    windows: WindowPlan | None = None,
) -> Preparation:
    """Read the test set of ``choice`` for ``model``.

    ``slice_options`` are those of :func:`fastcam.read.inputs.slice_inputs.choose_slicing`,
    ``output`` and ``windows`` are as :func:`resolve_call` takes them. InputError where the model,
    the table and the options don't go together.
    """
    inputs = model_inputs_of(choice)
    call = model_call(model, preprocessing, output, inputs, windows)
    kind, classes = task_kind(task, call)
    if windows is not None and options.faithfulness_images:
        raise InputError(
            "--faithfulness is for images that the model sees whole, not window by window: leave "
            "it out"
        )
    if kind in ("multilabel", "segmentation", "detection") and options.faithfulness_images:
        raise InputError(
            "--faithfulness is for one answer an image, not for many findings, pixels or boxes: "
            "leave it out"
        )
    if kind != "detection":
        check_no_boxes(choice.target)
    if kind == "multilabel":
        # Its masks are in a folder for each finding.
        choice = replace(choice, mask_dir=None)
    dims, channels = len(preprocessing.size), preprocessing.channels
    if kind == "segmentation":
        return _segmentation(choice, classes, dims, channels, slice_options)
    if kind == "detection":
        return _detection(choice, dims, channels, slice_options)
    slicing = choose_slicing(
        lambda dims: [] if choice.columns else find_items(choice, dims, channels),
        dims,
        **slice_options,
    )
    if slicing is not None:
        dims, channels = 3, 1 if slicing.context > 1 else channels
        check_pool(slicing.pool, kind != "regression")
        if options.faithfulness_images:
            raise InputError(
                "--faithfulness is for images and whole volumes, and the model sees these volumes "
                "slice by slice: leave it out"
            )
    check_shown(options.show_channel, preprocessing, None if slicing is None else slicing.context)
    test_set = read_set(choice, kind, classes, dims, channels)
    if kind == "regression":
        true = np.array([float(item.label) for item in test_set.items])
        # A width that makes too many groups is an error before the model runs.
        value_groups(true, true, options.group_width)
    return Preparation(kind=kind, classes=classes, slicing=slicing, test_set=test_set)


def _segmentation(
    choice: SetChoice, classes: int, dims: int, channels: int, slice_options: Mapping[str, Any]
) -> Preparation:
    """That of a model which answers for every pixel."""
    check_monai()
    if slice_options.get("pool") is not None:
        raise InputError(
            "--pool is for one answer a slice, and the slices of a segmentation are put together: "
            "leave it out"
        )
    slicing = choose_slicing(lambda dims: find_items(choice, dims, channels), dims, **slice_options)
    if slicing is not None:
        dims, channels = 3, 1 if slicing.context > 1 else channels
        ranges = parse_slice_choice(slicing.slices)
        numbers = {*itertools.chain(*ranges)} if isinstance(ranges, list) else {0}
        if max(numbers) - min(numbers) + 1 > len(numbers):
            raise InputError(
                f"--slices {slicing.slices}: distances in a volume need slices that follow each "
                "other; give all, middle:N or A-B"
            )
    segments = explained_segments(choice.target, classes)
    test_set = read_masked_set(choice, classes, dims, channels)
    return Preparation(
        kind="segmentation", classes=classes, slicing=slicing, test_set=test_set, segments=segments
    )


def _detection(
    choice: SetChoice, dims: int, channels: int, slice_options: Mapping[str, Any]
) -> Preparation:
    """That of a model which answers with boxes."""
    boxes = boxes_to_explain(choice.target)
    slicing = choose_slicing(lambda dims: find_items(choice, dims, channels), dims, **slice_options)
    if slicing is not None or dims != 2:
        raise InputError(
            f"--target {boxes[0]} is for images, and these are volumes, or slices of such: give "
            "fastcam evaluate images"
        )
    test_set = read_detection_set(choice, boxes, channels)
    return Preparation(kind="detection", classes=0, slicing=None, test_set=test_set, boxes=boxes)


def task_kind(task: Task, call: ModelCall) -> tuple[Kind, int]:
    """What is evaluated, and the number of classes (0 for a regression and a detector).

    InputError where the model, which answers as ``call`` says, doesn't fit the ``task``.
    """
    outputs, dense = call.outputs, call.dense
    if call.boxes and task in ("auto", "detection"):
        return "detection", 0
    if call.boxes or task == "detection":
        answers = "answers with boxes" if call.boxes else "gives no boxes, scores and labels"
        raise InputError(
            f"--task {task}: the model {answers}; leave it out"
            + (", or give detection" if call.boxes else "")
        )
    if dense and task in ("auto", "segmentation"):
        return "segmentation", outputs
    if dense or task == "segmentation":
        answers = "for every pixel" if dense else "once for each image"
        raise InputError(
            f"--task {task}: the model answers {answers}; leave it out, or choose another of the "
            "tensors that it returns with --output"
        )
    if task == "regression" or (task == "auto" and outputs == 1):
        if outputs != 1:
            raise InputError(
                f"--task regression: the model has {outputs} outputs, and evaluate compares one "
                "number an image with the table"
            )
        return "regression", 0
    if task == "classification" and outputs == 1:
        raise InputError(
            "--task classification: the model has one output; use multilabel (its sigmoid is the "
            "probability of class 1) or regression"
        )
    if task == "multilabel" and outputs > 1:
        return "multilabel", outputs
    return "classification", max(outputs, 2)


def model_call(
    model: nn.Module,
    preprocessing: Preprocessing,
    output: str = "",
    inputs: Sequence[ModelInput] = (),
    windows: WindowPlan | None = None,
) -> ModelCall:
    """How the model is called and what it answers with. InputError where it fails on its input.

    ``output``, ``inputs`` and ``windows`` as :func:`resolve_call` takes them.
    """
    device = device_of(model)
    return resolve_call(
        model, preprocessing, device, torch.float32, output=output, inputs=inputs, windows=windows
    )

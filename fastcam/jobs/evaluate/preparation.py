"""What an evaluation finds out about a model before it runs: its outputs, and their meaning."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fastcam.attribution.modules import device_of
from fastcam.errors import InputError
from fastcam.inference.dry_run import resolve_call
from fastcam.inference.predictions import Task
from fastcam.jobs.evaluate.scoring import Kind
from fastcam.read.inputs.model_inputs import ModelInput
from fastcam.read.inputs.preprocessing import Preprocessing


def task_kind(task: Task, outputs: int) -> tuple[Kind, int]:
    """What is evaluated, and the number of classes (0 for a regression).

    InputError where the number of a model's ``outputs`` doesn't fit the ``task``.
    """
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
        raise InputError(
            f"--task multilabel: the model has {outputs} outputs; evaluate takes multilabel for a "
            "model of one output, between two classes"
        )
    return "classification", max(outputs, 2)


def output_count(
    model: nn.Module,
    preprocessing: Preprocessing,
    output: str = "",
    inputs: Sequence[ModelInput] = (),
) -> int:
    """How many numbers the model gives for an image. InputError where it fails on one.

    ``output`` and ``inputs`` as :func:`resolve_call` takes them.
    """
    device = device_of(model)
    call = resolve_call(model, preprocessing, device, torch.float32, output=output, inputs=inputs)
    return call.outputs

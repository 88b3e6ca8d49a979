"""The Python function ``fastcam.evaluate``: a model on a test set with true values in a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from fastcam.api.models import load_model
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.evaluate.job import evaluate_set
from fastcam.jobs.evaluate.metrics.regression import groups
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateOptions, explain_of
from fastcam.jobs.evaluate.scoring import Kind, Scoring
from fastcam.jobs.evaluate.test_set import SetChoice, read_set
from fastcam.jobs.infer.request import InferenceOptions
from fastcam.options import PathLike, Style
from fastcam.run import scheduler
from fastcam.run.progress import Progress, Silent

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Reshape, Sign
    from fastcam.inference.predictions import Task
    from fastcam.options import Axes, Blend, PictureFormat, Scale, Theme
    from fastcam.read.inputs.preprocess import Fit, Preprocessing


def evaluate(
    model: str | nn.Module,
    image_dir: PathLike,
    table: PathLike,
    output_dir: PathLike,
    *,
    target: str | None = None,
    id_column: str | None = None,
    class_names: Sequence[str] = (),
    mask_dir: PathLike | None = None,
    pattern: str | None = None,
    axes: Axes = "zyx",
    checkpoint: PathLike | None = None,
    method: str | Sequence[str] = "gradcam",
    layers: Sequence[str | int] = (),
    sign: Sign = "positive",
    prefix_tokens: int | None = None,
    reshape: Reshape = "auto",
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | Sequence[int] | None = None,
    allow_partial: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit | None = None,
    task: Task = "auto",
    good_below: float = 5.0,
    group_width: float = 10.0,
    explain: str | int | Sequence[str | int] = (),
    faithfulness: int = 0,
    device: str = "auto",
    precision: str = "auto",
    compile: bool | None = None,
    batch_size: int = 16,
    readers: int | None = None,
    workers: int | None = None,
    scale: Scale = "patient",
    colormap: str = "jet",
    heat_alpha: float = 0.5,
    blend: Blend = "flat",
    panel_size: int = 512,
    theme: Theme = "light",
    format: PictureFormat = "png",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Evaluate a model on the images of ``image_dir`` whose true values are in ``table``.

    Every keyword is the option of ``fastcam evaluate`` with the same name. ``model`` is a name, or
    a module of your own. ``explain``: "all", "errors", a number (the worst so many) or ids, drawn
    besides the best and the worst. ``faithfulness``: how many images its curves are measured on, 0
    for none. What is written into ``output_dir`` is listed in the report's ``files``; images that
    fail are in its ``troubles`` and in ``failures.csv``. Run again, the model doesn't run again:
    its maps and answers are in ``run.zarr``.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unusable models or inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    from fastcam.attribution.request import MapRequest
    from fastcam.models.patch_attention.network import PatchAttention

    for option, value, least in (
        ("batch-size", batch_size, 1), ("workers", workers, 1), ("faithfulness-images",
        faithfulness, 0),
    ):  # fmt: skip
        if value is not None and value < least:
            raise InputError(f"--{option} {value} is too small: it must be at least {least}")
    for option, number in (("good-below", good_below), ("group-width", group_width)):
        if not 0 < number < float("inf"):
            raise InputError(f"--{option} {number} must be above 0")
    style = Style(
        colormap=colormap, heat_alpha=heat_alpha, blend=blend, scale=scale, panel_size=panel_size,
        theme=theme, format=format,
    )  # fmt: skip
    methods = (method,) if isinstance(method, str) else tuple(method)
    wanted = MapRequest(methods, tuple(map(str, layers)), (), sign, prefix_tokens, reshape)
    loaded = load_model(
        model, checkpoint, num_classes=num_classes, in_channels=in_channels,
        image_size=image_size if isinstance(model, str) else None, allow_partial=allow_partial,
    )  # fmt: skip
    if isinstance(loaded, PatchAttention):
        raise InputError(
            "fastcam evaluate is for models of images; of a patch-attention model use fastcam "
            "infer, then fastcam render --analyze-stats"
        )
    spec = resolve_preprocessing(loaded, image_size, mean, std, fit)
    kind, classes = _kind(task, _outputs(loaded, spec))
    choice = SetChoice(
        Path(image_dir), Path(table), target, id_column,
        None if mask_dir is None else Path(mask_dir), pattern, tuple(class_names), axes,
    )  # fmt: skip
    chosen = read_set(choice, kind, classes, len(spec.size))
    if kind == "regression":
        true = np.array([float(item.label) for item in chosen.items])
        groups(true, true, group_width)  # a width that makes too many is told before the model runs
    asked = [explain] if isinstance(explain, str | int) else list(explain)
    reporting = EvaluateOptions(
        group_width, classes, explain_of([str(one) for one in asked], chosen.items), style,
        workers or scheduler.cores(), faithfulness,
    )  # fmt: skip
    name = model if isinstance(model, str) else type(model).__name__
    return evaluate_set(
        loaded, {"model": name, "checkpoint": checkpoint}, spec, chosen, axes, wanted,
        InferenceOptions(device, precision, compile, batch_size, readers, task),
        Scoring(kind, good_below, chosen.names, sign), reporting, Path(output_dir), overwrite,
        progress or Silent(),
    )  # fmt: skip


def _kind(task: Task, outputs: int) -> tuple[Kind, int]:
    """What is evaluated, and the number of classes (0 for a regression)."""
    kind: Literal["regression", "classification"] = (
        "regression" if task == "regression" or (task == "auto" and outputs == 1)
        else "classification"
    )  # fmt: skip
    if kind == "regression":
        if outputs != 1:
            raise InputError(
                f"--task regression: the model has {outputs} outputs, and evaluate compares one "
                "number an image with the table"
            )
        return kind, 0
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
    return kind, max(outputs, 2)


def _outputs(model: nn.Module, spec: Preprocessing) -> int:
    """How many numbers the model gives for an image."""
    import torch

    from fastcam.attribution.batch_maps import logits_of

    example = torch.zeros(1, spec.channels, *spec.size, device=next(model.parameters()).device)
    try:
        with torch.inference_mode():
            answer = model(example)
    except RuntimeError as error:
        raise InputError(
            f"the model fails on a batch of shape {tuple(example.shape)}: "
            f"{str(error).splitlines()[0]}; check --image-size, the channels and the checkpoint"
        ) from error
    return int(logits_of(answer).shape[1])

"""``fastcam.evaluate``: a model on a test set with true values in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastcam.api.models import load_with_info
from fastcam.api.paths import optional_path, volume_text
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.evaluate.job import evaluate_set
from fastcam.jobs.evaluate.metrics.regression import value_groups
from fastcam.jobs.evaluate.preparation import output_count, task_kind
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateOptions, EvaluateRequest, figure_choice
from fastcam.jobs.evaluate.scoring import Scoring
from fastcam.jobs.evaluate.test_set import SetChoice, find_items, model_inputs_of, read_set
from fastcam.jobs.infer.request import InferenceOptions, InferRequest, InputChoice
from fastcam.models.patch_attention.network import PatchAttention
from fastcam.options import PathLike, Style
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.slice_inputs import choose_slicing
from fastcam.read.inputs.volume_input import check_shown
from fastcam.run.cgroups import cores
from fastcam.run.progress import NoProgress, Progress
from fastcam.store.pooling import check_pool

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Reshape, Sign
    from fastcam.inference.predictions import Task
    from fastcam.options import Axes, Blend, PictureFormat, Scale, Theme
    from fastcam.read.inputs.preprocessing import Fit
    from fastcam.read.inputs.slicing import Pool
    from fastcam.read.volumes.slice_axis import Plane


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
    volume: str | int | None = None,
    inputs: Mapping[str, str] | None = None,
    output: str | int | None = None,
    axis: Plane | None = None,
    slices: str | None = None,
    context: int | None = None,
    pool: Pool | None = None,
    window_level: Sequence[float] | None = None,
    percentiles: Sequence[float] | None = None,
    show_channel: int | None = None,
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
    for option, value, minimum in (
        ("batch-size", batch_size, 1),
        ("workers", workers, 1),
        ("faithfulness-images", faithfulness, 0),
    ):
        if value is not None and value < minimum:
            raise InputError(f"--{option} {value} is too small: it must be at least {minimum}")
    for option, number in (("good-below", good_below), ("group-width", group_width)):
        if not 0 < number < float("inf"):
            raise InputError(f"--{option} {number} must be above 0")
    style = Style(
        colormap=colormap,
        heat_alpha=heat_alpha,
        blend=blend,
        scale=scale,
        panel_size=panel_size,
        theme=theme,
        format=format,
    )
    methods = (method,) if isinstance(method, str) else tuple(method)
    maps = MapRequest(
        methods,
        tuple(map(str, layers)),
        sign=sign,
        prefix_tokens=prefix_tokens,
        reshape=reshape,
    )
    loaded, model_info = load_with_info(
        model,
        checkpoint,
        image_size,
        num_classes=num_classes,
        in_channels=in_channels,
        allow_partial=allow_partial,
    )
    if isinstance(loaded, PatchAttention):
        raise InputError(
            "fastcam evaluate is for models of images; of a patch-attention model use fastcam "
            "infer, then fastcam render --analyze-stats"
        )
    grey = GreyLevels.of(window_level, percentiles)
    preprocessing = resolve_preprocessing(loaded, image_size, mean, std, fit).with_grey(grey)
    choice = SetChoice(
        image_dir=Path(image_dir),
        table=Path(table),
        target=target,
        id_column=id_column,
        mask_dir=optional_path(mask_dir),
        pattern=pattern,
        class_names=tuple(class_names),
        axes=axes,
        columns=dict(inputs or {}),
    )
    answer = "" if output is None else str(output)
    outputs = output_count(loaded, preprocessing, answer, model_inputs_of(choice))
    kind, classes = task_kind(task, outputs)
    dims, channels = len(preprocessing.size), preprocessing.channels
    slicing = choose_slicing(
        lambda dims: [] if choice.columns else find_items(choice, dims, channels),
        dims,
        axis=axis,
        slices=slices,
        context=context,
        pool=pool,
    )
    if slicing is not None:
        dims, channels = 3, 1 if slicing.context > 1 else channels
        check_pool(slicing.pool, kind == "classification")
        if faithfulness:
            raise InputError(
                "--faithfulness is for images and whole volumes, and the model sees these volumes "
                "slice by slice: leave it out"
            )
    check_shown(show_channel, preprocessing, None if slicing is None else slicing.context)
    test_set = read_set(choice, kind, classes, dims, channels)
    if kind == "regression":
        true = np.array([float(item.label) for item in test_set.items])
        # A width that makes too many groups is an error before the model runs.
        value_groups(true, true, group_width)
    chosen = [explain] if isinstance(explain, str | int) else list(explain)
    request = EvaluateRequest(
        model=loaded,
        inference=InferRequest(
            model_info=model_info,
            preprocessing=preprocessing,
            inputs=InputChoice(
                (),
                axes=axes,
                items=test_set.items,
                model_inputs=test_set.model_inputs,
                volume=volume_text(volume),
                slicing=slicing,
            ),
            maps=maps,
            options=InferenceOptions(
                device=device,
                precision=precision,
                compiled=compile,
                batch_size=batch_size,
                readers=readers,
                task=task,
            ),
            output=answer,
        ),
        test_set=test_set,
        scoring=Scoring(kind, good_below, test_set.names, sign),
        options=EvaluateOptions(
            classes=classes,
            group_width=group_width,
            figures=figure_choice([str(text) for text in chosen], test_set.items),
            style=style,
            workers=workers or cores(),
            faithfulness_images=faithfulness,
            show_channel=show_channel,
        ),
        output_dir=Path(output_dir),
        overwrite=overwrite,
    )
    return evaluate_set(request, progress or NoProgress())

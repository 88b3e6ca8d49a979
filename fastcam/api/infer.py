"""``fastcam.infer``: a model over images or volumes into a run store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastcam.api.models import load_with_info
from fastcam.api.paths import optional_path, path_list, volume_text
from fastcam.attribution.engines import default_method
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.infer.job import infer_maps
from fastcam.jobs.infer.patches import infer_patches
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InferenceOptions, InferRequest, InputChoice
from fastcam.models.patch_attention.network import PatchAttention
from fastcam.options import PathLike
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.slice_inputs import choose_slicing
from fastcam.run.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Fusion, Reshape, Sign
    from fastcam.inference.predictions import Task
    from fastcam.models.fewshot.build import FewshotOptions
    from fastcam.options import Axes
    from fastcam.read.inputs.preprocessing import Fit
    from fastcam.read.inputs.slicing import Pool
    from fastcam.read.volumes.slice_axis import Plane


def infer(
    model: str | nn.Module,
    images: PathLike | Sequence[PathLike],
    output_dir: PathLike,
    *,
    checkpoint: PathLike | None = None,
    method: str | Sequence[str] | None = None,
    layers: Sequence[str | int] = (),
    classes: Sequence[int] | Literal["label"] = (),
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | Sequence[int] | None = None,
    allow_partial: bool = False,
    fewshot: FewshotOptions | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit | None = None,
    pattern: str | None = None,
    table: PathLike | None = None,
    mask_dir: PathLike | None = None,
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
    sign: Sign = "positive",
    fusion: Fusion = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
    prefix_tokens: int | None = None,
    reshape: Reshape = "auto",
    task: Task = "auto",
    device: str = "auto",
    precision: str = "auto",
    compile: bool | None = None,
    batch_size: int = 16,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> InferReport:
    """Run a model over images or volumes into the run store ``output_dir/run.zarr``.

    Every keyword is the option of ``fastcam infer`` with the same name; ``classes`` are those of
    ``--target``, or "label" for each image's own in the table. ``inputs``: of a model with several
    inputs the column of the table that goes into each argument of its ``forward``; ``images`` is
    then the table, or with ``table`` the folder that its paths are relative to. ``output``: which
    of the tensors that the model returns is its answer. A 2-D model runs over the slices of volumes
    one by one: ``axis``, ``slices``, ``context`` and ``pool`` say how. ``window_level`` (centre,
    width) and ``percentiles`` (low, high): which grey levels become black and white. A run that was
    stopped goes on with its first unfinished batch. Images that fail are in the report's
    ``troubles`` and in ``failures.csv``; the others are stored.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unusable models or inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    if batch_size < 1:
        raise InputError(f"--batch-size {batch_size} is too small: it must be at least 1")
    loaded, model_info = load_with_info(
        model,
        checkpoint,
        image_size,
        num_classes=num_classes,
        in_channels=in_channels,
        allow_partial=allow_partial,
        fewshot=fewshot,
    )
    choice = InputChoice(
        path_list(images),
        pattern,
        optional_path(table),
        optional_path(mask_dir),
        axes,
        dict(inputs or {}),
        volume=volume_text(volume),
    )
    grey = GreyLevels.of(window_level, percentiles)
    by_label = classes == "label"
    options = InferenceOptions(
        device=device,
        precision=precision,
        compiled=compile,
        batch_size=batch_size,
        readers=workers,
        task=task,
        by_label=by_label,
    )
    if isinstance(loaded, PatchAttention):
        if method or layers or classes or inputs or output is not None or grey.settings:
            name = model_info["model"]
            raise InputError(
                f"{name} has its own attention and grey levels: leave out --method, --layer, "
                "--target, --input, --output, --window-level and --percentiles"
            )
        return infer_patches(
            loaded,
            model_info,
            choice,
            options,
            Path(output_dir),
            overwrite=overwrite,
            progress=progress,
        )
    preprocessing = resolve_preprocessing(loaded, image_size, mean, std, fit).with_grey(grey)
    slicing = choose_slicing(
        lambda dims: choice.find(dims, preprocessing.channels)[1],
        len(preprocessing.size),
        axis=axis,
        slices=slices,
        context=context,
        pool=pool,
    )
    methods = (method,) if isinstance(method, str) else tuple(method or (default_method(loaded),))
    maps = MapRequest(
        methods=methods,
        layers=tuple(map(str, layers)),
        classes=() if by_label else tuple(map(int, classes)),
        sign=sign,
        prefix_tokens=prefix_tokens,
        reshape=reshape,
        fusion=fusion,
        discard_ratio=discard_ratio,
        start_layer=start_layer,
    )
    request = InferRequest(
        model_info=model_info,
        preprocessing=preprocessing,
        inputs=replace(choice, slicing=slicing),
        maps=maps,
        options=options,
        output="" if output is None else str(output),
    )
    return infer_maps(loaded, request, Path(output_dir), overwrite=overwrite, progress=progress)

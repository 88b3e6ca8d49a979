"""The Python functions that run a model: ``load_model``, ``explain`` and ``infer``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastcam.api.models import load_model
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.infer.job import infer_maps
from fastcam.jobs.infer.patches import infer_patches
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InputChoice, InferenceOptions
from fastcam.options import PathLike
from fastcam.run.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Fusion, Reshape, Sign
    from fastcam.inference.predictions import Task
    from fastcam.models.fewshot.build import FewshotOptions
    from fastcam.options import Axes
    from fastcam.read.inputs.preprocess import Fit


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
    ``--target``, or "label" for each image's own in the table. A run that was stopped
    goes on with its first unfinished batch. Images that fail are in the report's ``troubles`` and
    in ``failures.csv``; the others are stored.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unusable models or inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    from fastcam.attribution.engines import default_method
    from fastcam.attribution.request import MapRequest
    from fastcam.models.patch_attention.network import PatchAttention

    if batch_size < 1:
        raise InputError(f"--batch-size {batch_size} is too small: it must be at least 1")
    loaded = load_model(
        model, checkpoint, num_classes=num_classes, in_channels=in_channels,
        image_size=image_size if isinstance(model, str) else None, allow_partial=allow_partial,
        fewshot=fewshot,
    )  # fmt: skip
    name = model if isinstance(model, str) else type(model).__name__
    described = {"model": name, "checkpoint": checkpoint}
    paths = (images,) if isinstance(images, str | Path) else tuple(images)
    choice = InputChoice(
        tuple(map(Path, paths)), pattern, None if table is None else Path(table),
        None if mask_dir is None else Path(mask_dir), axes,
    )  # fmt: skip
    running = InferenceOptions(
        device, precision, compile, batch_size, workers, task, classes == "label"
    )
    if isinstance(loaded, PatchAttention):
        if method or layers or classes:
            raise InputError(f"{name} has its own attention: leave out --method, --layer, --target")
        return infer_patches(
            loaded, described, choice, running, Path(output_dir), overwrite, progress
        )
    methods = (method,) if isinstance(method, str) else tuple(method or (default_method(loaded),))
    by_label = classes == "label"
    wanted = MapRequest(
        methods, tuple(map(str, layers)), () if by_label else tuple(map(int, classes)), sign,
        prefix_tokens, reshape, fusion, discard_ratio, start_layer,
    )  # fmt: skip
    spec = resolve_preprocessing(loaded, image_size, mean, std, fit)
    return infer_maps(
        loaded, described, spec, choice, wanted, running, Path(output_dir), overwrite, progress
    )

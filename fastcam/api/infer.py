"""``fastcam.infer``: a model over images or volumes into a run store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.api.arguments import (
    check_at_least,
    name_list,
    optional_path,
    output_name,
    path_list,
    volume_text,
)
from fastcam.api.keyword_messages import keyword_messages
from fastcam.api.models import load_with_info
from fastcam.api.workers import choose_workers
from fastcam.attribution.baselines import black_of
from fastcam.attribution.box_target import boxes_in
from fastcam.attribution.engines import default_method
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.request import MapRequest
from fastcam.attribution.segment_target import segments_in
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.infer.figures_meanwhile import FiguresMeanwhile
from fastcam.jobs.infer.job import infer_maps
from fastcam.jobs.infer.patches import infer_patches
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InferenceOptions, InferRequest, InputChoice
from fastcam.models.patch_attention.network import PatchAttention
from fastcam.models.text_similarity import text_similarity, texts_in
from fastcam.options import PathLike
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.slice_inputs import choose_slicing
from fastcam.read.volumes.memory_limit import limited
from fastcam.run.folder import STORE
from fastcam.run.memory_share import memory_limit
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.run_status import RunStatus
from fastcam.storage.listing import kept_listings, listed
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Augmentation, Fusion, Reshape
    from fastcam.attribution.window_plan import WindowPlan
    from fastcam.inference.predictions import Task
    from fastcam.models.fewshot.build import FewshotOptions
    from fastcam.options import Axes, Sign
    from fastcam.read.inputs.preprocessing import Fit
    from fastcam.read.inputs.slicing import Pool
    from fastcam.read.volumes.slice_axis import Plane


@keyword_messages
def infer(
    model: str | nn.Module,
    images: PathLike | Sequence[PathLike],
    output_dir: PathLike,
    *,
    checkpoint: PathLike | None = None,
    method: str | Sequence[str] | None = None,
    layers: str | int | Sequence[str | int] = (),
    target: int | str | Sequence[int | str] = (),
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | Sequence[int] | None = None,
    allow_partial: bool = False,
    fewshot: FewshotOptions | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
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
    method_settings: MethodSettings | None = None,
    windows: WindowPlan | None = None,
    tta: Augmentation | None = None,
    task: Task = "auto",
    device: str = "auto",
    precision: str = "auto",
    compile: bool | None = None,
    batch_size: int = 16,
    workers: int | None = None,
    devices: str | int | None = None,
    scheduler: str | None = None,
    render: PathLike | None = None,
    overwrite: bool = False,
    trust_inputs: bool = False,
    max_memory: int | str | None = None,
    progress: Progress | None = None,
) -> InferReport:
    """Run a model over images or volumes into the run store ``output_dir/run.zarr``.

    Every keyword is the option of ``fastcam infer`` with the same name; ``target``: one or several
    class numbers, of a segmentation "seg:3" and the like, of a detector "box:best", of CLIP "text:a
    photo", or "label" for each image's own in the table. ``inputs``: of a model with several inputs
    the column of the table that goes into each argument of its ``forward``; ``images`` is then the
    table, or with ``table`` the folder that its paths are relative to. ``output``: which of the
    tensors that the model returns is its answer. A 2-D model runs over the slices of volumes one by
    one: ``axis``, ``slices``, ``context`` and ``pool`` say how. ``window_level`` (center, width)
    and ``percentiles`` (low, high): which grey levels become black and white. ``method_settings``:
    steps, masks, samples and baselines of the methods with many passes. ``windows``: the model sees
    its input window by window. A run that was stopped goes on with its first unfinished batch;
    images that changed since they were run are run again (``trust_inputs``: not looked at). Images
    that fail are in the report's ``troubles`` and in ``failures.csv``; the others are stored.
    ``max_memory``: bytes or a text such as "12GB", for all ``workers`` together; a volume that
    would take more fails untried. ``devices`` ("all", a number, "0,2,5") and ``scheduler``: the
    model, given by its name, runs in worker processes, of this machine or of a Dask cluster, each
    with its own device, and ``workers`` is of each of them. ``render``: the folder into which a
    process of its own draws what is finished meanwhile, as ``fastcam render --follow`` does.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unusable models or inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    check_at_least("batch-size", batch_size, 1)
    check_at_least("workers", workers, 0)
    memory = memory_limit(max_memory, workers or 1)
    load_options = {
        "num_classes": num_classes,
        "in_channels": in_channels,
        "allow_partial": allow_partial,
        "fewshot": fewshot,
    }
    loaded, model_info = load_with_info(model, checkpoint, image_size, **load_options)
    choice = InputChoice(
        paths=path_list(images),
        pattern=pattern,
        table=optional_path(table),
        mask_dir=optional_path(mask_dir),
        axes=axes,
        columns=dict(inputs or {}),
        volume=volume_text(volume),
    )
    grey = GreyLevels.of(window_level, percentiles)
    by_label = target == "label"
    classes = () if by_label else (target,) if isinstance(target, int | str) else tuple(target)
    texts = () if by_label else texts_in(classes)
    if texts:
        loaded, classes = text_similarity(loaded, texts), tuple(range(len(texts)))
    boxes = () if by_label else boxes_in(classes)
    segments = () if by_label or boxes else segments_in(classes)
    options = InferenceOptions(
        device=device,
        precision=precision,
        compiled=compile,
        batch_size=batch_size,
        readers=workers,
        task=task,
        by_label=by_label,
        trust_inputs=trust_inputs,
    )
    meanwhile = None
    if render is not None:
        _check_shared(as_path(output_dir), as_path(render))
        store = as_path(output_dir) / STORE
        meanwhile = FiguresMeanwhile(
            store, as_path(render), progress, overwrite=overwrite, trust_inputs=trust_inputs
        )
    status = RunStatus(as_path(output_dir), "infer", meanwhile or progress or NoProgress())
    worker_choice = choose_workers(
        model,
        checkpoint,
        {"image_size": image_size, **load_options},
        texts,
        devices=devices,
        scheduler=scheduler,
    )
    if isinstance(loaded, PatchAttention):
        if method or layers or target or inputs or output is not None or grey.settings:
            name = model_info["model"]
            raise InputError(
                f"{name} has its own attention and gray levels: leave out --method, --layer, "
                "--target, --input, --output, --window-level and --percentiles"
            )
        if worker_choice is not None:
            raise InputError(
                f"{model_info['model']} runs in one process: leave out --devices and --scheduler"
            )
        if meanwhile is not None:
            raise InputError(
                f"{model_info['model']}: --render is for maps; give fastcam render its store and "
                "images when it has ended"
            )
        with kept_listings(*choice.paths, choice.mask_dir), status, limited(memory):
            return infer_patches(
                loaded,
                model_info,
                choice,
                options,
                as_path(output_dir),
                overwrite=overwrite,
                progress=status,
            )
    preprocessing = resolve_preprocessing(loaded, image_size, mean, std, fit).with_grey(grey)
    # The folders are listed for what the inputs are, which, what is left out, and how old.
    with kept_listings(*choice.paths, choice.mask_dir):
        with listed(*choice.paths):
            slicing = choose_slicing(
                lambda dims: choice.find(dims, preprocessing.channels)[1],
                len(preprocessing.size),
                axis=axis,
                slices=slices,
                context=context,
                pool=pool,
            )
        maps = MapRequest(
            methods=name_list(method) or (default_method(loaded),),
            layers=name_list(layers),
            classes=() if by_label or segments or boxes else tuple(map(int, classes)),
            segments=segments,
            boxes=boxes,
            texts=texts,
            sign=sign,
            prefix_tokens=prefix_tokens,
            reshape=reshape,
            fusion=fusion,
            discard_ratio=discard_ratio,
            start_layer=start_layer,
            windows=windows,
            augmentation=tta,
            settings=(method_settings or MethodSettings()).of_run(
                black_of(preprocessing), batch_size, task
            ),
        )
        request = InferRequest(
            model_info=model_info,
            preprocessing=preprocessing,
            inputs=replace(choice, slicing=slicing),
            maps=maps,
            options=options,
            output=output_name(output),
        )
        with status, limited(memory):
            report = infer_maps(
                loaded,
                request,
                as_path(output_dir),
                overwrite=overwrite,
                progress=status,
                choice=worker_choice,
            )
    if meanwhile is not None:
        report.figures_failed = not meanwhile.wait()
        report.notes.append(meanwhile.outcome)
    return report


def _check_shared(*folders: Path) -> None:
    """InputError where one of ``folders`` lies where the process that draws doesn't see it."""
    for folder in folders:
        if isinstance(folder, ObjectPath) and folder.scheme == "memory":
            raise InputError(
                f"--render draws by a process of its own, which doesn't see {folder}: memory:// is "
                "the memory of this one; leave it out, and call render afterwards"
            )

"""``fastcam.evaluate``: a model on a test set with true values in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fastcam.api.arguments import (
    check_at_least,
    name_list,
    optional_path,
    output_name,
    volume_text,
)
from fastcam.api.keyword_messages import keyword_messages
from fastcam.api.models import load_with_info
from fastcam.api.workers import choose_workers
from fastcam.attribution.baselines import black_of
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.jobs.evaluate.job import evaluate_set
from fastcam.jobs.evaluate.method_check import check_comparison
from fastcam.jobs.evaluate.preparation import Preparation, prepare
from fastcam.jobs.evaluate.report import EvaluationReport
from fastcam.jobs.evaluate.request import EvaluateOptions, EvaluateRequest, figure_choice
from fastcam.jobs.evaluate.scoring import Scoring
from fastcam.jobs.evaluate.test_set import SetChoice
from fastcam.jobs.infer.request import InferenceOptions, InferRequest, InputChoice
from fastcam.models.patch_attention.network import PatchAttention
from fastcam.options import PathLike, Style
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.volumes.memory_limit import limited
from fastcam.run.cgroups import cores
from fastcam.run.memory_share import memory_limit
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.run_status import RunStatus
from fastcam.storage.listing import listed
from fastcam.storage.locations import as_path

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Augmentation, Reshape
    from fastcam.attribution.window_plan import WindowPlan
    from fastcam.inference.predictions import Task
    from fastcam.options import (
        Aspect,
        Axes,
        Blend,
        PanelName,
        PictureFormat,
        Scale,
        Sign,
        StyleName,
        Theme,
    )
    from fastcam.read.inputs.preprocessing import Fit
    from fastcam.read.inputs.slicing import Pool
    from fastcam.read.volumes.slice_axis import Plane


@keyword_messages
def evaluate(
    model: str | nn.Module,
    image_dir: PathLike,
    table: PathLike | None,
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
    method: str | Sequence[str] | None = None,
    layers: str | int | Sequence[str | int] = (),
    sign: Sign = "positive",
    prefix_tokens: int | None = None,
    reshape: Reshape = "auto",
    method_settings: MethodSettings | None = None,
    windows: WindowPlan | None = None,
    tta: Augmentation | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | Sequence[int] | None = None,
    allow_partial: bool = False,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    fit: Fit | None = None,
    task: Task = "auto",
    good_below: float = 5.0,
    unit: str = "",
    group_width: float = 10.0,
    explain: str | int | Sequence[str | int] = (),
    faithfulness: int = 0,
    compare_methods: str | Sequence[str] = (),
    compare_images: int = 20,
    device: str = "auto",
    precision: str = "auto",
    compile: bool | None = None,
    batch_size: int = 16,
    readers: int | None = None,
    workers: int | None = None,
    devices: str | int | None = None,
    scheduler: str | None = None,
    scale: Scale = "patient",
    style: StyleName = "standard",
    colormap: str = "",
    heat_alpha: float = 0.5,
    blend: Blend = "auto",
    panel_size: int = 512,
    aspect: Aspect | None = None,
    theme: Theme = "light",
    format: PictureFormat = "png",
    width_mm: float | None = None,
    font_scale: float = 1.0,
    dpi: float | None = None,
    panels: Sequence[PanelName] = (),
    overwrite: bool = False,
    trust_inputs: bool = False,
    max_memory: int | str | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Evaluate a model on the images of ``image_dir`` whose true values are in ``table``.

    Of a segmentation the truth is in masks, whose pixels are the numbers of their classes: then
    ``table`` is None, and ``target`` what maps explain, as "seg:1"; by default every class but 0.
    So it is of a detector, whose true boxes nobody has to know: ``target`` is "box:best", the
    default, "box:2", "box:label:3", or several with commas between.
    Every keyword is the option of ``fastcam evaluate`` with the same name. ``model`` is a name, or
    a module of your own. ``explain``: "all", "errors", a number (the worst so many) or ids, drawn
    besides the best and the worst. ``faithfulness``: how many images its curves are measured on, 0
    for none. ``compare_methods``: methods whose maps are compared, beside those of ``method``, on
    ``compare_images`` of the images. ``windows``: the model sees its input window by window, for
    volumes larger than one pass. ``unit``: of a regression's values, as "years". What is
    written into ``output_dir`` is listed in the report's ``files``; images that fail are in its
    ``troubles`` and in ``failures.csv``. Run again, the model doesn't run again: its maps and
    answers are in ``run.zarr``. ``max_memory``: bytes or a text such as "12GB", for all ``workers``
    together; a volume that would take more fails untried. ``devices`` and ``scheduler``: the model
    runs in worker processes, as in :func:`fastcam.infer`.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unusable models or inputs,
    :class:`~fastcam.errors.OutputError` when the output can't be written.
    """
    check_at_least("batch-size", batch_size, 1)
    check_at_least("workers", workers, 1)
    memory = memory_limit(max_memory, workers or cores())
    check_at_least("faithfulness-images", faithfulness, 0)
    check_at_least("compare-images", compare_images, 1)
    compared = name_list(compare_methods)
    methods = tuple(dict.fromkeys(compared if method is None else (*name_list(method), *compared)))
    for option, number in (("good-below", good_below), ("group-width", group_width)):
        if not 0 < number < float("inf"):
            raise InputError(f"--{option} {number} must be above 0")
    look = Style(
        style=style,
        colormap=colormap,
        heat_alpha=heat_alpha,
        blend=blend,
        scale=scale,
        panel_size=panel_size,
        aspect=aspect or "",
        theme=theme,
        format=format,
        width_mm=width_mm,
        font_scale=font_scale,
        dpi=dpi,
        panels=tuple(panels),
    )
    maps = MapRequest(
        methods or ("gradcam",),
        name_list(layers),
        sign=sign,
        prefix_tokens=prefix_tokens,
        reshape=reshape,
        augmentation=tta,
        windows=windows,
    )
    load_options = {
        "num_classes": num_classes,
        "in_channels": in_channels,
        "allow_partial": allow_partial,
    }
    loaded, model_info = load_with_info(model, checkpoint, image_size, **load_options)
    if isinstance(loaded, PatchAttention):
        raise InputError(
            "fastcam evaluate is for models of images; of a patch-attention model use fastcam "
            "infer, then fastcam render --analyze-stats"
        )
    grey = GreyLevels.of(window_level, percentiles)
    preprocessing = resolve_preprocessing(loaded, image_size, mean, std, fit).with_grey(grey)
    settings = (method_settings or MethodSettings()).of_run(
        black_of(preprocessing), batch_size, task
    )
    maps = replace(maps, settings=settings)
    choice = SetChoice(
        image_dir=as_path(image_dir),
        table=optional_path(table),
        target=target,
        id_column=id_column,
        mask_dir=optional_path(mask_dir),
        pattern=pattern,
        class_names=tuple(class_names),
        axes=axes,
        columns=dict(inputs or {}),
    )
    answer = output_name(output)
    options = EvaluateOptions(
        group_width=group_width,
        style=look,
        workers=workers or cores(),
        faithfulness_images=faithfulness,
        compared_images=compare_images if compared else 0,
        show_channel=show_channel,
    )
    slice_options = {"axis": axis, "slices": slices, "context": context, "pool": pool}
    with listed(choice.image_dir, choice.mask_dir):
        prepared = prepare(
            loaded,
            preprocessing,
            choice,
            options,
            slice_options,
            task=task,
            output=answer,
            windows=windows,
        )
    test_set = prepared.test_set
    if compared:
        sliced = prepared.slicing is not None
        many = prepared.kind in ("multilabel", "segmentation", "detection")
        check_comparison(maps, bool(test_set.model_inputs), sliced, many)
    maps = _explaining(maps, prepared)
    request = EvaluateRequest(
        model=loaded,
        inference=InferRequest(
            model_info=model_info,
            preprocessing=preprocessing,
            inputs=InputChoice(
                paths=(),
                axes=axes,
                items=test_set.items,
                model_inputs=test_set.model_inputs,
                volume=volume_text(volume),
                slicing=prepared.slicing,
            ),
            maps=maps,
            options=InferenceOptions(
                device=device,
                precision=precision,
                compiled=compile,
                batch_size=batch_size,
                readers=readers,
                task=task,
                trust_inputs=trust_inputs,
            ),
            output=answer,
        ),
        test_set=test_set,
        scoring=Scoring(
            prepared.kind, good_below, test_set.names, sign, unit, options.style.classic
        ),
        options=replace(
            options,
            classes=prepared.classes,
            finding_masks=choice.mask_dir if prepared.kind == "multilabel" else None,
            figures=figure_choice(name_list(explain), test_set.items),
        ),
        output_dir=as_path(output_dir),
        overwrite=overwrite,
        choice=choose_workers(
            model,
            checkpoint,
            {"image_size": image_size, **load_options},
            devices=devices,
            scheduler=scheduler,
            draws=True,
        ),
    )
    status = RunStatus(request.output_dir, "evaluate", progress or NoProgress())
    with status, limited(memory):
        return evaluate_set(request, status)


def _explaining(maps: MapRequest, prepared: Preparation) -> MapRequest:
    """``maps`` with what they explain, where that isn't the one answer for an image."""
    if prepared.kind == "multilabel" and maps.is_targeted:
        # A map for each finding.
        return replace(maps, classes=tuple(range(prepared.classes)))
    if prepared.kind in ("segmentation", "detection"):
        if not maps.is_targeted:
            what = "class" if prepared.kind == "segmentation" else "box"
            raise InputError(
                f"--method {maps.methods[0]}: explains no {what}, and predictions are stored "
                "beside maps that do; add gradcam or another such method"
            )
        return replace(maps, segments=prepared.segments, boxes=prepared.boxes)
    return maps

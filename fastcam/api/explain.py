"""``fastcam.explain``: maps of a few images in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastcam.api.arguments import name_list, output_name, volume_text
from fastcam.api.keyword_messages import keyword_messages
from fastcam.attribution.baselines import black_of
from fastcam.attribution.method_settings import MethodSettings
from fastcam.inference.images import VolumeView, load_images, resolve_preprocessing
from fastcam.inference.several_inputs import load_inputs
from fastcam.jobs.explain.comparison import Explanation
from fastcam.jobs.explain.job import explain_images
from fastcam.jobs.explain.request import ExplainRequest, layers_of, steps_of, with_methods
from fastcam.jobs.explain.support import support_of
from fastcam.models.model_files import module_of
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.volumes.memory_limit import limited
from fastcam.run.memory_share import memory_limit

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from fastcam.attribution.request import Augmentation, Fusion, Reshape
    from fastcam.attribution.window_plan import WindowPlan
    from fastcam.inference.predictions import Task
    from fastcam.options import Sign
    from fastcam.read.inputs.preprocessing import Fit


@keyword_messages
def explain(
    model: nn.Module | ExportedProgram,
    images: Any,
    method: str | Sequence[str] | None = None,
    layers: Sequence[str | int] | Mapping[str, Sequence[str | int]] | str | int | None = None,
    target: Any = None,
    *,
    output: str | int | None = None,
    support: Any = None,
    query: tuple[int, int] | None = None,
    sign: Sign = "positive",
    fusion: Fusion = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
    prefix_tokens: int | None = None,
    reshape: Reshape = "auto",
    method_settings: MethodSettings | None = None,
    windows: WindowPlan | None = None,
    tta: Augmentation | None = None,
    image_size: int | Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    fit: Fit | None = None,
    window_level: Sequence[float] | None = None,
    percentiles: Sequence[float] | None = None,
    volume: str | int | None = None,
    show_channel: int | None = None,
    task: Task = "auto",
    batch_size: int = 16,
    device: str | None = None,
    precision: str = "fp32",
    max_memory: int | str | None = None,
    on_progress: Callable[[str], None] | None = None,
    told: Callable[[str], None] | None = None,
) -> Explanation:
    """Maps of what ``model`` looked at, for a few images, in memory.

    ``images``: a float tensor (n, c, h, w) or (n, c, d, h, w), already preprocessed, or paths, PIL
    images or uint8 arrays (h, w[, c]), which are preprocessed as the model wants it. ``method``:
    one or several of gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, ablationcam,
    saliency, inputxgradient, smoothgrad, integrated-gradients, occlusion, rise, attention, rollout,
    legrad, chefer, gradattention, window, channel, overlap, reconstruction, or "all" that the model
    has (without the slow ones, scorecam, ablationcam, occlusion and rise); by default attention for
    a Vision Transformer and gradcam for all else. ``method_settings``: steps, masks, samples and
    baselines of those with many passes. ``layers``: dotted module names, or numbers of blocks for
    attention of any kind; by method where methods want different ones. Of a module that runs more
    than once every call has a map, ``layer4#0``, ``layer4#1``; such a name means one call, the
    module's own all of them. ``model``: a module, also within ``torch.compile``, ``DataParallel``
    and their like, or what ``torch.export.load`` returns; it runs in eval mode and in the number
    type of its weights, and is left as it was. ``sign``: CAMs L are ReLU(L) ("positive"), ReLU(-L)
    ("negative"), or L itself ("both"), all but EigenCAM, which is always L. ``target``: None for
    the predicted class (or the value of a regression), a class for all images, a list with one
    class or a list of classes an image, or a callable that takes the output to one number an image.
    Of a model with several inputs ``images`` is a mapping of the names of its ``forward``'s
    arguments to images as above, or to one number an image. ``output``: which of the tensors that
    the model returns is its answer, by name or place, with dots between for what is nested;
    a callable target then gets it alone. ``support``: examples that reconstruction compares with:
    images as above, or a mapping of classes to images; ``query``: the pixel (x, y) of the picture
    that it asks from, instead of all places. ``window_level`` (center, width) and ``percentiles``
    (low, high): which grey levels of files become black and white, by default their own;
    ``volume``: number or name of a volume where a file or folder has several; ``show_channel``: of
    volumes of several channels the one that figures show, from 1. ``device``: by default where the
    model is. ``on_progress`` gets a line for each step, before it is run; ``told`` is another name
    of it.

    Raises :class:`~fastcam.errors.InputError` for a layer or method that doesn't exist, targets of
    the wrong length, support images without reconstruction or the reverse, and images that can't
    be read.
    """
    log = on_progress or told or _no_log
    module = module_of(model)
    request = ExplainRequest(
        methods=name_list(method),
        sign=sign,
        fusion=fusion,
        discard_ratio=discard_ratio,
        start_layer=start_layer,
        prefix_tokens=prefix_tokens,
        reshape=reshape,
        method_settings=method_settings or MethodSettings(),
        windows=windows,
        tta=tta,
        task=task,
        batch_size=batch_size,
        device=device,
        precision=precision,
        query=query,
        output=output_name(output),
    )
    request = with_methods(request, [module], support is not None)
    request = replace(request, layers=layers_of(_layer_texts(layers), request.methods))
    steps = steps_of(request, support is not None)
    grey = GreyLevels.of(window_level, percentiles)
    preprocessing = resolve_preprocessing(module, image_size, mean, std, fit).with_grey(grey)
    if isinstance(images, Mapping):
        batch = load_inputs(images, preprocessing)
    else:
        view = VolumeView(volume=volume_text(volume), show_channel=show_channel)
        with limited(memory_limit(max_memory, 1)):
            batch = load_images(images, preprocessing, view)
    return explain_images(
        module,
        batch,
        request,
        steps,
        targets=target,
        support=support_of(support, preprocessing),
        black=black_of(preprocessing),
        log_step=log,
        log=log,
    )


def _no_log(line: str) -> None:
    """Nobody wants to know what is being done."""


def _layer_texts(layers: Any) -> tuple[str, ...]:
    """Layers as they are written on the command line."""
    if isinstance(layers, Mapping):
        return tuple(
            f"{method}={layer}"
            for method, of_method in layers.items()
            for layer in name_list(of_method)
        )
    return name_list(layers)

"""The Python functions that run a model: ``load_model``, ``explain`` and ``infer``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastcam.errors import InputError
from fastcam.explaining.explanation import Explanation
from fastcam.gathering import gather
from fastcam.gathering import settled as settled
from fastcam.inferjob import InferReport, InputChoice, Running, infer_maps
from fastcam.patchinfer import infer_patches
from fastcam.progress import Progress
from fastcam.report.inventory import Inventory

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.wanted import Fusion, Reshape, Sign
    from fastcam.inference.answers import Task
    from fastcam.models.fewshot.build import FewshotOptions
    from fastcam.read.preprocess import Fit
    from fastcam.spec import Axes

PathLike = str | Path


def load_model(
    model: str | nn.Module,
    checkpoint: PathLike | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | Sequence[int] | None = None,
    allow_partial: bool = False,
    fewshot: FewshotOptions | None = None,
) -> nn.Module:
    """A model by its name, in eval mode, on the CPU.

    ``model``: a built-in name (``vit_small``, ``resnet50``, ``patch_attention``, ...),
    ``timm:NAME``, ``torchvision:NAME``, ``hf:FOLDER``, ``monai:CLASS?key=value``,
    ``file.py:factory``, or a module of your own. ``fewshot``: which parts ``fewshot_vit`` has
    (``fastcam.models.fewshot.build.FewshotOptions``). ``checkpoint``: ``.safetensors``, ``.pth``,
    ``.pt`` or ``.ckpt``; only tensors are read from it, nothing in it is run. What is not given is
    taken from the checkpoint.

    Raises :class:`~fastcam.errors.InputError` for an unknown name, a missing package, a file that
    is no checkpoint or is one for another architecture, and for missing or unexpected keys unless
    ``allow_partial``.
    """
    from fastcam.models.named import load_model as load

    return load(
        model, None if checkpoint is None else Path(checkpoint), num_classes=num_classes,
        in_channels=in_channels, image_size=image_size, allow_partial=allow_partial,
        fewshot=fewshot,
    )  # fmt: skip


def explain(
    model: nn.Module,
    images: Any,
    method: str | Sequence[str] | None = None,
    layers: Sequence[str | int] | Mapping[str, Sequence[str | int]] | str | int | None = None,
    targets: Any = None,
    *,
    support: Any = None,
    query: tuple[int, int] | None = None,
    sign: Sign = "positive",
    fusion: Fusion = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
    prefix_tokens: int | None = None,
    reshape: Reshape = "auto",
    image_size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit | None = None,
    task: Task = "auto",
    batch_size: int = 16,
    device: str | None = None,
    precision: str = "fp32",
    told: Callable[[str], None] = lambda line: None,
) -> Explanation:
    """Maps of what ``model`` looked at, for a few images, in memory.

    ``images``: a float tensor (n, c, h, w) or (n, c, d, h, w), already preprocessed, or paths, PIL
    images or uint8 arrays (h, w[, c]), which are preprocessed as the model wants it. ``method``:
    one or several of gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, attention,
    rollout, window, channel, overlap, reconstruction, or "all" that the model has (without
    scorecam); by default attention for a Vision Transformer and gradcam for all else. ``layers``:
    dotted module names, or numbers of blocks for attention of any kind; by method where methods
    want different ones. ``targets``: None for the predicted class (or the value of a regression),
    a class for all images, a list with one class or a list of classes an image, or a callable that
    takes the output to one number an image. ``support``: examples that reconstruction compares
    with: images as above, or a mapping of classes to images; ``query``: the pixel (x, y) of the
    picture that it asks from, instead of all places. ``device``: by default where the model is.
    ``told`` gets what is being done.

    Raises :class:`~fastcam.errors.InputError` for a layer or method that doesn't exist, targets of
    the wrong length, support images without reconstruction or the reverse, and images that can't
    be read.
    """
    from fastcam.explaining.asked import Asked, layers_of, steps_of, with_methods
    from fastcam.explaining.runs import explained
    from fastcam.explaining.support import support_of

    methods = (method,) if isinstance(method, str) else tuple(method or ())
    asked = Asked(
        methods, {}, sign, fusion, discard_ratio, start_layer, prefix_tokens, reshape, task,
        batch_size, device, precision, query,
    )  # fmt: skip
    asked = with_methods(asked, [model], support is not None)
    asked = replace(asked, layers=layers_of(_listed(layers), asked.methods))
    steps = steps_of(asked, support is not None)
    spec = settled(model, image_size, mean, std, fit)
    return explained(
        model, gather(images, spec), asked, steps, targets, support_of(support, spec), told, told
    )


def _listed(layers: Any) -> list[str | int]:
    """Layers as they are written on the command line."""
    if isinstance(layers, Mapping):
        return [f"{method}={layer}" for method, some in layers.items() for layer in _listed(some)]
    return [layers] if isinstance(layers, str | int) else list(layers or ())


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
    from fastcam.attribution.wanted import Wanted
    from fastcam.models.patch_attention import PatchAttention

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
    running = Running(device, precision, compile, batch_size, workers, task, classes == "label")
    if isinstance(loaded, PatchAttention):
        if method or layers or classes:
            raise InputError(f"{name} has its own attention: leave out --method, --layer, --target")
        return infer_patches(
            loaded, described, choice, running, Path(output_dir), overwrite, progress
        )
    methods = (method,) if isinstance(method, str) else tuple(method or (default_method(loaded),))
    by_label = classes == "label"
    wanted = Wanted(
        methods, tuple(map(str, layers)), () if by_label else tuple(map(int, classes)), sign,
        prefix_tokens, reshape, fusion, discard_ratio, start_layer,
    )  # fmt: skip
    spec = settled(loaded, image_size, mean, std, fit)
    return infer_maps(
        loaded, described, spec, choice, wanted, running, Path(output_dir), overwrite, progress
    )


def describe_model(model: str, checkpoint: PathLike | None = None, **options: Any) -> Inventory:
    """The layers of a model that have maps, with their shapes; options as :func:`load_model`."""
    import torch

    from fastcam.attribution.engines import default_method
    from fastcam.attribution.layers import auto, candidates

    loaded = load_model(model, checkpoint, **options)
    spec = settled(loaded, options.get("image_size"))
    example = torch.zeros(1, spec.channels, *spec.size)
    found = candidates(loaded, example)
    chosen = auto(loaded, example)
    millions = sum(p.numel() for p in loaded.parameters()) / 1e6
    size = " x ".join(map(str, spec.size))
    rows = [
        (c.name, c.kind, " x ".join(map(str, c.shape)), "auto" if c.name == chosen else "")
        for c in found
    ]
    return Inventory(
        model,
        "model",
        [
            ("class", type(loaded).__name__),
            ("parameters", f"{millions:.2f} million"),
            ("input", f"{spec.channels} channels, {size}"),
            ("mean, std", f"{_short(spec.mean)}; {_short(spec.std)}"),
            ("default method", default_method(loaded)),
            ("layers with maps", str(len(rows))),
        ],
        ("layer", "kind", "channels x map", "chosen"),
        rows,
    )


def _short(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)

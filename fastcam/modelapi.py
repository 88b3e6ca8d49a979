"""The Python functions that run a model: ``load_model``, ``explain`` and ``infer``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastcam.errors import InputError
from fastcam.explaining import Explanation, explanation_of, gather
from fastcam.inferjob import InferReport, InputChoice, Running, infer_maps
from fastcam.patchinfer import infer_patches
from fastcam.progress import Progress, Silent
from fastcam.report.inventory import Inventory

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.wanted import Fusion, Reshape, Sign
    from fastcam.inference.answers import Task
    from fastcam.read.preprocess import Fit, Preprocessing
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
) -> nn.Module:
    """A model by its name, in eval mode, on the CPU.

    ``model``: a built-in name (``vit_small``, ``resnet50``, ``patch_attention``, ...),
    ``timm:NAME``, ``torchvision:NAME``, ``hf:FOLDER``, ``monai:CLASS?key=value``,
    ``file.py:factory``, or a module of your own. ``checkpoint``: ``.safetensors``, ``.pth``,
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
    )  # fmt: skip


def explain(
    model: nn.Module,
    images: Any,
    method: str | Sequence[str] | None = None,
    layers: Sequence[str | int] | str | None = None,
    targets: Any = None,
    *,
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
) -> Explanation:
    """Maps of what ``model`` looked at, for a few images, in memory.

    ``images``: a float tensor (n, c, h, w) or (n, c, d, h, w), already preprocessed, or paths, PIL
    images or uint8 arrays (h, w[, c]), which are preprocessed as the model wants it. ``method``:
    one or several of gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, attention,
    rollout; by default attention for a Vision Transformer and gradcam for all else. ``layers``:
    dotted module names, or numbers of blocks for attention. ``targets``: None for the predicted
    class (or the value of a regression), a class for all images, a list with one class or a list
    of classes an image, or a callable that takes the output to one number an image. ``device``:
    by default where the model is.

    Raises :class:`~fastcam.errors.InputError` for a layer or method that doesn't exist, targets of
    the wrong length, and images that can't be read.
    """
    from fastcam.attribution.engines import build_engine, default_method
    from fastcam.attribution.targets import rows_of
    from fastcam.attribution.wanted import Wanted
    from fastcam.inference.device import arithmetic, choose_device, choose_precision
    from fastcam.inference.halving import Halving, joined

    methods = (method,) if isinstance(method, str) else tuple(method or (default_method(model),))
    names = (layers,) if isinstance(layers, str | int) else tuple(layers or ())
    wanted = Wanted(
        methods,
        tuple(map(str, names)),
        (),
        sign,
        prefix_tokens,
        reshape,
        fusion,
        discard_ratio,
        start_layer,
    )
    spec = settled(model, image_size, mean, std, fit)
    where = _device_of(model) if device is None else choose_device(device)
    dtype = choose_precision(precision, where)
    shown = gather(images, spec)
    rows = rows_of(targets, len(shown.batch))
    engine = build_engine(model.to(where), wanted, targets if rows is None else None)
    halving = Halving(engine, batch_size, Silent().note)
    pieces = []
    with arithmetic(where, dtype):
        for start in range(0, len(shown.batch), batch_size):
            part = slice(start, start + batch_size)
            batch = shown.batch[part].to(where)
            pieces.append(halving(batch, None if rows is None else rows[part]))
    made = joined(pieces)
    maps = {name: values.cpu().numpy() for name, values in made.maps.items()}
    output = made.output.float().cpu().numpy()
    return explanation_of(maps, output, made.targets, shown, wanted, task)


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


def settled(
    model: nn.Module,
    image_size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    fit: Fit | None = None,
) -> Preprocessing:
    """The model's own preprocessing with what is given in its place."""
    from fastcam.models.preprocessing import preprocessing_of

    spec = preprocessing_of(model, image_size)
    return replace(
        spec,
        mean=spec.mean if mean is None else tuple(mean),
        std=spec.std if std is None else tuple(std),
        fit=fit or spec.fit,
    )


def _device_of(model: nn.Module) -> Any:
    import torch

    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device


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

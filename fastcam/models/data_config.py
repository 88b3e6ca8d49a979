"""The preprocessing that a model was made for: size, channels, mean and standard deviation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from torch import nn

from fastcam.errors import InputError
from fastcam.models.sizes import image_size_of
from fastcam.read.inputs.preprocessing import MEAN, STD, Interpolation, Preprocessing

_SIDE = 224
# PIL's numbers, as Hugging Face writes them; Lanczos is nearest to bicubic.
_PIL: dict[Any, Interpolation] = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}

# Image processors of Hugging Face (transformers 5.23) that resize so unless their file has another
# number; the others are bilinear.
_BICUBIC = (
    *("Beit", "Bit", "Blip", "ChineseCLIP", "CLIP", "ConvNext", "DeiT", "EfficientNet", "Flava"),
    *("Levit", "MobileViT", "Perceiver", "PoolFormer", "Pvt", "Siglip", "Vilt"),
)


def preprocessing_of(
    model: nn.Module, image_size: int | Sequence[int] | None = None
) -> Preprocessing:
    """What ``model`` was made for, as far as it says so.

    timm models carry it in ``pretrained_cfg``, Hugging Face models in ``preprocessor_config.json``
    of their folder. Detectors of torchvision normalize by themselves: 0 and 1, at the size that
    they resize to. Others: ImageNet's mean and standard deviation (their means for one channel,
    repeated for more than three) at the model's own size, or 224; for 3-D models 0 and 1.
    ``image_size`` comes before all that. Raises InputError for a 3-D model without a size.
    """
    requested = image_size_of(image_size)
    dims, channels = _input_of(model)
    if requested is not None and dims == 3 and isinstance(image_size, int):
        requested = (image_size,) * 3
    if requested is not None and len(requested) != dims:
        raise InputError(
            f"--image-size {requested} has {len(requested)} numbers, but the model's convolutions "
            f"are {dims}-D: give {'depth, height and width' if dims == 3 else 'height and width'}"
        )
    size = requested or _size_of(model, dims)
    if dims == 3:
        if size is None:
            raise InputError(
                "the model doesn't say what size of volumes it takes: give --image-size (depth, "
                "height, width)"
            )
        return Preprocessing(
            size=size, channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels
        )
    cfg = getattr(model, "pretrained_cfg", None)
    if isinstance(cfg, dict) and "mean" in cfg:
        return _timm(cfg, size, channels)
    inside = getattr(model, "transform", None)
    if hasattr(inside, "image_mean") and hasattr(inside, "min_size"):
        return _detector(inside, size, channels)
    folder = getattr(getattr(model, "config", None), "_name_or_path", None)
    if folder and (file := Path(folder) / "preprocessor_config.json").is_file():
        return _huggingface(file, requested, size, channels)
    return Preprocessing(
        size=size or (_SIDE, _SIDE),
        channels=channels,
        mean=for_channels(MEAN, channels),
        std=for_channels(STD, channels),
    )


def by_channel(name: str, given: float | Sequence[float]) -> tuple[float, ...]:
    """The numbers of the option ``name``, one for each channel; InputError for what are none."""
    try:
        return tuple(map(float, given)) if isinstance(given, Iterable) else (float(given),)
    except (TypeError, ValueError) as error:
        raise InputError(f"--{name} {given!r}: give a number for each channel") from error


def for_channels(numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    """Numbers of red, green and blue for another count of channels: their mean for one channel,
    else in turn.

    >>> for_channels((0.2, 0.4, 0.6), 1), for_channels((0.2, 0.4, 0.6), 4)
    ((0.4,), (0.2, 0.4, 0.6, 0.2))
    """
    if channels == 1:
        return (math.fsum(numbers) / len(numbers),)
    return tuple(float(numbers[index % len(numbers)]) for index in range(channels))


def _input_of(model: nn.Module) -> tuple[int, int]:
    """(2 or 3, channels): those of the first convolution; 2-D and three channels without one."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            return len(module.kernel_size), module.in_channels
    return 2, 3


def _size_of(model: nn.Module, dims: int) -> tuple[int, ...] | None:
    holders = (
        getattr(model, "patch_embed", None),
        model,
        getattr(model, "config", None),
    )
    for holder in holders:
        for name in ("img_size", "image_size"):
            size = getattr(holder, name, None)
            if isinstance(size, int) and size > 0:
                return (size,) * dims
            if isinstance(size, tuple | list) and len(size) == dims:
                return tuple(int(side) for side in size)
    return None


def _timm(cfg: dict[str, Any], size: tuple[int, ...] | None, channels: int) -> Preprocessing:
    name: Any = cfg.get("interpolation")
    interpolation: Interpolation = name if name in get_args(Interpolation) else "bilinear"
    return Preprocessing(
        size=size or tuple(cfg.get("input_size", (3, _SIDE, _SIDE))[-2:]),
        channels=channels,
        mean=for_channels(cfg["mean"], channels),
        std=for_channels(cfg["std"], channels),
        fit="crop" if cfg.get("crop_mode", "center") == "center" else "stretch",
        interpolation=interpolation,
    )


def _detector(inside: Any, size: tuple[int, ...] | None, channels: int) -> Preprocessing:
    """``inside``: a ``GeneralizedRCNNTransform``, which normalizes and resizes pixels of 0 to 1."""
    fixed = getattr(inside, "fixed_size", None)
    sides = inside.min_size if isinstance(inside.min_size, tuple | list) else (inside.min_size,)
    # Width comes first.
    own = (int(fixed[1]), int(fixed[0])) if fixed else (int(sides[-1]),) * 2
    return Preprocessing(
        size=size or own, channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels
    )


def _huggingface(
    file: Path, requested: tuple[int, ...] | None, own: tuple[int, ...] | None, channels: int
) -> Preprocessing:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        crops = bool(config.get("do_center_crop"))
        sides = config.get("crop_size" if crops else "size")
        size = requested or own or _sides(sides) or (_SIDE, _SIDE)
        mean, std = config.get("image_mean") or MEAN, config.get("image_std") or STD
        if config.get("do_normalize") is False:
            mean, std = (0.0,), (1.0,)
        # Their pixels are (0 to 255) * rescale_factor before they are normalized, ours 0 to 1.
        factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
        unit = 255 * factor
        return Preprocessing(
            size=size,
            channels=channels,
            mean=for_channels([m / unit for m in mean], channels),
            std=for_channels([s / unit for s in std], channels),
            fit="crop" if crops else "stretch",
            interpolation=_PIL.get(config.get("resample"), _usual_interpolation(config)),
        )
    except (OSError, ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError(f"{file}: can't be understood: {error}") from error


def _usual_interpolation(config: dict[str, Any]) -> Interpolation:
    """That of an image processor whose file doesn't say it."""
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    kind = re.sub("(ImageProcessor(Fast|Pil)?|FeatureExtractor)$", "", name)
    return "bicubic" if kind in _BICUBIC else "bilinear"


def _sides(sides: object) -> tuple[int, ...] | None:
    if isinstance(sides, int):
        return sides, sides
    if isinstance(sides, dict) and {"height", "width"} <= sides.keys():
        return int(sides["height"]), int(sides["width"])
    if isinstance(sides, dict) and "shortest_edge" in sides:
        return (int(sides["shortest_edge"]),) * 2
    return None

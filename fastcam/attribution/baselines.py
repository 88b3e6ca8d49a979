"""What stands for an image without content, and which channels of a batch are one image's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fastcam.attribution.method_settings import Baseline
from fastcam.attribution.packed_inputs import packed_inputs_of
from fastcam.errors import InputError
from fastcam.read.inputs.preprocessing import Preprocessing

# Standard deviation of the blur, as a share of the shortest side: what a picture shows is gone.
_BLUR = 0.1
# A Gaussian beyond so many standard deviations is below 1e-4 of its peak.
_REACH = 4.0


def baseline_images(batch: Tensor, kind: Baseline, black: Sequence[float] = ()) -> Tensor:
    """The images without content that belong to ``batch`` (b, c, *S): the same shape and type.

    ``kind`` as in :class:`~fastcam.attribution.method_settings.MethodSettings`, "auto" excepted;
    ``black`` (c,) is a black pixel, repeated where a batch has the channels of several images.
    InputError where its length doesn't fit the channels.
    """
    axes = tuple(range(2, batch.ndim))
    if kind == "zero" or (kind == "black" and not black):
        return torch.zeros_like(batch)
    if kind == "mean":
        return batch.mean(axes, keepdim=True).expand_as(batch)
    if kind == "blur":
        return _blurred(batch)
    if batch.shape[1] % len(black):
        raise InputError(
            f"--baseline black: {len(black)} channels are normalized, and the model takes "
            f"{batch.shape[1]}; use --baseline zero"
        )
    pixel = torch.tensor(black, dtype=batch.dtype, device=batch.device)
    pixel = pixel.repeat(batch.shape[1] // len(black))
    return pixel.reshape(1, -1, *(1,) * len(axes)).expand_as(batch)


def black_of(preprocessing: Preprocessing) -> tuple[float, ...]:
    """A black pixel (c,) as the model's input has it."""
    return tuple(
        -mean / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)
    )


def image_slices(model: nn.Module, channels: int) -> dict[str, slice]:
    """The channels of a batch of ``channels`` that belong to each image, by the name of the input;
    of a model of one image that is all of them under the name ""."""
    packed = packed_inputs_of(model)
    if packed is None:
        return {"": slice(0, channels)}
    width = packed.channels
    slices = {n: slice(i * width, (i + 1) * width) for i, n in enumerate(packed.images)}
    return {"": slices.popitem()[1]} if len(slices) == 1 else slices


def map_name(method: str, image: str) -> str:
    """What the map of ``method`` over the input called ``image`` is called."""
    return f"{method}/{image}" if image else method


def _blurred(batch: Tensor) -> Tensor:
    sigma = _BLUR * min(batch.shape[2:])
    reach = max(1, int(_REACH * sigma))
    distances = torch.arange(-reach, reach + 1, device=batch.device, dtype=torch.float32)
    kernel = (-0.5 * (distances / sigma).square()).exp()
    kernel = kernel / kernel.sum()
    values = batch.float()
    for axis in range(2, batch.ndim):
        rows = values.movedim(axis, -1)
        flat = rows.reshape(-1, 1, rows.shape[-1])
        # The edge's own value goes on beyond it.
        padded = functional.pad(flat, (reach, reach), mode="replicate")
        smooth = functional.conv1d(padded, kernel[None, None])
        values = smooth.reshape(rows.shape).movedim(-1, axis)
    return values.to(batch.dtype)

"""Models of transformers that take the patches of an image, as models that take the image."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.errors import InputError

_SHAPES = "spatial_shapes"


def take_images(model: nn.Module) -> None:
    """Let ``model``, if it takes patches (SigLIP 2 of any resolution, NaFlex), take images.

    Its forward then has one argument, ``pixel_values`` (b, c, h, w), whose sides are multiples of a
    patch: InputError otherwise. Nothing is padded. Of a model that also reads text its vision part
    is changed so. Modules, their names and the class's name stay; ``image_size`` is the side of the
    square that its positions are for.
    """
    part: Any = model
    if "input_ids" in _arguments(model):
        part = getattr(model, "vision_model", None)
    if not isinstance(part, nn.Module) or _SHAPES not in _arguments(part):
        return
    config: Any = part.config
    config = getattr(config, "vision_config", config)
    own: Any = type(part)
    part.image_size = math.isqrt(config.num_patches) * config.patch_size
    part.__class__ = type(own.__name__, (own,), {"forward": _forward_of(own, config.patch_size)})


def _arguments(module: nn.Module) -> tuple[str, ...]:
    return tuple(inspect.signature(type(module).forward).parameters)


def _forward_of(own: Any, patch: int) -> Any:
    def forward(self: nn.Module, pixel_values: Tensor, **given: Any) -> Any:
        """Images (b, c, h, w) through the model, as its image processor cuts them; or patches, as
        before."""
        if given.get(_SHAPES) is not None:
            return own.forward(self, pixel_values=pixel_values, **given)
        b, c, h, w = pixel_values.shape
        if h % patch or w % patch:
            raise InputError(
                f"--image-size {h}x{w}: {own.__name__} cuts images into patches of {patch} x "
                f"{patch} pixels; give multiples of {patch}"
            )
        rows, columns = h // patch, w // patch
        patches = pixel_values.reshape(b, c, rows, patch, columns, patch)
        patches = patches.permute(0, 2, 4, 3, 5, 1).reshape(b, rows * columns, -1)
        device = pixel_values.device
        return own.forward(
            self,
            pixel_values=patches,
            pixel_attention_mask=torch.ones(b, rows * columns, dtype=torch.int32, device=device),
            spatial_shapes=torch.tensor([[rows, columns]], device=device).expand(b, 2),
            **given,
        )

    return forward

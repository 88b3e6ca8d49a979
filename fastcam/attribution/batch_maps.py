"""What every attribution engine gives for a batch, and the number or numbers a model answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastcam.errors import InputError

# Where models keep their answer: Hugging Face, torchvision's segmentation models, and others.
_KEYS = ("logits", "out", "output", "outputs", "pred", "prediction")


@dataclass(frozen=True, eq=False)
class BatchMaps:
    """Maps of a batch of ``b`` images, on the model's device.

    ``maps``: name to float32 (b, h, w) for one map an image, (b, targets, h, w) for several
    targets, (b, layers, heads, h, w) for attention; volumes have (d, h, w) in place of (h, w).
    ``output`` (b, k) float32: the model's raw answer, logits or the values of a regression.
    ``targets`` (b, t) int64: which outputs the maps explain; None where maps have no target.
    ``measures`` (b, m) float32: numbers that an engine takes beside its maps, if it does.
    ``gates``: dotted path to (b, c) float32, 0 to 1, of each channel gate that maps are made of.
    """

    maps: dict[str, Tensor]
    output: Tensor
    targets: Tensor | None = None
    measures: Tensor | None = None
    gates: dict[str, Tensor] = field(default_factory=dict)


def logits_of(output: Any) -> Tensor:
    """The answer (b, k) in whatever a model returned: a tensor, tuple, mapping or ModelOutput.

    (b,) becomes (b, 1). Raises InputError where there is no such tensor in it.
    """
    found = _tensor_in(output)
    if found is None:
        raise InputError(
            f"the model returns {type(output).__name__}, in which there is no tensor of logits; "
            "wrap it in a module whose forward returns a tensor (images, outputs)"
        )
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2:
        raise InputError(
            f"the model returns a tensor of shape {tuple(found.shape)}, not (images, outputs); "
            "give a callable target that reduces it to one number an image"
        )
    return found


def _tensor_in(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        named = [output[key] for key in _KEYS if output.get(key) is not None]
        return _tensor_in(named[0]) if named else _first(output.values())
    if isinstance(output, list | tuple):
        return _first(output)
    for key in _KEYS:
        if getattr(output, key, None) is not None:
            return _tensor_in(getattr(output, key))
    return None


def _first(values: Any) -> Tensor | None:
    return next((v for v in values if isinstance(v, Tensor) and torch.is_floating_point(v)), None)

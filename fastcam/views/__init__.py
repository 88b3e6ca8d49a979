"""The seven views of a Vision Transformer, as functions that return a figure.

Each takes a model with ``images``, or a pass computed before by
:func:`fastcam.attribution.vitpass.run_vit`, so that all seven come from one forward pass.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastcam.views.clstrack import cls_evolution as cls_evolution
    from fastcam.views.distances import attention_distance as attention_distance
    from fastcam.views.heads import all_heads as all_heads
    from fastcam.views.layers import attention_layers as attention_layers
    from fastcam.views.patchgrid import patch_grid as patch_grid
    from fastcam.views.positions import position_embedding as position_embedding
    from fastcam.views.rolled import attention_rollout as attention_rollout

_HOMES = {
    "patch_grid": "patchgrid",
    "position_embedding": "positions",
    "attention_layers": "layers",
    "all_heads": "heads",
    "attention_distance": "distances",
    "cls_evolution": "clstrack",
    "attention_rollout": "rolled",
}

__all__ = [
    "all_heads",
    "attention_distance",
    "attention_layers",
    "attention_rollout",
    "cls_evolution",
    "patch_grid",
    "position_embedding",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastcam.views' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fastcam.views.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

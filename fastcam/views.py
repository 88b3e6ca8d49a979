"""The seven views of a Vision Transformer, as functions that return a figure.

Each takes a model with ``images``, or the pass that
:func:`fastcam.attribution.attention.vit_pass.run_vit` has computed, so that all seven come from one
forward pass. A view is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastcam.jobs.vit.attention_distance import attention_distance as attention_distance
    from fastcam.jobs.vit.attention_views import all_heads as all_heads
    from fastcam.jobs.vit.attention_views import attention_layers as attention_layers
    from fastcam.jobs.vit.attention_views import attention_rollout as attention_rollout
    from fastcam.jobs.vit.attention_views import patch_grid as patch_grid
    from fastcam.jobs.vit.cls_evolution import cls_evolution as cls_evolution
    from fastcam.jobs.vit.position_embedding import position_embedding as position_embedding

__all__ = [
    "all_heads",
    "attention_distance",
    "attention_layers",
    "attention_rollout",
    "cls_evolution",
    "patch_grid",
    "position_embedding",
]
# The views that have a file of their own, called like them; the others share one.
_SINGLE = ("attention_distance", "cls_evolution", "position_embedding")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'fastcam.views' has no attribute {name!r}")
    module = name if name in _SINGLE else "attention_views"
    return getattr(importlib.import_module(f"fastcam.jobs.vit.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

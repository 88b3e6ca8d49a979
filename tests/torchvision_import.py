"""torchvision for the tests, also where its wheel was made for another build of PyTorch.

Import it from here before timm or transformers: ``from .vision import torchvision``. PyTorch's CPU
build can't load the operators of torchvision's CUDA wheel, and the import stops at the first one
that is missing, although the models need none of them. So their schemas are declared; calling one
is an error as before.
"""

from __future__ import annotations

import importlib
import sys

import torch

__all__ = ["OPERATORS", "torchvision"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# Whether torchvision's own operators can be loaded here.
OPERATORS = True
try:
    import torchvision
except RuntimeError as error:
    if "torchvision::" not in str(error):
        raise
    OPERATORS = False
    # FRAGMENT goes together with whoever else declares operators of this name.
    _declared = torch.library.Library("torchvision", "FRAGMENT")
    for _schema in _SCHEMAS:
        if not hasattr(torch.ops.torchvision, _schema.partition("(")[0]):
            _declared.define(_schema)
    for _name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[_name]
    torchvision = importlib.import_module("torchvision")

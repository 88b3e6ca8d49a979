"""What a capture sees of a model, or of one call."""

from __future__ import annotations

import torch
from torch import nn

from fastcam.attribution.attention.capture import capture
from tests.attribution.reducers import full


def seen_by(model, batch, reduce=full, kinds=("sdpa", "softmax", "pooling", "gate")):
    with torch.no_grad(), capture(model, reduce, kinds) as seen:
        output = model(batch)
    return seen.records, output


class Calls(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)

"""Where a model is, also one without parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastcam.attribution.modules import device_of

META = torch.device("meta")


class Buffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, device=META))


@pytest.mark.parametrize(
    ("model", "device"),
    [
        (nn.Linear(2, 2, device=META), META),
        (nn.Sequential(Buffer(), nn.Linear(2, 2)), torch.device("cpu")),
        (Buffer(), META),
        (nn.Flatten(), torch.device("cpu")),
    ],
)
def test_the_device_of_a_model(model: nn.Module, device: torch.device) -> None:
    """Its first parameter's, else its first buffer's; without any tensor it runs on the CPU."""
    assert device_of(model) == device

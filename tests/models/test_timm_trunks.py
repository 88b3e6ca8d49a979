"""Trunks of timm that were saved without their classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fastcam.errors import InputError
from fastcam.models.registry import load_model
from tests import torchvision_import  # noqa: F401


@pytest.mark.parametrize(
    "name",
    ["levit_128s", "pit_ti_distilled_224", "swin_tiny_patch4_window7_224", "resnet10t", "test_vit"],
)
def test_timm_trunks_saved_without_their_classifier(name: str, tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    made: Any = timm.create_model(name, num_classes=0).eval()
    torch.save(made.state_dict(), tmp_path / "w.pth")
    model = load_model(f"timm:{name}", tmp_path / "w.pth")
    side = made.pretrained_cfg["input_size"][-1]
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(images), made(images))
    assert model.num_classes == 0
    # A classifier that is asked for is missed.
    with pytest.raises(InputError, match="missing in the file"):
        load_model(f"timm:{name}", tmp_path / "w.pth", num_classes=3)

"""What a sign shows of maps: of those that are evidence, whatever else is done to them before."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fastcam.attribution.engines import build_engine, build_shown_engine
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.request import SIGNED_METHODS, MapRequest, is_signed
from tests.attribution.nets import Small

METHODS = ("gradcam", "layercam", "eigencam", "saliency", "inputxgradient", "occlusion")


def rectified(values: torch.Tensor, sign: str) -> torch.Tensor:
    return torch.relu({"positive": values, "negative": -values}[sign])


@pytest.mark.parametrize("sign", ["positive", "negative", "both"])
@pytest.mark.parametrize("more", [{}, {"augmentation": "flips"}, {"classes": (0, 2)}])
def test_sign(sign: Any, more: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, images = Small().eval(), torch.randn(2, 3, 8, 8)
    request = MapRequest(METHODS, ("two",), **more, sign=sign, settings=MethodSettings(steps=2))
    raw = build_engine(model, request)(images)
    shown = build_shown_engine(model, request)(images)
    assert raw.maps.keys() == shown.maps.keys()
    for name, values in raw.maps.items():
        signed = name.partition("/")[0] in ("gradcam", "layercam", "inputxgradient", "occlusion")
        assert is_signed(name) == signed
        if signed and not name.startswith("layercam"):
            assert (values < 0).any(), name
        kept = rectified(values, sign) if signed and sign != "both" else values
        assert torch.equal(shown.maps[name], kept), name


def test_signed_methods() -> None:
    """Those of which a value below 0 speaks against the output."""
    assert set(SIGNED_METHODS) == {
        *("gradcam", "hirescam", "layercam", "gradcam++", "scorecam", "ablationcam"),
        *("inputxgradient", "integrated-gradients", "occlusion", "rise", "gradattention"),
    }
    assert not is_signed("gradcam-deviation/layer4")

"""Sliding windows over a volume beside MONAI's inferer, for ``bench_methods``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fastcam.attribution.engines import build_engine
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.request import MapRequest
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.attribution.window_plan import WindowPlan

Way = Callable[[], Any]
WINDOWS_A_PASS = 4
_LAYER = "model.1.submodule.1.submodule"


def window_ways(side: int, window: int, channels: tuple[int, ...] = (16, 32, 64)) -> dict[str, Way]:
    """Ways over a volume of ``side``³ voxels in windows of ``window``³, half overlapping.

    The first is the reference: MONAI's inferer, and a map of each window by a pass with a graph.
    """
    from monai.inferers import sliding_window_inference
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    model = UNet(3, 1, 3, channels, (2,) * (len(channels) - 1)).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    volume = torch.randn(1, 1, side, side, side)
    plan = WindowPlan((window,), 0.5, "gaussian")
    settings = MethodSettings(pass_size=WINDOWS_A_PASS)
    options: dict[str, Any] = {"segments": (SegmentTarget(1),), "settings": settings}
    request = MapRequest(("hirescam",), (_LAYER,), **options)
    plain = build_engine(model, request)
    windowed = build_engine(model, MapRequest(("hirescam",), (_LAYER,), windows=plan, **options))
    starts = plan.starts((side,) * 3)

    @torch.no_grad()
    def inferer() -> Any:
        return sliding_window_inference(
            volume, (window,) * 3, WINDOWS_A_PASS, model, 0.5, "gaussian"
        )

    def inferer_and_maps() -> None:
        inferer()
        for first in range(0, len(starts), WINDOWS_A_PASS):
            parts = [
                volume[0, :, z : z + window, y : y + window, x : x + window]
                for z, y, x in starts[first : first + WINDOWS_A_PASS]
            ]
            plain(torch.stack(parts))

    return {
        "inferer and maps": inferer_and_maps,
        "windowed": lambda: windowed(volume),
        "monai inferer": inferer,
    }

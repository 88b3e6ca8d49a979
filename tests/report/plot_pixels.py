"""What a view drew: its page is kept, before it becomes pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from fastcam.figures.notebook_figure import Figure
from fastcam.figures.paper_plots import PlotPage
from fastcam.models.vit import VisionTransformer, VitSettings
from fastcam.options import Style
from fastcam.report import plots


@contextmanager
def pages(view: ModuleType) -> Iterator[list[Any]]:
    """While it is open, the matplotlib page of every figure that the module ``view`` makes."""
    kept: list[Any] = []

    def page_figure(page: Any, style: Style) -> Figure:
        kept.append(page.page if isinstance(page, PlotPage) else page)
        return plots.page_figure(page, style)

    with mock.patch.object(view, "page_figure", page_figure):
        yield kept


def texts(page: Any) -> str:
    """All words of a page."""
    from matplotlib.text import Text

    return "\n".join(found.get_text() for found in page.findobj(Text))


def vit(seed: int = 3, **more: Any) -> VisionTransformer:
    """Four layers of three heads over 4×6 patches of 8 pixels, with steep attention."""
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "dim": 24,
        "depth": 4,
        "heads": 3,
        "patch_size": (8, 8),
        "image_size": (32, 48),
    }
    settings = VitSettings(**sizes | more)
    model = VisionTransformer(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def noise(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 32, 48, generator=torch.Generator().manual_seed(5))

"""Passes made by hand, and figures taken apart into the sheet and the pixels of its panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from fastcam.attribution.attention.records import Scores, Weights
from fastcam.attribution.attention.vit_pass import VitLayer, VitPass
from fastcam.figures import view_panels
from fastcam.figures.figure_parts import Sheet
from fastcam.figures.notebook_figure import Figure

from ...figures.expected_pixels import plan_of


def pass_of_layers(
    layers: Any, grid: tuple[int, int], prefix: int = 1, query: str = "cls"
) -> VitPass:
    """``layers``: arrays (b, heads, n, n) of weights, or ``Scores``."""
    kept = tuple(
        VitLayer(f"blocks.{at}.attn", a if isinstance(a, Scores) else Weights(torch.tensor(a)))
        for at, a in enumerate(layers)
    )
    b = kept[0].attention.shape[0]
    size = (grid[0] * 4, grid[1] * 4)
    batch = torch.linspace(-2, 2, b * 3 * size[0] * size[1]).reshape(b, 3, *size)
    return VitPass(
        batch=batch,
        output=torch.zeros(b, 2),
        layers=kept,
        cls=None,
        grid=grid,
        patch=(4, 4),
        prefix=prefix,
        query=query,  # type: ignore[arg-type]
        no_cls="made by hand",
    )


def random_weights(rng: np.random.Generator, b: int, heads: int, n: int) -> np.ndarray:
    rows = rng.random((b, heads, n, n)) ** 4
    return (rows / rows.sum(-1, keepdims=True)).astype(np.float32)


def sheet_and_panels(
    view: Callable[..., Figure], *args: Any, **named: Any
) -> tuple[Sheet, list[list[Any]]]:
    """The sheet of a view, and the pixels (h, w, 3) of its panels, row by row."""
    sheets: list[Sheet] = []
    whole = view_panels.draw  # type: ignore[attr-defined]

    def watched(sheet: Sheet, *rest: Any) -> Any:
        sheets.append(sheet)
        return whole(sheet, *rest)

    with patch.object(view_panels, "draw", watched):
        canvas = view(*args, **named).pixels
    (sheet,) = sheets
    areas = iter(plan_of(sheet, canvas).areas)
    cut = [
        [canvas[p.y : p.y + p.height, p.x : p.x + p.width] for p in row]
        for row in ([next(areas).panel for _ in panels_] for panels_ in sheet.rows)
    ]
    return sheet, cut

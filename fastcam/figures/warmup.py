"""Compiling the kernels before workers need them: once for each installation.

Without it every worker process of a first run would compile the same code at the same time.
"""

from __future__ import annotations

import numpy as np
from fastcam_kernels import panel_kernel
from fastcam_kernels._jit import is_cached

from fastcam.figures.buffers import Buffers
from fastcam.figures.figure_pixels import draw_rows
from fastcam.figures.patch_figure import SlicePicture, patch_sheet, slice_patches
from fastcam.figures.patch_scales import CaseScale
from fastcam.figures.render_style import render_style_of
from fastcam.options import Style
from fastcam.read.results.case import Case

# What is said before.
NOTE = "first run: compiling the kernels, once for this installation"


def needed() -> bool:
    """Whether the kernels of this version have not been compiled on this machine yet."""
    return not is_cached(panel_kernel._panel)


def warm_up() -> None:
    """Draw a figure of a few pixels in memory, which compiles what every figure needs."""
    boxes = np.array([[1, 1, 4, 4], [2, 2, 6, 6]], dtype=np.int32)
    weights = np.array([0.25, 0.75], dtype=np.float32)
    slices = np.zeros(2, dtype=np.int32)
    case = Case(
        place=1,
        name="a",
        true_label=0,
        predicted_label=0,
        correct=True,
        confidence=1.0,
        probabilities=(1.0,),
        weights=weights,
        boxes=boxes,
        slices=slices,
        roi=slices,
        mask_ratio=weights,
    )
    grey = np.zeros((8, 8), dtype=np.uint8)
    render_style = render_style_of(Style(panel_size=32), "", (), 32)
    patches = slice_patches(boxes, weights, 8, 8)
    sheet, _ = patch_sheet(
        case, 0, SlicePicture(grey, grey, "", patches), CaseScale("slice"), render_style
    )
    draw_rows(sheet, render_style.lettering, render_style.palette, Buffers())

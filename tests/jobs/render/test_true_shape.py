"""A ball is round on figures of thick slices, in every plane and however the file lies."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.figure_pixels import draw_panel
from fastcam.figures.map_figure import Heading, MapPanel, map_sheet
from fastcam.figures.map_scales import map_scale
from fastcam.figures.patch_figure import patch_sheet
from fastcam.figures.patch_scales import case_scale
from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.jobs.render.maps.image import SliceView, open_volume_image
from fastcam.jobs.render.patches.case import cut_slice, open_case
from fastcam.options import Sources, Style
from fastcam.read.volumes.slice_axis import array_axis
from fastcam.read.volumes.volumes import open_volume

from ... import sample_map_stores, sample_runs
from ...stored_volumes import save_turned

RADIUS, SPACING = 35.0, (1.0, 1.0, 5.0)
AFFINE = np.diag([*SPACING, 1.0])
SHAPE = (100, 90, 18)  # x, y, z
WINDOW = 500.0, 1000.0


def ball() -> np.ndarray:
    """(x, y, z): 500 at its surface, falling over 6 mm, so that its slices can be interpolated."""
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING, strict=True)]
    distance = np.linalg.norm(np.meshgrid(*axes, indexing="ij"), axis=0)
    return np.asarray(np.clip((RADIUS - distance) / 6 + 0.5, 0, 1) * 1000).astype(np.int16)


def style_of(**look: Any) -> RenderStyle:
    return render_style_of(Style(**look), "", (), 512)


def patches(path: Path, boxes: list[list[int]], render_style: RenderStyle) -> Sheet:
    """The middle slice of a volume with ``boxes`` and a mask that is the ball."""
    depth = len(open_volume(path).voxels)
    case = sample_runs.make_case(1, "ball", [depth // 2] * len(boxes), boxes=boxes)
    sources = Sources(path.parent, path.parent, window=WINDOW)
    case_data = open_case(case, str(path), str(path.parent / "mask.nii"), "", sources)
    picture = cut_slice(case_data, depth // 2)
    scale = case_scale(case, "patient", case_data.height, case_data.width, 0.0)
    return patch_sheet(case, depth // 2, picture, scale, render_style)[0]


def maps(path: Path, plane: Any, render_style: RenderStyle) -> Sheet:
    """The middle slice of ``plane``, of a store of maps of its slices; the map is the picture."""
    volume = open_volume(path)
    axis = array_axis(volume.grid, plane, path)
    header: Any = SimpleNamespace(source=path, shape=(0, 0, 0))
    view = SliceView(axis, sample_map_stores.STRETCH)
    image = open_volume_image(header, None, "", Sources(window=WINDOW), {"channels": 1}, view)
    picture = image.cut(len(image.volume.voxels) // 2)
    values = picture.image[:, :, 0].astype(np.float32)
    shown = MapPanel("map", values, map_scale(values, "patient"))
    return map_sheet(Heading("", ""), picture, [shown], render_style)[0]


def drawn(panel: Panel, render_style: RenderStyle) -> np.ndarray:
    """Where a panel is brighter than half, without what lies on top of it."""
    plain = replace(panel, left_side="", top_side="", scale_bar=(0, ""), bar=None)
    return draw_panel(plain, render_style.lettering)[:, :, 0] > 127


def check_round(inside: np.ndarray, per_mm: float, tolerance: float = 0.02) -> None:
    """Its height, its width and the diameter of its area are those of the ball."""
    high, wide = (int(inside.any(axis=axis).sum()) for axis in (1, 0))
    across = 2 * np.sqrt(inside.sum() / np.pi)
    for length in (high, wide, across):
        assert length / per_mm == pytest.approx(2 * RADIUS, rel=tolerance)


def per_mm_of(panel: Panel) -> float:
    pixels, text = panel.scale_bar
    return pixels / float(text.removesuffix(" mm"))


# Their own slices are axial, coronal and sagittal, as they lie and transposed.
@pytest.mark.parametrize("codes", ["LPS", "RSA", "SRA", "PIR", "IAL"])
@pytest.mark.parametrize("size", [64, 512])
def test_patches(tmp_path: Path, codes: str, size: int) -> None:
    save_turned(tmp_path / "ball.nii", ball(), AFFINE, codes)
    save_turned(tmp_path / "mask.nii", (ball() > 500).astype(np.uint8), AFFINE, codes)
    lengths = open_volume(tmp_path / "ball.nii").voxels.shape[1:]
    thick = [5.0 if letter in "SI" else 1.0 for letter in codes[1::-1]]  # of rows, of columns
    low = [round((n - 1) / 2 - RADIUS / mm) for n, mm in zip(lengths, thick, strict=True)]
    high = [n - start for n, start in zip(lengths, low, strict=True)]
    box = [low[1], low[0], high[1], high[0]]
    render_style = style_of(panel_size=size)
    image, mask, heat, overlay = patches(tmp_path / "ball.nii", [box], render_style).rows[0]
    per_mm = per_mm_of(image)
    check_round(drawn(image, render_style), per_mm, 0.03 if size == 64 else 0.02)
    # Thick pixels of a mask are steps.
    check_round(drawn(mask, render_style), per_mm, 0.1)
    ((x1, y1, x2, y2),) = overlay.outlines.boxes.tolist()
    assert x2 - x1 == pytest.approx(2 * RADIUS * per_mm, abs=6 * per_mm)
    assert y2 - y1 == pytest.approx(2 * RADIUS * per_mm, abs=6 * per_mm)
    assert x1 + x2 == pytest.approx(overlay.width, abs=1)
    assert y1 + y2 == pytest.approx(overlay.height, abs=1)
    assert {(p.height, p.width) for p in (image, mask, heat, overlay)} == {
        (image.height, image.width)
    }


@pytest.mark.parametrize(
    ("codes", "plane"),
    [*itertools.product(["RAS", "LPS", "SRA", "ASL"], ["axial", "coronal", "sagittal"])],
)
def test_maps_over_slices(tmp_path: Path, codes: str, plane: str) -> None:
    save_turned(tmp_path / "ball.nii", ball(), AFFINE, codes)
    render_style = style_of(colormap="gray")
    image, heat, _ = maps(tmp_path / "ball.nii", plane, render_style).rows[0]
    for panel in (image, heat):
        check_round(drawn(panel, render_style), per_mm_of(image))


def test_square_pixels_on_request_and_in_classic(tmp_path: Path) -> None:
    save_turned(tmp_path / "ball.nii", ball(), AFFINE, "LPS")
    sizes = {}
    looks: list[tuple[str, dict[str, str]]] = [
        ("mm", {}),
        ("pixels", {"aspect": "pixels"}),
        ("classic", {"style": "classic"}),
        ("both", {"style": "classic", "aspect": "mm"}),
    ]
    for name, look in looks:
        panel = maps(tmp_path / "ball.nii", "coronal", style_of(**look)).rows[0][0]
        sizes[name] = panel.height, panel.width
    assert sizes["mm"] == sizes["both"] == (round(90 * 5.12), 512)
    assert sizes["pixels"] == sizes["classic"] == (round(18 * 5.12), 512)

"""A marked voxel, stored in each of the 48 ways, in the figures and files of slice-wise runs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.api.export import export
from fastcam.api.infer import infer
from fastcam.api.render import render
from fastcam.store.maps import MapStore

from .slice_samples import Brightness, load, save


def orientations() -> list[np.ndarray]:
    """The 48 ways to lay an array into space, as affines from (x, y, z) to RAS."""
    found = []
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = 0
            for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
                affine[axis, column] = sign * (1.0 + column / 4)
            found.append(affine)
    return found


def panels(figure: Path) -> list[np.ndarray]:
    """Where the three panels of a figure are dark (or the blue of no heat): (h, w) bool each."""
    pixels = np.asarray(Image.open(figure).convert("RGB")).astype(int)
    dark = (pixels[..., 0] < 40) & (pixels[..., 1] < 40)
    rows = np.flatnonzero(dark.mean(axis=1) > 0.25)  # panels may be narrower than captions
    dark = dark[rows.min() : rows.max() + 1]
    columns = np.flatnonzero(dark.mean(axis=0) > 0.4)
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    found = [dark[:, run] for run in runs if len(run) > 50]  # the color bar is narrow
    assert len(found) == 3
    return found


def marked_corner(panel: np.ndarray) -> tuple[str, str]:
    """The one corner that is not dark."""
    lit = [
        (vertical, horizontal)
        for vertical, y in (("top", 1), ("bottom", -2))
        for horizontal, x in (("left", 1), ("right", -2))
        if not panel[y, x]
    ]
    (corner,) = lit
    return corner


# Corner of the marked voxel in RAS: the patient's right, front and top.
MARK = (1, 1, 1)
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}


@pytest.mark.parametrize("plane", PLANES)
def test_a_marked_voxel_is_where_it_belongs_in_all_orientations(tmp_path: Path, plane: Any) -> None:
    """Its slice, its figure's corner and its place in the export, for each of 48 files."""
    root = tmp_path / "images"
    root.mkdir()
    shape = (6, 8, 10)
    marks = []
    for number, affine in enumerate(orientations()):
        array = np.zeros(shape, np.int16)
        # The end of each array axis that lies at the mark's side.
        corner = []
        for column, length in enumerate(shape):
            axis = int(np.abs(affine[:3, column]).argmax())
            forwards = affine[axis, column] > 0
            corner.append(length - 1 if forwards == (MARK[axis] > 0) else 0)
        array[tuple(corner)] = 1000
        marks.append(tuple(corner))
        save(root / f"o{number:02d}.nii", array, affine)
    model = Brightness().eval()
    report = infer(
        model,
        root,
        tmp_path / "out",
        method="gradcam",
        layers=["layer"],
        workers=0,
        axis=plane,
        batch_size=32,
        mean=(0.0,),
        std=(1.0,),
        window_level=(500, 1000),
    )
    assert report.exit_code == 0
    store = MapStore.open(report.store)
    export(report.store, output_dir=tmp_path / "maps")
    drawn = render(report.store, output_dir=tmp_path / "figures", workers=1, panel_size=256)
    assert drawn.exit_code == 0
    for index, (header, affine, mark) in enumerate(
        zip(store.headers, orientations(), marks, strict=True)
    ):
        axis = int(np.abs(affine[PLANES[plane], :3]).argmax())  # the array's axis along the normal
        assert header.shape[0] == shape[axis]
        values = store.map("gradcam/layer", index)
        assert int(values.max(axis=(1, 2)).argmax()) == mark[axis]
        image = load(tmp_path / "maps" / f"o{index:02d}_gradcam_layer.nii.gz")
        np.testing.assert_allclose(image.affine, affine)
        data = image.get_fdata()
        assert data.shape == shape
        assert np.unravel_index(int(data.argmax()), shape) == mark
        (figure,) = (tmp_path / "figures").glob(f"{index + 1:03d}_*.png")
        assert figure.name.endswith(f"_slice{mark[axis]}.png")
        # Axial: front and right; coronal: top and right; sagittal: top and front.
        assert [marked_corner(panel) for panel in panels(figure)] == [("top", "left")] * 3

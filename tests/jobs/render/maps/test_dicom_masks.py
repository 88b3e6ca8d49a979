"""Masks of 2-D DICOM images: they lie where their own geometry says, and turn with the picture."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError
from fastcam.jobs.render.maps.image import open_image
from fastcam.read.inputs.slice_images import slice_grid
from fastcam.read.volumes.masks import open_mask
from fastcam.store.map_schema import MapHeader
from tests.read.volumes.dicom_files import AXIAL, CORONAL, MR_IMAGE, SAGITTAL, classic

ROWS, COLUMNS = 12, 16
MARK = slice(1, 4), slice(9, 15)
PREPROCESSING = {"size": (ROWS, COLUMNS), "fit": "stretch", "channels": 1}


def marked(folder: Path, plane: tuple[float, ...]) -> tuple[Path, np.ndarray]:
    """A DICOM image whose marked block is bright, and the block as a mask (y, x)."""
    inside = np.zeros((ROWS, COLUMNS), np.uint8)
    inside[MARK] = 255
    pixels = np.where(inside, 1000, 10).astype(np.int16)[None]
    (path,) = classic(
        folder, pixels, [7.0], plane=plane, storage=MR_IMAGE, WindowCenter=500, WindowWidth=1000
    )
    return path, inside


def shown(path: Path, mask: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    nothing: Any = np.empty(0)
    header = MapHeader(
        place=1,
        id="x",
        group="",
        source=path,
        mask_source=mask,
        label="",
        shape=(1, ROWS, COLUMNS),
        affine=None,
        output=nothing,
        prediction=None,
        confidence=1.0,
        probabilities=nothing,
        targets=nothing,
        measures=nothing,
        status="done",
        reason="",
    )
    image = open_image(header, str(mask), "", PREPROCESSING, "radiological")
    assert image.picture.mask is not None
    return image.picture.image[:, :, 0] > 128, image.picture.mask > 0, image.warnings


@pytest.mark.parametrize("plane", [AXIAL, CORONAL, SAGITTAL])
def test_masks_of_the_pixels(tmp_path: Path, plane: tuple[float, ...]) -> None:
    """A PNG has no geometry: it is taken by its pixels, and turned as the picture is."""
    path, inside = marked(tmp_path / "d", plane)
    Image.fromarray(inside).save(tmp_path / "mask.png")
    bright, mask, _ = shown(path, tmp_path / "mask.png")
    assert bright.sum() == 18
    assert np.array_equal(bright, mask)


@pytest.mark.parametrize("plane", [AXIAL, CORONAL, SAGITTAL])
def test_masks_with_a_geometry_in_every_orientation(
    tmp_path: Path, plane: tuple[float, ...]
) -> None:
    path, inside = marked(tmp_path / "d", plane)
    grid = slice_grid(path, (1, ROWS, COLUMNS))
    assert grid.affine is not None
    own = nibabel.Nifti1Image(inside.T[:, :, None], grid.affine)
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            turning = np.array(list(zip(order, signs, strict=True)), float)
            turned: Any = own.as_reoriented(turning)
            turned.to_filename(tmp_path / "mask.nii")
            bright, mask, warnings = shown(path, tmp_path / "mask.nii")
            assert np.array_equal(bright, mask), (order, signs)
            assert warnings == ()
            opened = open_mask(tmp_path / "mask.nii", grid, "zyx")
            assert np.array_equal(opened.inside[0], inside > 0)


def test_a_mask_elsewhere_is_refused(tmp_path: Path) -> None:
    path, inside = marked(tmp_path / "d", AXIAL)
    grid = slice_grid(path, (1, ROWS, COLUMNS))
    assert grid.affine is not None
    affine = grid.affine.copy()
    affine[:3, 3] += 500
    nibabel.Nifti1Image(inside.T[:, :, None], affine).to_filename(tmp_path / "mask.nii")
    with pytest.raises(CaseError, match="mm"):
        open_mask(tmp_path / "mask.nii", grid, "zyx")
    (other,) = classic(
        tmp_path / "m", (inside[None] // 255).astype(np.int16), [7.0], storage=MR_IMAGE
    )
    bright, mask, _ = shown(path, other)
    assert np.array_equal(bright, mask)

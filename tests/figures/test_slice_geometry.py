"""What figures say of a slice's place, against nibabel, for volumes that lie in any way."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt

from fastcam.figures.slice_geometry import pixel_aspect, slice_geometry
from fastcam.read.volumes.orientation import IDENTITY, TRANSPOSE, for_display, left_side
from fastcam.read.volumes.volumes import open_volume
from fastcam.read.volumes.voxels import Volume
from tests.read.volumes.dicom_files import dataset

AFFINE = np.array(
    [[-0.8, 0, 0, 40.0], [0, 1.2, 0, -33.0], [0, 0, 2.5, -11.5], [0, 0, 0, 1.0]], np.float64
)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SRA", "ILP", "PIR", "ASL"])
def test_letters_millimetres_and_position_are_those_of_the_affine(codes: str, tmp_path) -> None:
    image = nibabel.Nifti1Image(np.zeros((10, 12, 14), np.int16), AFFINE)
    reorder = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), axcodes2ornt(codes)
    )
    stored = image.as_reoriented(reorder)
    nibabel.save(stored, tmp_path / "a.nii")
    volume = open_volume(tmp_path / "a.nii")
    turn = for_display(volume.affine)
    depth = len(volume.voxels)
    facts = slice_geometry(volume, turn, (0.0, 80.0), depth).of(3, 3)
    # Which way a step of one pixel on the screen goes in the patient.
    height, width = turn.size(*volume.voxels.shape[1:])
    x, y = np.meshgrid(np.arange(volume.voxels.shape[2]), np.arange(volume.voxels.shape[1]))
    shown_x, shown_y = turn.apply(x), turn.apply(y)

    def place(row: int, column: int) -> np.ndarray:
        voxel = [shown_x[row, column], shown_y[row, column], 3, 1]
        return (stored.affine @ voxel)[:3]

    right, up = place(0, 1) - place(0, 0), place(0, 0) - place(1, 0)
    axis = int(np.abs(up).argmax())
    assert facts.top_side == ("LR", "PA", "IS")[axis][int(up[axis] > 0)]
    axis = int(np.abs(right).argmax())
    assert left_side(volume.affine, turn) == ("LR", "PA", "IS")[axis][int(right[axis] < 0)]
    assert facts.pixel_width == pytest.approx(np.linalg.norm(right))
    middle = (place(0, 0) + place(height - 1, width - 1)) / 2
    normal = int(np.abs(stored.affine[:3, 2]).argmax())
    letter = ("LR", "PA", "IS")[normal][int(middle[normal] >= 0)]
    assert facts.position == f"{letter} {abs(middle[normal]):.1f} mm"
    assert facts.depth == depth


def test_the_window_is_in_the_unit_of_the_file() -> None:
    volume = Volume(
        voxels=np.zeros((2, 3, 4), np.int16), affine=AFFINE, slope=2.0, intercept=-1024.0
    )
    turn = for_display(AFFINE)
    assert slice_geometry(volume, turn, (512.0, 552.0), 2).facts.window == "C 40 W 80"
    assert slice_geometry(volume, turn, (552.0, 512.0), 2).facts.window == "C 40 W 80"


@pytest.mark.parametrize("function", [None, "LINEAR_EXACT"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_window_of_a_dicom_file_is_called_as_its_header_does(
    tmp_path: Path, function: str | None, photometric: str
) -> None:
    """Its linear window of 50 and 400 reaches from -150 to 249 HU, PS3.3 C.11.2.1.2."""
    tags = {} if function is None else {"VOILUTFunction": function}
    image = dataset(
        np.arange(2000, dtype=np.uint16).reshape(40, 50), WindowCenter=50, WindowWidth=400,
        RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU", PixelSpacing=[1, 1],
        ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PhotometricInterpretation=photometric, **tags,
    )  # fmt: skip
    image.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    volume = open_volume(tmp_path / "a.dcm")
    ends = [-150.0, 250.0] if function else [-150.0, 249.0]
    assert sorted(volume.slope * end + volume.intercept for end in volume.window) == ends
    turn = for_display(volume.affine)
    assert slice_geometry(volume, turn, volume.window, 1).facts.window == "C 50 W 400 HU"
    own = (1024.0, 1104.0)  # stored values
    assert slice_geometry(volume, turn, own, 1).facts.window == "C 40 W 80 HU"


def test_unit_and_series_are_named() -> None:
    volume = Volume(
        voxels=np.zeros((2, 3, 4), np.int16), affine=AFFINE, unit="HU", series="Head 5.0 H30s " * 3
    )
    facts = slice_geometry(volume, for_display(AFFINE), (0.0, 80.0), 2).of(0, 0)
    assert facts.caption("slice") == "slice  ·  I 11.5 mm  ·  C 40 W 80 HU"
    assert facts.series == "Head 5.0 H30s Head 5.0 H30s…"


def test_nothing_is_said_that_nobody_knows() -> None:
    voxels = np.zeros((2, 3, 4), np.int16)
    facts = slice_geometry(Volume(voxels=voxels), for_display(None), (0, 1), 2).of(0, 0)
    assert (facts.position, facts.window, facts.top_side, facts.pixel_width) == ("", "", "", 0.0)
    assert facts.depth == 2
    # The usual affine of a file that has none turns slices, and is no measure.
    usual = Volume(voxels=voxels, affine=AFFINE, placed=False)
    facts = slice_geometry(usual, for_display(AFFINE), (0, 1), 2).of(0, 0)
    assert facts.top_side == "A"
    assert (facts.position, facts.pixel_width) == ("", 0.0)
    uneven = Volume(voxels=voxels, affine=AFFINE, uneven="1 to 3 mm")
    facts = slice_geometry(uneven, for_display(AFFINE), (0, 1), 2).of(0, 0)
    assert facts.position == ""
    assert facts.pixel_width == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("sizes", "aspect"),
    [
        ((0.7, 0.7, 5.0), 1.0),
        ((0.7, 0.706, 5.0), 1.0),  # what files round
        ((0.7, 0.71, 5.0), 0.71 / 0.7),
        ((1.0, 5.0, 1.0), 5.0),
        ((5.0, 1.0, 1.0), 0.2),
        ((0.0, 1.0, 1.0), 1.0),
        ((np.nan, 1.0, 1.0), 1.0),
        ((np.inf, 1.0, 1.0), 1.0),
    ],
)
def test_the_shape_of_a_pixel_is_that_of_its_millimeters(sizes, aspect: float) -> None:
    affine = np.diag([*sizes, 1.0])
    assert pixel_aspect(affine, IDENTITY) == pytest.approx(aspect)
    assert pixel_aspect(affine, TRANSPOSE) == pytest.approx(1 / aspect)
    assert pixel_aspect(None, IDENTITY) == 1.0

"""What nobody would notice: whether a box lies where the model looked, however a volume lies."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from fastcam.errors import CaseError
from fastcam.figures import layout
from fastcam.figures.figure_pixels import draw
from fastcam.figures.patch_figure import patch_sheet
from fastcam.figures.patch_scales import case_scale
from fastcam.figures.render_style import render_style_of
from fastcam.figures.slice_facts import NO_FACTS
from fastcam.jobs.render.patches.case import cut_slice, open_case
from fastcam.options import Sources, Style
from fastcam.read.results.case import Case
from tests.sample_runs import make_case

CODES = [
    "".join(pair[axis] for pair, axis in zip(permuted, signs, strict=True))
    for permuted in itertools.permutations(("RL", "AP", "SI"))
    for signs in itertools.product((0, 1), repeat=3)
]
# Index along right, anterior, superior of the letter and the square.
PLACE = (14, 17, 20)


def case_of(boxes, slices, weights=None) -> Case:
    return make_case(1, "F", slices, weights, boxes)


def letter(shape: tuple[int, int]) -> np.ndarray:
    """An F of 500, head at high second index, and a square of 1000 beside it; rows are axis 0."""
    plane = np.zeros(shape, np.int16)
    plane[6:9, 6:24] = 500
    plane[9:18, 21:24] = 500
    plane[9:14, 14:17] = 500
    plane[16:24, 8:17] = 1000
    return plane


def ras_volume(normal: int) -> np.ndarray:
    """(right, anterior, superior) with the letter in the plane across axis ``normal``."""
    volume = np.zeros((30, 34, 38), np.int16)
    where: list[int | slice] = [slice(None)] * 3
    where[normal] = PLACE[normal]
    plane = volume[tuple(where)]
    plane[...] = letter(plane.shape)
    return volume


def as_a_radiologist_sees_it(volume: np.ndarray, normal: int) -> np.ndarray:
    """Axial: anterior up, right on the left. Coronal: superior up, right on the left. Sagittal:
    superior up, anterior on the left."""
    if normal == 2:
        return volume[::-1, ::-1, PLACE[2]].T
    if normal == 1:
        return volume[::-1, PLACE[1], ::-1].T
    return volume[PLACE[0], ::-1, ::-1].T


def bounds(inside: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def trimmed(picture: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = bounds(picture > 0)
    return picture[y1:y2, x1:x2]


def padded(picture: np.ndarray, mask: np.ndarray, size: int) -> np.ndarray:
    """The mask-crop of DESIGN for a region that fits: cut, then zero-pad, centred."""
    x1, y1, x2, y2 = bounds(mask)
    cut = picture[y1 : y2 - 1, x1 : x2 - 1]
    canvas = np.zeros((size, size), picture.dtype)
    top, left = (size - cut.shape[0]) // 2, (size - cut.shape[1]) // 2
    canvas[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return canvas


def save(path: Path, volume: np.ndarray, codes: str) -> np.ndarray:
    """Store a RAS volume with its axes along ``codes``; returns nibabel's array."""
    image = nibabel.Nifti1Image(volume, np.diag([1.0, 1.5, 2.0, 1.0]))
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(codes)))
    stored = image.as_reoriented(turn)
    assert nibabel.aff2axcodes(stored.affine) == tuple(codes)
    stored.header["cal_max"] = 1000
    nibabel.save(stored, path)
    return np.asarray(stored.dataobj)


@pytest.mark.parametrize("codes", CODES)
def test_the_box_lies_on_the_bright_square_however_the_volume_lies(codes: str, tmp_path: Path):
    """All 48 ways to store a volume: axial, coronal and sagittal, LPS, RAS, LAS and the rest."""
    normal = next(i for i, pair in enumerate(("RL", "AP", "SI")) if codes[2] in pair)
    stored = save(tmp_path / "F.nii", ras_volume(normal), codes)
    z = int(np.flatnonzero(stored.any(axis=(0, 1)))[0])
    mask = np.zeros(stored.shape, np.uint8)
    mask[2:-2, 2:-2, z] = 1
    affine = nibabel.Nifti1Image.from_filename(tmp_path / "F.nii").affine
    nibabel.save(nibabel.Nifti1Image(mask, affine), tmp_path / "m.nii")
    style = Style(top_k=1, panel_size=32, heat_alpha=0.0)
    radiological = np.floor(as_a_radiologist_sees_it(ras_volume(normal), normal) * 0.255 + 0.5)
    for axes, orient, frame in itertools.product(
        ("zyx", "xyz"), ("radiological", "array"), ("image", "mask-crop:40")
    ):
        boxes_on = stored[:, :, z].T if axes == "zyx" else stored[:, :, z]
        if frame != "image":
            framed_mask = mask[:, :, z].T if axes == "zyx" else mask[:, :, z]
            boxes_on = padded(boxes_on, framed_mask, 40)
        case = case_of(bounds(boxes_on == 1000), [z])
        sources = Sources(tmp_path, tmp_path, axes, orient, frame)  # type: ignore[arg-type]
        opened = open_case(case, str(tmp_path / "F.nii"), str(tmp_path / "m.nii"), "", sources)
        picture = cut_slice(opened, z)

        expected = radiological
        if orient == "array":
            expected = np.floor(stored[:, :, z].T * 0.255 + 0.5)
        if frame == "image":
            np.testing.assert_array_equal(picture.grey, expected)
        else:
            assert picture.grey.shape == (40, 40)
            np.testing.assert_array_equal(trimmed(picture.grey), trimmed(expected))
        np.testing.assert_array_equal(picture.patches.boxes, [bounds(picture.grey == 255)])
        assert (picture.mask[picture.grey > 0] == 255).all()
        assert set(np.unique(picture.mask)) == {0, 255}  # type: ignore[arg-type]

        # The letter of the patient's side would hide the square; test_orientation has its turn.
        assert picture.left_side
        picture = replace(picture, left_side="", facts=NO_FACTS)
        height, width = picture.grey.shape
        size = layout.enlarged(height, width, style.panel_size)
        render_style = render_style_of(style, "", (), max(size))
        scale = case_scale(case, "patient", opened.height, opened.width, 0.0)
        canvas = draw(
            patch_sheet(case, z, picture, scale, render_style)[0],
            render_style.lettering,
            render_style.palette,
        )
        cell = layout.Cell(size[1], size[0])
        cells = (cell, cell, layout.Cell(size[1], size[0], bar=True), cell)
        for lines, captions in itertools.product((1, 2), (1, 2, 3, 4)):
            plan = layout.arrange((cells,), lines, 1.0, captions)
            if (plan.height, plan.width) == canvas.shape[:2]:
                break
        else:
            pytest.fail("the canvas has no such layout")
        slice_panel, overlay = (
            canvas[p.y : p.y + p.height, p.x : p.x + p.width]
            for p in (plan.areas[0].panel, plan.areas[3].panel)
        )
        green = (overlay == (0, 255, 0)).all(axis=2)
        assert bounds(green) == bounds((slice_panel == 255).all(axis=2))


def _opened(tmp_path: Path, volume: np.ndarray, case: Case, **sources):
    np.save(tmp_path / "v.npy", volume)
    return open_case(case, str(tmp_path / "v.npy"), None, "", Sources(tmp_path, **sources))


def test_every_slice_shares_the_window_of_its_volume(tmp_path: Path):
    volume = np.zeros((3, 10, 10), np.float32)
    volume[0], volume[1], volume[2] = 0, 100, 51
    opened = _opened(tmp_path, volume, case_of([1, 1, 5, 5], [0]))
    assert [int(cut_slice(opened, z).grey[0, 0]) for z in range(3)] == [0, 255, 130]


def test_slices_are_counted_within_the_middle_ones(tmp_path: Path):
    volume = np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((1, 40, 40), np.uint8)
    case = case_of([[1, 1, 5, 5], [2, 2, 6, 6]], [0, 3])
    opened = _opened(tmp_path, volume, case, slices="middle:4")
    assert (opened.first, opened.count) == (3, 4)
    greys = [cut_slice(opened, k).grey[0, 0] for k in range(4)]
    expected = [np.floor((3 + k) / 9 * 255 + 0.5) for k in range(4)]
    np.testing.assert_allclose(greys, expected, atol=1)
    assert cut_slice(opened, 3).patches.boxes.tolist() == [[2, 2, 6, 6]]
    assert cut_slice(opened, 1).patches.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("boxes", "slices", "sources", "words"),
    [
        ([[1, 1, 5, 5]], [4], {}, ["position 0", "slice_idx 4", "4 slices", "--slices"]),
        ([[1, 1, 5, 5]] * 3, [0, 1, 2], {"slices": "middle:2"}, ["position 2", "middle:2"]),
        ([[1, 1, 5, 5], [12, 0, 14, 4]], [0, 0], {}, ["position 1", "(12, 0, 14, 4)", "12x20"]),
        ([[-5, 3, 0, 6]], [0], {}, ["position 0", "wholly outside"]),
        ([[13, 0, 15, 5]], [0], {}, ["wholly outside", "--axes"]),
    ],
)
def test_patches_that_do_not_fit_the_volume_are_named(tmp_path, boxes, slices, sources, words):
    with pytest.raises(CaseError) as raised:
        _opened(tmp_path, np.zeros((4, 20, 12), np.uint8), case_of(boxes, slices), **sources)
    message = str(raised.value)
    assert "\n" not in message
    assert "v.npy" in message
    for word in words:
        assert word in message


def test_a_box_that_sticks_out_ends_at_the_edge(tmp_path: Path):
    opened = _opened(tmp_path, np.zeros((4, 20, 12), np.uint8), case_of([8, -3, 30, 5], [1]))
    assert cut_slice(opened, 1).patches.boxes.tolist() == [[8, 0, 12, 5]]


def test_an_unusable_mask_costs_only_its_panel(tmp_path: Path):
    np.save(tmp_path / "v.npy", np.arange(4 * 20 * 12, dtype=np.uint16).reshape(4, 20, 12))
    np.save(tmp_path / "m.npy", np.zeros((4, 20, 13), np.uint8))
    case = case_of([1, 1, 5, 5], [0])
    image, mask, sources = str(tmp_path / "v.npy"), str(tmp_path / "m.npy"), Sources(tmp_path)
    with_masks = Sources(tmp_path, tmp_path)
    cropped = Sources(tmp_path, tmp_path, frame="mask-crop:8")
    opened = open_case(case, image, mask, "", with_masks)
    assert opened.mask is None
    assert opened.mask_notice == "mask not usable"
    (warning,) = opened.warnings
    assert "(4, 20, 13)" in warning
    opened = open_case(case, image, None, "no such mask", with_masks)
    assert (opened.mask_notice, opened.warnings) == ("no mask found", ("no such mask",))
    opened = open_case(case, image, None, "", sources)
    assert (opened.mask_notice, opened.warnings) == ("", ())
    with pytest.raises(CaseError, match=r"mask-crop:8 needs the mask.*gone"):
        open_case(case, image, None, "gone", cropped)


def test_a_crop_with_what_lies_around_it(tmp_path: Path) -> None:
    """By hand: the region as the model saw it, half of the grey levels around it, black beyond."""
    voxels = np.arange(10 * 12, dtype=np.uint8).reshape(1, 10, 12)
    mask = np.zeros_like(voxels)
    mask[0, 1:5, 2:7] = 1
    np.save(tmp_path / "v.npy", voxels)
    np.save(tmp_path / "m.npy", mask)
    sources = Sources(tmp_path, tmp_path, frame="mask-crop:8")
    case = case_of((0, 0, 4, 4), [0])
    opened = open_case(case, str(tmp_path / "v.npy"), str(tmp_path / "m.npy"), "", sources)
    opened = replace(opened, window=(0.0, 255.0))
    plain = cut_slice(opened, 0)
    shown = cut_slice(opened, 0, surroundings=True)
    # The region, rows 1 to 3 and columns 2 to 5, lies in the middle of 8 x 8.
    expected = np.zeros((8, 8), np.uint8)
    expected[1:, :] = voxels[0, 0:7, 0:8] // 2
    expected[2:5, 2:6] = voxels[0, 1:4, 2:6]
    np.testing.assert_array_equal(shown.grey, expected)
    np.testing.assert_array_equal(plain.grey[2:5, 2:6], voxels[0, 1:4, 2:6])
    assert plain.grey.sum() == voxels[0, 1:4, 2:6].sum()
    assert (plain.note, shown.note) == ("", "dimmed outside the crop")
    np.testing.assert_array_equal(plain.mask, shown.mask)

"""Volumes on each other's grids, beside SimpleITK's resampling."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.read.volumes.geometry import Grid, NoOverlapError, extent, onto_grid, same_grid

SHAPE = (4, 5, 6)
GRID = np.array([[2.0, 0, 0, -7], [0, 3.0, 0, 11], [0, 0, 4.0, 5], [0, 0, 0, 1]])
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def itk(voxels: np.ndarray, affine: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(voxels)
    placed = TO_LPS @ affine
    lengths = np.linalg.norm(placed[:3, :3], axis=0)
    image.SetSpacing(lengths.tolist())
    image.SetDirection((placed[:3, :3] / lengths).ravel().tolist())
    image.SetOrigin(placed[:3, 3].tolist())
    return image


def resampled(voxels: np.ndarray, affine: np.ndarray, shape, grid: np.ndarray) -> np.ndarray:
    reference = itk(np.zeros(shape, np.uint8), grid)
    nearest = SimpleITK.sitkNearestNeighbor
    out = SimpleITK.Resample(itk(voxels, affine), reference, SimpleITK.Transform(), nearest, 0)
    return SimpleITK.GetArrayFromImage(out)


def stored(voxels: np.ndarray, order, flips) -> tuple[np.ndarray, np.ndarray]:
    """The same volume with its axes (x, y, z) in another order and direction, and its affine."""
    turned = voxels.transpose(2, 1, 0).transpose(order)
    affine = np.eye(4)
    for axis, own in enumerate(order):
        affine[:3, axis] = 0
        affine[own, axis] = -1 if flips[axis] else 1
        if flips[axis]:
            affine[own, 3] = turned.shape[axis] - 1
    turned = turned[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return np.ascontiguousarray(turned.transpose(2, 1, 0)), GRID @ affine


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_all_48_ways_to_store_a_volume_are_the_same_volume(order, flips) -> None:
    voxels = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    turned, affine = stored(voxels, order, flips)
    placed = onto_grid(turned, affine, SHAPE, GRID)
    assert np.array_equal(placed.voxels, voxels)
    assert placed.warning == ""


def test_the_same_grid_is_the_same_array() -> None:
    voxels = np.zeros(SHAPE, np.uint8)
    rounded = GRID.astype(np.float32).astype(np.float64) + 1e-4
    assert onto_grid(voxels, rounded, SHAPE, GRID).voxels is voxels


@pytest.mark.parametrize("spacing", [0.5, 0.8, 1.7, 3.0])
def test_another_spacing(spacing: float) -> None:
    voxels = np.random.default_rng(1).integers(0, 9, (9, 11, 13)).astype(np.uint8)
    affine = GRID @ np.diag([spacing, spacing, 0.5, 1])
    placed = onto_grid(voxels, affine, SHAPE, GRID)
    assert "voxels of" in placed.warning
    assert np.array_equal(placed.voxels, resampled(voxels, affine, SHAPE, GRID))


@settings(deadline=None, max_examples=60)
@given(
    # Thousandths: of sines near the smallest float SimpleITK's inverse is wrong, with a complaint.
    angles=st.tuples(*[st.integers(-600, 600).map(lambda angle: angle / 1000)] * 3),
    shift=st.tuples(*[st.floats(-6, 6)] * 3),
    sizes=st.tuples(*[st.integers(3, 9)] * 3),
)
def test_oblique_grids_are_sampled_as_simpleitk_samples_them(angles, shift, sizes) -> None:
    voxels = np.random.default_rng(2).integers(1, 200, sizes).astype(np.uint8)
    affine = np.eye(4)
    for axis, angle in enumerate(angles):
        turn = np.eye(4)
        one, two = [a for a in range(3) if a != axis]
        turn[one, one] = turn[two, two] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        affine = affine @ turn
    affine[:3, :3] *= 2.3
    affine[:3, 3] = GRID[:3, 3] + shift
    expected = resampled(voxels, affine, SHAPE, GRID)
    try:
        placed = onto_grid(voxels, affine, SHAPE, GRID)
    except NoOverlapError:
        assert not expected.any()
        return
    # Halves may be rounded either way by the two; nothing else differs.
    near = np.linalg.inv(affine) @ GRID
    points = np.indices(SHAPE)[::-1].reshape(3, -1)
    at = near[:3, :3] @ points + near[:3, 3:]
    half = (np.abs(at - np.floor(at) - 0.5) < 1e-4).any(axis=0).reshape(SHAPE)
    assert np.array_equal(placed.voxels[~half], expected[~half])


def test_a_smaller_field_of_whole_voxels_is_exact() -> None:
    voxels = np.arange(1, 9, dtype=np.uint8).reshape(2, 2, 2)
    affine = GRID.copy()
    affine[:3, 3] = (GRID @ [3, 1, 2, 1])[:3]
    placed = onto_grid(voxels, affine, SHAPE, GRID)
    expected = np.zeros(SHAPE, np.uint8)
    expected[2:4, 1:3, 3:5] = voxels
    assert np.array_equal(placed.voxels, expected)
    assert placed.warning == ""


def test_no_overlap_names_both_extents() -> None:
    affine = GRID.copy()
    affine[0, 3] += 500
    with pytest.raises(
        NoOverlapError, match=r"covers x 492.0 to 504.0, .* the image x -8.0 to 4.0, "
    ):
        onto_grid(np.zeros(SHAPE, np.uint8), affine, SHAPE, GRID)


def test_an_affine_without_three_directions() -> None:
    flat = GRID.copy()
    flat[:, 1] = 0
    with pytest.raises(ValueError, match="no three directions"):
        onto_grid(np.zeros(SHAPE, np.uint8), flat, SHAPE, GRID)


def test_extent_counts_whole_voxels() -> None:
    assert extent((1, 1, 2), np.eye(4)) == "x -0.5 to 1.5, y -0.5 to 0.5, z -0.5 to 0.5 mm"


def test_boxes_that_pass_each_other_at_a_corner_share_nothing() -> None:
    """Along every axis of both boxes they overlap; a plane along two edges lies between them."""
    turn = np.eye(4)
    third = np.radians(45)
    across = np.array([[np.cos(third), -np.sin(third)], [np.sin(third), np.cos(third)]])
    turn[:2, :2] = across
    lean = np.eye(4)
    lean[1:3, 1:3] = across
    shape = (1, 1, 40)
    for distance, shares in ((1.3, True), (1.5, False)):
        other = turn @ lean @ np.diag([1.0, 40.0, 1.0, 1.0])
        other[:3, 3] = [19.5, 0, 0]
        other[:3, 3] += distance * np.cross([1, 0, 0], other[:3, 1] / 40) * np.sqrt(4 / 3)
        voxels = np.ones((1, 1, 1), np.uint8)
        if shares:
            onto_grid(voxels, other, shape, np.eye(4))
        else:
            with pytest.raises(NoOverlapError):
                onto_grid(voxels, other, shape, np.eye(4))


@pytest.mark.parametrize("offset", [5.97, 6.0, 6.03, -6.02])
def test_a_rounded_offset_of_the_whole_width_is_no_overlap(offset: float) -> None:
    affine = GRID.copy()
    affine[:3, 3] = (GRID @ [offset, 0, 0, 1])[:3]
    with pytest.raises(NoOverlapError):
        onto_grid(np.ones(SHAPE, np.uint8), affine, SHAPE, GRID)


def test_same_grid() -> None:
    near, far = GRID.copy(), GRID.copy()
    near[0, 3] += 0.05
    far[0, 3] += 0.2
    assert same_grid(Grid(SHAPE, GRID), Grid(SHAPE, near))
    assert not same_grid(Grid(SHAPE, GRID), Grid(SHAPE, far))
    assert not same_grid(Grid(SHAPE, GRID), Grid((4, 5, 7), GRID))
    assert not same_grid(Grid(SHAPE), Grid(SHAPE))

"""A volume on the grid of another, by their affines: a voxel's place decides, not its index."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
Affine = NDArray[np.float64]

# Two grids whose voxels lie no further apart than this, in voxels, are the same grid: what writers
# round in their affines is a hundredth of that. Nearest neighbor gives the same up to a half.
SAME_GRID = 0.05


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a volume lie.

    - ``shape``: (z, y, x)
    - ``affine`` (4, 4): from voxel (x, y, z, 1) to RAS millimetres; None where nobody says
    - ``uneven``: how the distances of the slices differ, so that no affine is true of them all;
      empty where they don't
    """

    shape: Shape
    affine: Affine | None = None
    uneven: str = ""

    @property
    def placed(self) -> Affine | None:
        """The affine; None also where it has no three directions."""
        return self.affine if self.affine is not None and _invertible(self.affine) else None


@dataclass(frozen=True, eq=False)
class OnGrid:
    """A volume on another's grid.

    ``voxels`` (z, y, x): 0 where the volume reaches no further. ``warning``: what a reader of the
    result should know, empty where the voxels are the volume's own, only turned.
    """

    voxels: NDArray[Any]
    warning: str = ""


class NoOverlapError(ValueError):
    """Two volumes that share no place; its text names both extents in millimetres."""


def onto_grid(voxels: NDArray[Any], affine: Affine, shape: Shape, grid: Affine) -> OnGrid:
    """``voxels`` (z, y, x) on the grid of ``shape`` (z, y, x) that ``grid`` places.

    Both affines (4, 4) take voxel (x, y, z, 1) to millimetres of one space. Grids that differ by
    flips, permuted axes and whole voxels are reindexed exactly; others are sampled at the nearest
    voxel, half up, with a warning. Raises NoOverlapError where the two share no place, and
    ValueError where an affine has no three directions.
    """
    depth, height, width = voxels.shape
    own: Shape = (depth, height, width)
    if own == shape and _distance(affine, grid, shape) <= SAME_GRID:
        return OnGrid(voxels)
    if not (_invertible(affine) and _invertible(grid)):
        raise ValueError("its affine has no three directions")
    from_mm: Affine = np.linalg.inv(affine).astype(np.float64)
    to_own: Affine = from_mm @ grid  # a voxel of the grid -> a voxel of the volume, (x, y, z)
    whole = _whole(to_own)
    if whole is not None and _distance(grid, affine @ whole, shape, from_mm) > SAME_GRID:
        whole = None
    if not _overlap(shape, to_own if whole is None else whole, own):
        raise NoOverlapError(
            f"it covers {extent(own, affine)}, but the image {extent(shape, grid)}"
        )
    if whole is None:
        return OnGrid(_nearest(voxels, to_own, shape), f"its grid {_differs(affine, grid)}")
    return OnGrid(_reindexed(voxels, whole, shape))


def same_grid(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same voxels at the same places, as far as their affines say."""
    if one.shape != other.shape or one.affine is None or other.affine is None:
        return False
    return _distance(one.affine, other.affine, other.shape) <= SAME_GRID


def _invertible(affine: Affine) -> bool:
    if not np.isfinite(affine).all():
        return False
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(lengths.all() and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-6)


def _corners(shape: Shape) -> NDArray[np.float64]:
    """(4, 8): the first and last voxel along each axis, as (x, y, z, 1)."""
    ends = [(0, length - 1) for length in reversed(shape)]
    return np.array([(*corner, 1) for corner in product(*ends)], np.float64).T


def farthest(one: Affine, other: Affine, shape: Shape) -> float:
    """How far, in millimetres, two affines of one grid place a voxel apart at most."""
    apart = (one - other) @ _corners(shape)
    return float(np.linalg.norm(apart[:3], axis=0).max())


def _distance(one: Affine, other: Affine, shape: Shape, scale: Affine | None = None) -> float:
    """How far, in voxels of ``one``, two affines of the same grid place a voxel apart at most."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    apart = (one - other) @ _corners(shape)
    if scale is None:
        lengths = np.linalg.norm(one[:3, :3], axis=0).min()
        return float(np.linalg.norm(apart[:3], axis=0).max() / lengths) if lengths else float("inf")
    return float(np.abs((scale @ apart)[:3]).max())


def _whole(to_own: Affine) -> Affine | None:
    """The nearest matrix, where it is one of flips, permuted axes and whole voxels."""
    whole: Affine = np.rint(to_own)
    steps = np.abs(whole[:3, :3])
    permuted = (steps.sum(axis=0) == 1).all() and (steps.sum(axis=1) == 1).all()
    return whole if permuted else None


def _reindexed(voxels: NDArray[Any], to_own: Affine, shape: Shape) -> NDArray[Any]:
    """Exact: each axis of the grid runs along one of the volume's, forwards or backwards."""
    turn, start = to_own[:3, :3].astype(int), to_own[:3, 3].astype(int)
    order = [int(np.flatnonzero(turn[:, axis])[0]) for axis in range(3)]  # grid's axis -> own axis
    turned = voxels.transpose([2 - order[2 - axis] for axis in range(3)])
    indices, filled = [], []
    for axis in range(3):  # z, y, x of the grid
        own = order[2 - axis]
        sign, first = int(turn[own, 2 - axis]), int(start[own])
        index = first + sign * np.arange(shape[axis])
        inside = np.flatnonzero((index >= 0) & (index < voxels.shape[2 - own]))
        low, high = int(index[inside].min()), int(index[inside].max())
        stop = None if sign < 0 and low == 0 else (high + 1 if sign > 0 else low - 1)
        indices.append(slice(low if sign > 0 else high, stop, sign))
        filled.append(slice(int(inside[0]), int(inside[-1]) + 1))
    part = turned[tuple(indices)]
    if part.shape == shape:
        return np.ascontiguousarray(part)
    result = np.zeros(shape, voxels.dtype)
    result[tuple(filled)] = part
    return result


def _nearest(voxels: NDArray[Any], to_own: Affine, shape: Shape) -> NDArray[Any]:
    """The nearest voxel of the volume at each of the grid's, 0 beyond half a voxel outside."""
    from scipy.ndimage import affine_transform

    matrix = to_own[:3, :3][::-1, ::-1]  # SciPy counts (z, y, x)
    result: NDArray[Any] = affine_transform(
        voxels, matrix, to_own[:3, 3][::-1], shape, order=0, mode="grid-constant", prefilter=False
    )
    return result


def _overlap(shape: Shape, to_own: Affine, own: Shape) -> bool:
    """Whether the boxes of two grids share a place: no plane lies between them.

    Two boxes that share none are parted by a plane along a face of one, or along an edge of each
    (Gottschalk, Lin & Manocha 1996, OBBTree).
    """
    high, wide = np.array(shape[::-1], np.float64), np.array(own[::-1], np.float64)
    edges = to_own[:3, :3] * high  # those of the grid's box, as columns; the other's are the axes
    apart = to_own[:3] @ np.array([*(high - 1) / 2, 1.0]) - (wide - 1) / 2
    normals = [np.cross(edges[:, a], edges[:, b]) for a, b in combinations(range(3), 2)]
    between = [np.cross(edge, axis) for edge in edges.T for axis in np.eye(3)]
    for normal in (*np.eye(3), *normals, *between):
        length = np.linalg.norm(normal)
        if length < 1e-9:
            continue  # parallel edges part nothing
        direction = normal / length
        reach = (np.abs(direction @ edges).sum() + np.abs(direction) @ wide) / 2
        if abs(direction @ apart) >= reach - 1e-9:
            return False
    return True


def extent(shape: Shape, affine: Affine) -> str:
    """What a grid covers, in millimetres along each axis of its space: ``x -90 to 90 mm, ...``."""
    ends = np.array([(-0.5, length - 0.5) for length in reversed(shape)])
    corners = np.array([(*corner, 1.0) for corner in product(*ends)]).T
    placed = (affine @ corners)[:3]
    lows, highs = placed.min(axis=1), placed.max(axis=1)
    parts = [
        f"{name} {low:.1f} to {high:.1f}"
        for name, low, high in zip("xyz", lows, highs, strict=True)
    ]
    return ", ".join(parts) + " mm"


def _differs(affine: Affine, grid: Affine) -> str:
    """In what two grids differ, for a warning."""
    own, other = (np.linalg.norm(a[:3, :3], axis=0) for a in (affine, grid))
    if not np.allclose(np.sort(own), np.sort(other), rtol=1e-3):
        sizes = [" x ".join(f"{length:.3g}" for length in lengths) for lengths in (own, other)]
        return (
            f"has voxels of {sizes[0]} mm, the image of {sizes[1]} mm: the nearest voxel is taken"
        )
    turn = np.abs((affine[:3, :3] / own).T @ (grid[:3, :3] / other))
    if np.allclose(np.sort(turn, axis=1)[:, -1], 1, atol=1e-3):
        return "is shifted by a part of a voxel: the nearest voxel is taken"
    return "is turned against the image's: the nearest voxel is taken"

"""How a browser finds the heat of a color: what its filters compute for a color table.

A page must not read the pixels of local files, but a filter of the browser may turn colors into
opacity. No weighted sum of R, G and B is the level of a color of JET: green rises and falls, and
the hot end is darker than the middle. A sum of curves, one over each of six mixtures of the three
channels, is that level for every table, to less than one of 255.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from fastcam_kernels import colormap
from numpy.typing import NDArray

from fastcam.figures.map_figure import DIVERGING_TABLE
from fastcam.figures.patch_figure import WITHOUT_PATCH
from fastcam.options import COLORMAPS

# The second three of the mixtures that have a curve; the first three are R, G and B themselves.
# Rows: weights of R, G and B and a constant; a browser clips their sums to 0..1. G beyond R is
# JET's cold green, G beyond B its warm one.
_MIXTURES = np.array([[-2.0, 1, 0, 0], [0, 1, -2, 0], [0.5, 0, -0.5, 0.5]])
# Values of each curve at equal distances, straight lines between them.
_KNOTS = 17
# Weight of the curves' steadiness: steep ones would enlarge the rounding of colors.
_STEADINESS = 1e-5
# Of 255; where no curves come that near, two levels have one color.
_MOST_OFF = 3.0


@cache
def heat_filter(name: str, *, without_patch: bool = False, signed: bool = False) -> dict[str, Any]:
    """What makes opacity, 0 to 1, of the colors of a table: ``mixtures`` (3 x 4, as above),
    ``curves`` (6 of 17 values 0..1), ``weights`` (6, 0 or above) and a ``constant``: opacity is
    the constant and the sum of the curves times their weights.

    ``without_patch``: the lowest level is drawn in the grey of places without a patch. ``signed``:
    opacity grows away from the middle of the table, as evidence for and against does. Empty where
    there is no such table, or a color doesn't tell its level.
    """
    if name not in COLORMAPS:
        return {}
    colors = colormap.table(name).astype(np.float64) / 255
    if without_patch:
        colors[0] = np.array(WITHOUT_PATCH) / 255
    levels = np.linspace(0, 1, len(colors))
    opacity = np.abs(2 * levels - 1) if signed else levels
    curves, error = _fitted(colors, opacity)
    if 255 * error > _MOST_OFF:
        return {}
    low, weights = curves.min(axis=1), np.ptp(curves, axis=1)
    scaled = (curves - low[:, None]) / np.where(weights > 0, weights, 1)[:, None]
    return {
        "mixtures": _MIXTURES.tolist(),
        "curves": scaled.round(4).tolist(),
        "weights": weights.round(4).tolist(),
        "constant": round(float(low.sum()), 4),
    }


def heat_filters(name: str, *, patches: bool) -> dict[str, Any]:
    """The filters of a page of one color table: ``plain``, and of maps ``signed``, whose table is
    the diverging one. Empty where the table has none."""
    plain = heat_filter(name, without_patch=patches)
    if not plain or patches:
        return {"plain": plain} if plain else {}
    return {"plain": plain, "signed": heat_filter(DIVERGING_TABLE, signed=True)}


def _fitted(
    colors: NDArray[np.float64], opacity: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The curves (6, knots) whose sum is nearest to ``opacity`` (n,) at ``colors`` (n, 3), and how
    far off it is at most."""
    mixed = np.hstack([colors, colors @ _MIXTURES[:, :3].T + _MIXTURES[:, 3]])
    sums = np.hstack([_shares(column) for column in mixed.T])
    steps = np.kron(np.eye(mixed.shape[1]), np.diff(np.eye(_KNOTS), axis=0))
    steady = np.sqrt(_STEADINESS * _KNOTS) * steps
    wanted = np.concatenate([opacity, np.zeros(len(steady))])
    curves, *_ = np.linalg.lstsq(np.vstack([sums, steady]), wanted, rcond=None)
    return curves.reshape(-1, _KNOTS), float(np.abs(sums @ curves - opacity).max())


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, knots): how much each knot counts at each value (n,), which is clipped to 0..1."""
    places = np.clip(values, 0, 1) * (_KNOTS - 1)
    shares: NDArray[np.float64] = np.clip(1 - np.abs(places[:, None] - np.arange(_KNOTS)), 0, 1)
    return shares

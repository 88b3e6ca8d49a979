"""Images and volumes of one value everywhere, as of an empty export or a broken conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def constant_warning(path: Path, values: NDArray[Any]) -> tuple[str, ...]:
    """A line where all ``values`` (z, y, x) of a volume are the same."""
    if not values.size:
        return ()
    first = values[len(values) // 2].flat[0]
    # What differs mostly does so in the middle, and the rest need not be looked at.
    if not np.all(values[len(values) // 2] == first) or not np.all(values == first):
        return ()
    return (f"{path}: has the value {first:g} everywhere: there is nothing to look at in it",)


def constant_input_warning(path: Path, pixels: NDArray[np.float32]) -> tuple[str, ...]:
    """A line where every channel of an image as the model takes it, ``pixels`` (c, h, w), is."""
    row = pixels[:, pixels.shape[1] // 2]
    if not np.all(row == row[:, :1]) or not np.all(pixels == pixels[:, :1, :1]):
        return ()
    return (f"{path}: is of one color everywhere: there is nothing to look at in it",)

"""How the axes of a plain array lie; a file with an affine says so itself."""

from __future__ import annotations

from typing import Literal

# NumPy arrays are (slice, row, column); nibabel's are (x, y, z).
Axes = Literal["zyx", "xyz"]

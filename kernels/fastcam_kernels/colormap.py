"""Color tables by name."""

from __future__ import annotations

import base64
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._tables import TABLES


def names() -> list[str]:
    """The color tables there are."""
    return list(TABLES)


@cache
def table(name: str) -> NDArray[np.uint8]:
    """Color table (256, 3) uint8 RGB, read-only.

    ``jet`` is OpenCV's COLORMAP_JET, the others are matplotlib's of that name, entry by entry.
    ``tests/kernels/make_tables.py`` writes ``_tables.py`` from these two libraries.
    """
    if name not in TABLES:
        raise ValueError(f"color table {name!r} is unknown; there are {', '.join(TABLES)}")
    colors = np.frombuffer(base64.b64decode(TABLES[name]), np.uint8).reshape(256, 3)
    colors.flags.writeable = False
    return colors

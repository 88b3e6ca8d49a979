"""Writes kernels/fastcam_kernels/_tables.py from OpenCV (jet) and matplotlib (the others).

    python tests/kernels/make_tables.py

``test_colormap.py`` holds the file against the same two libraries.
"""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

NAMES = ["jet", "viridis", "turbo", "inferno", "magma", "cividis", "coolwarm", "gray"]
TARGET = Path(__file__).parents[2] / "kernels" / "fastcam_kernels" / "_tables.py"


def colors(name: str) -> NDArray[np.uint8]:
    """Table (256, 3) uint8 RGB from the library that owns it."""
    if name == "jet":
        bgr = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET)
        return np.ascontiguousarray(bgr[:, 0, ::-1])
    rgba = matplotlib.colormaps[name](np.arange(256), bytes=True)
    return np.ascontiguousarray(rgba[:, :3])


def module() -> str:
    """The text of _tables.py."""
    lines = [
        '"""Color tables, base64 of 256 RGB triples; written by tests/kernels/make_tables.py."""',
        "",
        "from __future__ import annotations",
        "",
        "TABLES: dict[str, str] = {",
    ]
    for name in NAMES:
        text = base64.b64encode(colors(name).tobytes()).decode()
        lines.append(f'    "{name}": (')
        lines += [f'        "{text[i : i + 88]}"' for i in range(0, len(text), 88)]
        lines.append("    ),")
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    TARGET.write_text(module())

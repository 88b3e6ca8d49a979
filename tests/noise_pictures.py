"""Pictures of noise, as inputs of models that don't care."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def save_noise(
    folder: Path, names: Iterable[str], size: tuple[int, int] = (16, 16), seed: int = 0
) -> Path:
    """Make ``folder``, with an RGB PNG of ``size`` (height, width) of each name; the folder."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for name in names:
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder

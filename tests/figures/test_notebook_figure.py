"""A figure in memory, for scripts and notebooks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fastcam.errors import InputError, OutputError
from fastcam.figures.notebook_figure import Figure

PIXELS = np.random.default_rng(3).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def test_it_shows_in_a_notebook() -> None:
    figure = Figure(PIXELS)
    shown = np.asarray(Image.open(io.BytesIO(figure._repr_png_())))
    assert np.array_equal(shown, PIXELS)
    assert "40x24" in repr(figure)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "PNG"])
def test_it_saves_itself(tmp_path, suffix: str) -> None:
    smooth = np.repeat(np.repeat(PIXELS[:3, :5], 8, axis=0), 8, axis=1)
    path = Figure(smooth).save(str(tmp_path / f"a.{suffix}"))
    with Image.open(path) as picture:
        found = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(found - smooth).mean() < (1 if suffix.lower() == "png" else 12)
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{suffix}"]


def test_where_it_cannot_be_saved(tmp_path) -> None:
    figure = Figure(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"\.png, \.jpg, \.webp, \.pdf or \.svg"):
        figure.save(tmp_path / "a.bmp")
    with pytest.raises(OutputError, match="folder doesn't exist"):
        figure.save(tmp_path / "no" / "a.png")

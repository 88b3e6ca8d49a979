from __future__ import annotations

import numpy as np
import pytest
from fastcam_kernels.blend_tables import blend_tables
from fastcam_kernels.colormap import table

from . import reference


@pytest.mark.parametrize(
    ("mode", "weight"),
    [("flat", lambda i: 0.4), ("heat", lambda i: 0.4 * i / 255), ("only", lambda i: 1.0)],
)
def test_blend_tables(mode, weight):
    tables = blend_tables(table("turbo"), 0.4, mode)
    image_weight, heat_color = tables.image_weight, tables.heat_color
    assert image_weight.dtype == heat_color.dtype == np.float32
    for i in range(256):
        assert image_weight[i] == pytest.approx(1 - weight(i), abs=1e-7)
        assert heat_color[i] == pytest.approx(weight(i) * table("turbo")[i], abs=1e-4)


@pytest.mark.parametrize(("alpha", "mode"), [(1.5, "flat"), (float("nan"), "flat"), (0.4, "add")])
def test_blend_tables_refuse(alpha, mode):
    with pytest.raises(ValueError, match=r"alpha|unknown"):
        blend_tables(table("jet"), alpha, mode)


@pytest.mark.parametrize("mode", ["flat", "heat", "only"])
def test_the_tables_that_kernels_look_up_are_the_formula(mode):
    tables = blend_tables(table("turbo"), 0.5, mode)  # a weight that 256 steps can hold
    grey = np.arange(256, dtype=np.float32)[None, :, None]
    expected = reference.half_up(
        tables.image_weight[:, None, None] * grey + tables.heat_color[:, None, :]
    )
    colors = tables.lookup.reshape(256, 256)[..., None] >> np.array([0, 8, 16], np.uint32) & 255
    np.testing.assert_array_equal(colors, expected)
    np.testing.assert_array_equal(tables.without_image, tables.lookup[::256])
    usable, weight, *offsets = tables.steps.astype(int).T
    assert usable.any()
    for channel, offset in enumerate(offsets):
        steps = (weight[:, None] * np.arange(256) + offset[:, None]) >> 8
        np.testing.assert_array_equal(steps[usable == 1], expected[usable == 1, :, channel])

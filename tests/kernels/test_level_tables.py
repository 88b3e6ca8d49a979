from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcam_kernels.level_tables import through_tables
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([(), (1,), (3,), (2, 2)]),
    st.integers(0, 10**6),
)
def test_every_level_is_looked_up_in_its_channel(size, channels, one, before, seed):
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 256, (*before, 1 if one else channels, *size), np.uint8)
    tables = rng.normal(size=(channels, 256)).astype(np.float32)
    found = through_tables(planes, tables)
    assert found.shape == (*before, *size, channels)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    for channel in range(channels):
        expected = tables[channel][planes[..., 0 if one else channel, :, :]]
        np.testing.assert_array_equal(found[..., channel], expected)


def test_views_are_copied():
    planes = np.arange(2 * 6 * 8, dtype=np.uint8).reshape(2, 6, 8)[:, ::2, 1:5]
    tables = np.arange(1024, dtype=np.float32).reshape(2, 512)[:, ::2] * np.float32(0.5)
    found = through_tables(planes, tables)
    np.testing.assert_array_equal(found, np.moveaxis(planes + np.array([[[0]], [[256]]]), 0, 2))


@pytest.mark.parametrize(
    ("planes", "tables"),
    [((4, 5), (1, 256)), ((2, 4, 5), (3, 256)), ((3, 4, 5), (3, 255)), ((3, 4, 5), (256,))],
)
def test_other_shapes_are_refused(planes, tables):
    with pytest.raises(ValueError, match="give"):
        through_tables(np.zeros(planes, np.uint8), np.zeros(tables, np.float32))


def test_values_are_written_where_they_are_wanted():
    planes = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)
    tables = np.arange(512, dtype=np.float32).reshape(2, 256)
    out = np.full((4, 6, 2), np.nan, np.float32)
    assert through_tables(planes, tables, out) is out
    np.testing.assert_array_equal(out, through_tables(planes, tables))
    wrong: Any
    for wrong in (np.empty((4, 6, 3), np.float32), np.empty((4, 6, 2)), out.swapaxes(0, 1)):
        with pytest.raises(ValueError, match="can't write"):
            through_tables(planes, tables, wrong)

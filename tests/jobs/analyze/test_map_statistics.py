"""Statistics of maps against NumPy, SciPy and maps whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from fastcam.jobs.analyze.map_statistics import Point, feature_statistics, normalized


def gaussian(height: int, width: int, x: float, y: float, sigma: float) -> NDArray[np.float32]:
    """A bump around (x, y) in cells."""
    rows, columns = np.mgrid[:height, :width]
    distance = (rows - y) ** 2 + (columns - x) ** 2
    found: NDArray[np.float32] = np.exp(-distance / (2 * sigma**2)).astype(np.float32)
    return found


def test_the_centre_of_a_gaussian_in_image_pixels() -> None:
    cells = gaussian(40, 60, 35.0, 12.0, 3.0)
    found = feature_statistics(cells, (0, 0, 480, 320))
    # Cell i lies at (i + 0.5) * 8 - 0.5 pixels.
    assert found.center_of_mass is not None
    assert found.center_of_mass.x == pytest.approx(35.5 * 8 - 0.5, abs=0.05)
    assert found.center_of_mass.y == pytest.approx(12.5 * 8 - 0.5, abs=0.05)
    assert found.peak is not None
    assert abs(found.peak.x - 283.5) <= 0.5
    assert abs(found.peak.y - 99.5) <= 0.5
    # Above half of its height a Gaussian covers a disc of radius sigma * sqrt(2 ln 2).
    area = np.pi * 2 * np.log(2) * (3 * 8) ** 2 / (480 * 320)
    assert found.activation_area == pytest.approx(area, rel=0.02)


def test_against_torch_and_scipy() -> None:
    cells = np.random.default_rng(0).random((7, 5), np.float32) * 40 - 3
    found = feature_statistics(cells, (11, 20, 11 + 93, 20 + 71))
    big = (
        torch.nn.functional.interpolate(
            torch.from_numpy(cells)[None, None], (71, 93), mode="bilinear", align_corners=False
        )[0, 0]
        .double()
        .numpy()
    )
    scaled = (big - big.min()) / (big.max() - big.min())
    assert found.raw.max_activation == pytest.approx(cells.max(), rel=1e-6)
    assert found.raw.mean_activation == pytest.approx(cells.mean(), rel=1e-5)
    assert found.raw.std_activation == pytest.approx(cells.std(), rel=1e-5)
    assert found.normalised.max_activation == pytest.approx(1.0, abs=1e-5)
    assert found.normalised.mean_activation == pytest.approx(scaled.mean(), rel=1e-4)
    assert found.normalised.std_activation == pytest.approx(scaled.std(), rel=1e-4)
    assert found.activation_area == pytest.approx((scaled > 0.5).mean(), abs=2e-3)
    y, x = ndimage.center_of_mass(scaled)
    assert found.center_of_mass is not None
    assert (found.center_of_mass.x, found.center_of_mass.y) == pytest.approx(
        (x + 11, y + 20), abs=1e-2
    )
    assert found.peak is not None
    # Pixels at the border are alike to the last bit.
    assert scaled[int(found.peak.y) - 20, int(found.peak.x) - 11] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_map_of_one_value_has_no_place(value: float) -> None:
    found = feature_statistics(np.full((4, 4), value, np.float32), (0, 0, 32, 32))
    assert found.center_of_mass is None
    assert found.peak is None
    assert found.activation_area == 0.0
    assert found.normalised.max_activation == 0.0
    assert found.raw.mean_activation == value
    assert not normalized(np.full((2, 2), value, np.float32)).any()


def test_a_map_that_is_of_one_value_in_the_image_has_no_place() -> None:
    """One of its cells is a rounding apart, which is lost when it is made smaller."""
    values = np.full((16, 16), 0.625, np.float32)
    values[3, 4] = np.nextafter(values[3, 4], np.float32(1))
    found = feature_statistics(values, (0, 0, 7, 7))
    assert found.activation_area == 0
    assert found.center_of_mass is None
    assert found.peak is None


@pytest.mark.parametrize(("halves", "x"), [("plain", 16 + 5), ("mirror", 31 - 5)])
def test_halves_have_the_place_twice(halves: str, x: int) -> None:
    cells = np.zeros((8, 16), np.float32)
    cells[2, 5] = 1.0
    # The half is as large as the map: nothing is enlarged.
    found = feature_statistics(cells, (0, 0, 32, 8), halves)
    assert found.peak == found.center_of_mass == Point(5.0, 2.0)
    assert found.peak_right == found.center_of_mass_right == Point(float(x), 2.0)
    assert found.activation_area == 1 / (8 * 16)

"""Images without content."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from fastcam.attribution.baselines import baseline_images, black_of
from fastcam.errors import InputError
from fastcam.read.inputs.preprocessing import Preprocessing


def test_black() -> None:
    spec = Preprocessing(size=(4, 4), channels=3, mean=(0.5, 0.4, 0.2), std=(0.25, 0.2, 0.1))
    assert black_of(spec) == pytest.approx((-2.0, -2.0, -2.0))
    images = baseline_images(torch.randn(2, 3, 4, 4), "black", (1.0, 2.0, 3.0))
    assert images[1, :, 3, 0].tolist() == [1.0, 2.0, 3.0]
    # Two images after each other along the channels.
    assert baseline_images(torch.randn(1, 4, 2, 2), "black", (1.0, 2.0))[0, :, 0, 0].tolist() == [
        1.0, 2.0, 1.0, 2.0,
    ]  # fmt: skip
    with pytest.raises(InputError, match="--baseline black: 3 channels"):
        baseline_images(torch.randn(1, 4, 2, 2), "black", (1.0, 2.0, 3.0))


def test_zero_and_mean() -> None:
    batch = torch.randn(2, 3, 4, 5)
    assert not baseline_images(batch, "zero").any()
    mean = baseline_images(batch, "mean")
    torch.testing.assert_close(mean[1, 2], batch[1, 2].mean().expand(4, 5))


@pytest.mark.parametrize("size", [(20, 30), (12, 10, 14)])
def test_blur_is_scipys(size: tuple[int, ...]) -> None:
    batch = torch.randn(2, 1, *size)
    expected = gaussian_filter(
        batch[1, 0].double().numpy(), 0.1 * min(size), mode="nearest", truncate=4.0
    )
    np.testing.assert_allclose(baseline_images(batch, "blur")[1, 0].numpy(), expected, atol=2e-3)

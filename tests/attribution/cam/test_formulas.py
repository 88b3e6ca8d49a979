"""The formulas against slow loops in float64, and EigenCAM against a whole SVD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fastcam.attribution.cam import formulas
from fastcam.attribution.cam.formulas import GRADIENT_METHODS, eigencam

SHAPES = st.sampled_from([(1, 1, 2, 3), (2, 3, 4, 5), (3, 5, 1, 2), (2, 4, 2, 3, 2), (1, 7, 6, 6)])


def made(shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Activations after a ReLU, and gradients of both signs with zeros among them."""
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=shape) * (rng.random(shape) < 0.8) * 10.0 ** rng.integers(-3, 2)
    activations = np.maximum(rng.normal(size=shape), 0)
    return torch.from_numpy(activations).float(), torch.from_numpy(gradients).float()


def slow(method: str, activations: Tensor, gradients: Tensor) -> np.ndarray:
    """DESIGN's formulas, one number at a time."""
    a_all, g_all = activations.double().numpy(), gradients.double().numpy()
    maps = np.zeros((a_all.shape[0], *a_all.shape[2:]))
    for image, (a_image, g_image) in enumerate(zip(a_all, g_all, strict=True)):
        for a, g in zip(a_image, g_image, strict=True):
            weight = 0.0
            for value in g.flat:
                if method == "gradcam":
                    weight += value / g.size
                if method == "gradcam++":
                    alpha = value**2 / (2 * value**2 + a.sum() * value**3 + 1e-6)
                    weight += max(value, 0.0) * alpha
            for place in np.ndindex(a.shape):
                if method == "hirescam":
                    maps[image][place] += g[place] * a[place]
                elif method == "layercam":
                    maps[image][place] += max(g[place], 0.0) * a[place]
                else:
                    maps[image][place] += weight * a[place]
    return maps


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 10_000), st.sampled_from(sorted(GRADIENT_METHODS)))
def test_formulas_are_the_loops(shape: tuple[int, ...], seed: int, method: str) -> None:
    activations, gradients = made(shape, seed)
    expected = slow(method, activations, gradients)
    found = GRADIENT_METHODS[method](activations, gradients)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5, atol=2e-6 * abs(expected).max())


@pytest.mark.parametrize("method", sorted(GRADIENT_METHODS))
def test_channels_last_memory_makes_no_difference(method: str) -> None:
    activations, gradients = made((2, 9, 5, 4), 1)
    last = [t.to(memory_format=torch.channels_last) for t in (activations, gradients)]
    torch.testing.assert_close(
        GRADIENT_METHODS[method](*last), GRADIENT_METHODS[method](activations, gradients)
    )


def whole_svd(activations: Tensor) -> np.ndarray:
    maps = []
    for image in activations.double().numpy():
        rows = image.reshape(len(image), -1).T
        rows = rows - rows.mean(0)
        _, _, right = np.linalg.svd(rows, full_matrices=False)
        projected = rows @ right[0]
        mean = rows.mean(1)
        projected = -projected if projected @ mean < 0 else projected
        maps.append(projected.reshape(image.shape[1:]))
    return np.stack(maps)


@pytest.mark.parametrize(
    "shape", [(3, 40, 6, 5), (2, 6, 9, 9), (2, 300, 17, 18), (1, 280, 5, 8, 8), (1, 1, 4, 4)]
)
def test_eigencam_is_the_first_singular_vector(shape: tuple[int, ...]) -> None:
    """The shapes go through each of the three ways."""
    activations, _ = made(shape, 3)
    # A common pattern, so that the first singular value stands apart, as in real layers.
    activations += torch.linspace(0, 2, activations[0, 0].numel()).reshape(shape[2:])
    expected = whole_svd(activations)
    np.testing.assert_allclose(
        eigencam(activations).numpy(), expected, atol=5e-6 * abs(expected).max()
    )


def test_eigencam_of_close_singular_values_still_projects_on_the_largest() -> None:
    """Noise alone: singular values are close together, and iteration converges slowly."""
    activations = torch.randn(1, 280, 18, 18, generator=torch.Generator().manual_seed(0))
    expected = whole_svd(activations)
    length = np.linalg.norm(eigencam(activations).numpy())
    assert length == pytest.approx(np.linalg.norm(expected), rel=1e-4)


def test_eigencam_correlates_with_the_mean_activation() -> None:
    for seed in range(8):
        activations = made((2, 5, 4, 4), seed)[0]
        for one, mean in zip(eigencam(activations), activations.mean(1), strict=True):
            assert float((one * (mean - mean.mean())).sum()) >= 0


@pytest.mark.parametrize("shape", [(3, 6, 4, 4), (3, 280, 17, 17)])
def test_a_bad_image_costs_eigencam_only_itself(shape: tuple[int, ...]) -> None:
    activations, _ = made(shape, 5)
    expected = eigencam(activations)
    activations[1, 2, 0, 0] = torch.nan
    found = eigencam(activations)
    assert found[1].isnan().all()
    # Iteration may stop a step apart: the last digits are another's.
    torch.testing.assert_close(found[[0, 2]], expected[[0, 2]], rtol=1e-3, atol=1e-3)


def test_flat_activations_have_a_flat_eigencam() -> None:
    for shape in ((1, 6, 4, 4), (1, 280, 17, 17)):
        assert not eigencam(torch.ones(shape)).any()


def test_gradcam_plusplus_survives_a_vanishing_denominator() -> None:
    """2g² + ΣA g³ = -1e-6 nearly: negative g, whose weight is 0 by its ReLU."""
    activations = torch.full((1, 1, 1, 2), 1.0)
    gradients = torch.tensor([-1.0, 0.5]).reshape(1, 1, 1, 2)
    found = formulas.gradcam_plusplus(activations, gradients)
    assert found.isfinite().all()
    assert float(found[0, 0, 0]) == pytest.approx(0.5 * 0.25 / (0.5 + 2 * 0.125 + 1e-6))

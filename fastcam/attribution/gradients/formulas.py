"""Maps of gradients at the input, as pure functions of images and gradients.

``images`` x and ``gradients`` g = ∂y/∂x are (b, c, *s), s = (h, w) or (d, h, w). Every map is
float32 (b, *s), raw, one value a pixel of the model's input.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def saliency(gradients: Tensor) -> Tensor:
    """max_c |g_c| (Simonyan et al. 2013, section 3.1)."""
    return gradients.float().abs().amax(1)


def input_x_gradient(images: Tensor, gradients: Tensor) -> Tensor:
    """Σ_c x_c g_c (Shrikumar et al. 2016): what a first-order model says each pixel adds."""
    return (images.float() * gradients.float()).sum(1)


def path_nodes(steps: int) -> list[tuple[float, float]]:
    """``steps`` pairs (position, weight) on the path from 0 to 1, by Gauss-Legendre quadrature.

    It is exact for polynomials of degree 2 · steps - 1; a Riemann sum needs some ten times the
    steps for the same error.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return list(zip((0.5 * (1.0 + nodes)).tolist(), (0.5 * weights).tolist(), strict=True))


def integrated_gradients(images: Tensor, baselines: Tensor, path_gradients: Tensor) -> Tensor:
    """Σ_c (x_c - x'_c) ∫ ∂y/∂x_c along the straight path from x' (Sundararajan et al. 2017, eq. 1).

    ``path_gradients``: the integral, by :func:`path_nodes`.
    """
    return ((images.float() - baselines.float()) * path_gradients).sum(1)


def noise_samples(images: Tensor, samples: int, noise: float, seed: int) -> Iterator[Tensor]:
    """``images`` with Gaussian noise, ``samples`` times (Smilkov et al. 2017, section 3.2).

    Its standard deviation is ``noise`` times the range of each image's values. Every image gets
    the same noise, whatever stands beside it in the batch.
    """
    axes = tuple(range(1, images.ndim))
    extent = images.amax(axes, keepdim=True) - images.amin(axes, keepdim=True)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(samples):
        sample = torch.randn(images.shape[1:], generator=generator).to(images)
        yield images + noise * extent * sample

"""Ridge and mutual reconstruction in the networks against explicit inverses and slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fastcam.errors import InputError
from fastcam.models.fewshot.reconstruction import (
    MutualReconstruction,
    RidgeReconstruction,
    ridge_penalty,
    ridge_reconstruction,
    ridge_weights,
)


def double(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# More support places than channels, fewer, and as many.
@pytest.mark.parametrize("places", [30, 5, 12])
def test_ridge_is_the_explicit_inverse(places: int) -> None:
    torch.manual_seed(places)
    query, support, penalty = double(3, 7, 12), double(4, 1, places, 12), 0.3
    weights = ridge_weights(query, support, penalty)
    found = ridge_reconstruction(query, support, penalty, 1.7)
    assert weights.shape == (4, 3, 7, places)
    for one, of_class, rebuilt in zip(support[:, 0].numpy(), weights, found, strict=True):
        inverse = np.linalg.inv(one.T @ one + penalty * np.eye(12))
        expected = query.numpy() @ inverse @ one.T
        np.testing.assert_allclose(of_class, expected, atol=1e-10)
        np.testing.assert_allclose(rebuilt, 1.7 * expected @ one, atol=1e-10)


def test_the_penalty_is_equation_5() -> None:
    assert float(ridge_penalty(50, 64, 0.0)) == pytest.approx(50 / 64 + 1e-6)
    found = ridge_penalty(50, 64, torch.tensor(-30.0, dtype=torch.float64))
    assert float(found) == pytest.approx(50 / 64 * math.exp(-30) + 1e-6)


def test_half_precision_is_widened() -> None:
    torch.manual_seed(0)
    query, support = double(7, 12), double(30, 12)
    expected = ridge_weights(query, support, 1.0)
    found = ridge_weights(query.bfloat16(), support.bfloat16(), 1.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=0.01, rtol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        exact = ridge_weights(query.float(), support.float(), 1.0)
    torch.testing.assert_close(exact.double(), expected, atol=1e-5, rtol=0)


def test_ridge_logits_are_minus_the_mean_distance() -> None:
    torch.manual_seed(1)
    head = RidgeReconstruction().double()
    with torch.no_grad():
        head.alpha.fill_(-0.4)
        head.beta.fill_(0.2)
        head.temperature.fill_(3.0)
    support, query = double(3, 10, 6), double(2, 5, 6)
    logits = head(support, query)
    torch.autograd.backward(logits.sum())
    logits = logits.detach()
    penalty = 10 / 6 * math.exp(-0.4) + 1e-6
    for b in range(2):
        for c in range(3):
            s, q = support[c].numpy(), query[b].numpy()
            hat = np.linalg.inv(s.T @ s + penalty * np.eye(6)) @ s.T @ s
            distance = ((math.exp(0.2) * q @ hat - q) ** 2).sum(1).mean()
            assert float(logits[b, c]) == pytest.approx(-3.0 * distance)
    assert all(parameter.grad.abs() > 0 for parameter in head.parameters())


def test_mutual_logits_by_a_slow_loop() -> None:
    torch.manual_seed(2)
    head = MutualReconstruction(6).double()
    with torch.no_grad():
        head.shares.copy_(torch.tensor([0.7, 0.2]))
        head.temperature.fill_(2.0)
    support, query = double(3, 10, 6), double(2, 5, 6)
    with torch.no_grad():
        logits = head(support, query)

    def rebuilt(to: torch.Tensor, of: torch.Tensor) -> float:
        distances = []
        for place in to:
            powers = [math.exp(float(head.q(place) @ head.k(key)) / math.sqrt(6)) for key in of]
            value = sum(p / sum(powers) * head.v(key) for p, key in zip(powers, of, strict=True))
            distances.append(float((value - head.v(place)).square().sum()))
        return sum(distances) / len(distances)

    with torch.no_grad():
        for b in range(2):
            for c in range(3):
                both = 0.7 * rebuilt(query[b], support[c]) + 0.2 * rebuilt(support[c], query[b])
                assert float(logits[b, c]) == pytest.approx(-2.0 * both)


def test_features_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"\(7, 12\).*\(5, 11\).*same channels"):
        ridge_weights(double(7, 12), double(5, 11), 1.0)
    with pytest.raises(InputError, match="at least one place"):
        ridge_weights(double(7, 12), double(0, 12), 1.0)

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastcam.attribution.patch_maps import run_case
from fastcam.errors import CaseError
from fastcam.models.patch_attention.network import build
from fastcam.models.patch_attention.patches import PatchRules, patches_of

WINDOW = (-2.0, 2.0)


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 60, 50)).astype(np.float32)


@pytest.fixture
def inside() -> np.ndarray:
    mask = np.zeros((3, 60, 50), bool)
    mask[:2, 10:50, 5:45] = True
    return mask


def test_a_case_is_what_the_model_says_of_its_patches(
    voxels: np.ndarray, inside: np.ndarray
) -> None:
    torch.manual_seed(0)
    model = build(num_classes=3).eval()
    found = run_case(model, voxels, WINDOW, inside)
    plan, pixels = patches_of(voxels, WINDOW, inside)
    logits, weights = model(torch.from_numpy(pixels))
    for name in ("boxes", "slices", "roi", "mask_ratio"):
        assert np.array_equal(getattr(found, name), getattr(plan, name))
    np.testing.assert_allclose(found.weights, weights.detach(), atol=1e-6)
    assert found.weights.dtype == np.float32
    powers = np.exp(logits[0].detach().double().numpy())
    np.testing.assert_allclose(found.probabilities, powers / powers.sum(), atol=1e-6)
    assert found.prediction == int(logits[0].argmax())
    assert found.confidence == found.probabilities.max()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_rules_are_passed_on(voxels: np.ndarray, inside: np.ndarray) -> None:
    found = run_case(build(), voxels, WINDOW, inside, PatchRules(most=2))
    assert len(found.weights) == len(found.boxes) == 4


def test_an_answer_that_is_not_finite(voxels: np.ndarray, inside: np.ndarray) -> None:
    model = build()
    torch.nn.init.constant_(model.head.bias, torch.nan)
    with pytest.raises(CaseError, match="not finite"):
        run_case(model, voxels, WINDOW, inside)


def test_a_mask_without_patches(voxels: np.ndarray) -> None:
    with pytest.raises(CaseError, match="no patch"):
        run_case(build(), voxels, WINDOW, np.zeros((1, 60, 50), bool))

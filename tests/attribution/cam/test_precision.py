"""A network trained here on scikit-learn's digits: maps in bf16 are those in fp32, nearly."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from fastcam.attribution.cam.engine import CamEngine

METHODS = ("gradcam", "hirescam", "layercam", "gradcam++", "eigencam")


@pytest.fixture(scope="module")
def digits() -> tuple[nn.Module, Tensor, Tensor]:
    """A small trained network, and 100 images it was not trained on with their labels."""
    images, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 16
    y = torch.from_numpy(labels).long()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    optimiser = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(6):
        for rows in torch.randperm(len(x) - 100).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
    return model.eval(), x[-100:], y[-100:]


def test_it_has_learnt(digits: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, x, y = digits
    found = CamEngine(model)(x)
    assert found.targets is not None
    assert float((found.targets[:, 0] == y).float().mean()) > 0.9


@pytest.mark.parametrize("layer", ["2", "5"])
def test_bf16(digits: tuple[nn.Module, Tensor, Tensor], layer: str) -> None:
    model, x, y = digits
    engine = CamEngine(model, [layer], METHODS, targets=y)
    exact = engine(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = engine(x)
    agree = exact.output.argmax(1) == half.output.argmax(1)
    assert float(agree.float().mean()) >= 0.98
    for name, values in exact.maps.items():
        found = half.maps[name]
        assert found.dtype == torch.float32
        # Per image, of the map's range; bf16 has a step of 2^-8.
        span = values.flatten(1).abs().amax(1)
        worst = (found - values).flatten(1).abs().amax(1) / span
        assert float(worst.median()) < 0.03, name
        assert float(worst.quantile(0.9)) < 0.1, name

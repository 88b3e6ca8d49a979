"""Models without a checkpoint: known as such, and the same in every run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastcam.models.checkpoints import read_state_dict
from fastcam.models.random_weights import has_random_weights
from fastcam.models.registry import load_model


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny"])
@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_they_are_the_same_in_every_run_and_leave_the_random_state_alone(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = load_model(name, num_classes=2, image_size=32)
    assert torch.equal(torch.rand(3), expected)
    second = load_model(name, num_classes=2, image_size=32)
    assert torch.rand(1) != expected[0]
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert has_random_weights(first)
    assert has_random_weights(nn.Sequential(first))


@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_loaded_weights_and_models_of_ones_own_are_not_random(tmp_path) -> None:
    random = load_model("resnet18", num_classes=2)
    path = tmp_path / "a.pth"
    torch.save(random.state_dict(), path)
    assert read_state_dict(path)
    assert not has_random_weights(load_model("resnet18", path))
    assert not has_random_weights(load_model(nn.Conv2d(1, 1, 1)))

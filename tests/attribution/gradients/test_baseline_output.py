"""The kept output for baselines is that of a pass now, whatever has changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.gradients.baseline_output import BaselineOutput
from fastcam.attribution.gradients.engine import GradientEngine


class Counted(nn.Module):
    """Counts the images that pass through it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, 3),
        )  # fmt: skip
        self.images = 0

    def forward(self, images: Tensor) -> Tensor:
        self.images += len(images)
        return self.body(images)


def change_in_place(model: Counted) -> None:
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)


def change_buffer(model: Counted) -> None:
    dict(model.named_buffers())["body.1.running_mean"].add_(0.5)


def change_data(model: Counted) -> None:
    weight = dict(model.named_parameters())["body.0.weight"]
    weight.data = weight.data * 2


def change_loaded(model: Counted) -> None:
    model.load_state_dict({k: v + 0.25 for k, v in model.state_dict().items()})


def change_module(model: Counted) -> None:
    model.body[5] = nn.Linear(4, 3)


CHANGES = [change_in_place, change_buffer, change_data, change_loaded, change_module]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_model_is_seen(change: Callable[[Counted], None]) -> None:
    torch.manual_seed(0)
    model = Counted().eval()
    kept = BaselineOutput(model)
    empty = torch.full((3, 2, 8, 8), -0.5)
    with torch.no_grad():
        before = kept(empty, True)
        assert model.images == 1
        torch.testing.assert_close(kept(empty[:2], True), before[:2], rtol=0, atol=0)
        assert model.images == 1
        change(model)
        torch.testing.assert_close(kept(empty, True), model(empty))
        assert not torch.allclose(kept(empty, True), before)


def test_other_shapes_types_and_autocast_are_run_again() -> None:
    model = Counted().eval()
    kept = BaselineOutput(model)
    with torch.no_grad():
        for empty in (torch.zeros(2, 2, 8, 8), torch.zeros(2, 2, 9, 8), torch.zeros(1, 2, 8, 8)):
            torch.testing.assert_close(kept(empty, True), model(empty))
        with torch.autocast("cpu", torch.bfloat16):
            assert kept(empty, True).dtype == torch.bfloat16
        model.double()
        assert kept(empty.double(), True).dtype == torch.float64


def test_baselines_that_differ_are_each_run() -> None:
    model = Counted().eval()
    kept = BaselineOutput(model)
    with torch.no_grad():
        for _ in range(2):
            empty = torch.rand(3, 2, 8, 8)
            torch.testing.assert_close(kept(empty, False), model(empty))
    assert model.images == 12


def test_integrated_gradients_of_batches_are_those_of_an_engine_of_their_own() -> None:
    torch.manual_seed(0)
    model = Counted().eval()
    engine = GradientEngine(model, ["integrated-gradients"])
    for turn, batch in enumerate((torch.rand(3, 2, 8, 8), torch.rand(2, 2, 8, 8))):
        model.images = 0
        got = engine(batch)
        # The images, each step of the path, and the baseline of the first batch alone.
        assert model.images == len(batch) * 33 + (turn == 0)
        alone = GradientEngine(model, ["integrated-gradients"])(batch)
        for name, values in alone.maps.items():
            torch.testing.assert_close(got.maps[name], values, rtol=0, atol=0)
        assert got.measures is not None
        assert alone.measures is not None
        torch.testing.assert_close(got.measures, alone.measures)
        assert float(got.measures.max()) < 1e-3

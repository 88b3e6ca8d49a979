"""What the analysing engine takes beside its maps, against plain autograd and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.features import FeatureEngine
from fastcam.attribution.engines import build_engine
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.request import GRADIENT_X_INPUT, MapRequest
from fastcam.attribution.window_plan import WindowPlan
from fastcam.errors import InputError

from ..nets import Small

LAYERS = ("one.0", "two.0")


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    return Small(channels=6).eval()


def test_maps_are_the_cam_engines(model: Small) -> None:
    batch = torch.randn(3, 6, 16, 12)
    wanted = MapRequest(("gradcam", "layercam", "eigencam"), LAYERS)
    for halves in ("no", "plain", "mirror"):
        made = FeatureEngine(model, wanted, halves, compiled=False)(batch)
        known = CamEngine(model, LAYERS, wanted.methods)(batch)
        assert list(made.maps)[:6] == list(known.maps)
        for name, values in known.maps.items():
            torch.testing.assert_close(made.maps[name], values)
        torch.testing.assert_close(made.output, known.output)
        assert (GRADIENT_X_INPUT in made.maps) == (halves != "no")


def test_measures_are_numpys(model: Small) -> None:
    batch = torch.randn(2, 6, 16, 12)
    made = FeatureEngine(model, MapRequest(("gradcam",), LAYERS), "no", compiled=False)(batch)
    assert made.measures is not None
    measures = made.measures.reshape(2, len(LAYERS), 6).numpy()
    with torch.no_grad():
        first = model.one[0](batch)
        second = model.two[0](model.relu(model.one(batch)))
    for at, values in enumerate((first.numpy(), second.numpy())):
        for image in range(2):
            one = values[image]
            energy = (one**2).mean((1, 2))
            known = [
                one.mean(),
                one.std(),
                one.min(),
                one.max(),
                (one > 0).mean(),
                energy.sum() ** 2 / (energy**2).sum(),
            ]
            np.testing.assert_allclose(measures[image, at], known, rtol=1e-4, atol=1e-5)


def test_measures_of_windows_are_numpys_of_all_their_activations(model: Small) -> None:
    batch = torch.randn(2, 6, 16, 28) * torch.linspace(0.2, 3, 28)
    starts = (0, 6, 12, 16)
    plan = WindowPlan((16, 12), 0.5)
    assert plan.starts((16, 28)) == [(0, start) for start in starts]
    settings = MethodSettings(pass_size=3)  # windows of two images in one pass
    request = MapRequest(("gradcam",), LAYERS, windows=plan, settings=settings)
    made = FeatureEngine(model, request, "no", compiled=False)(batch)
    known = build_engine(model, request)(batch)
    torch.testing.assert_close(made.output, known.output)
    for name, values in known.maps.items():
        torch.testing.assert_close(made.maps[name], values)
    assert made.notes["gradcam/one.0"] == "of 4 windows"
    assert made.measures is not None
    measures = made.measures.reshape(2, len(LAYERS), 6).numpy()
    for image in range(2):
        windows = torch.stack([batch[image, ..., start : start + 12] for start in starts])
        with torch.no_grad():
            first = model.one[0](windows)
            second = model.two[0](model.relu(model.one(windows)))
        for at, values in enumerate((first.numpy(), second.numpy())):
            energy = (values**2).mean((0, 2, 3))
            expected = [
                values.mean(),
                values.std(),
                values.min(),
                values.max(),
                (values > 0).mean(),
                energy.sum() ** 2 / (energy**2).sum(),
            ]
            np.testing.assert_allclose(measures[image, at], expected, rtol=1e-4, atol=1e-5)


def test_halves_have_no_windows(model: Small) -> None:
    request = MapRequest(("gradcam",), LAYERS, windows=WindowPlan((8,)))
    with pytest.raises(InputError, match="the left half's share is of the whole image"):
        FeatureEngine(model, request, "plain", compiled=False)


@pytest.mark.parametrize("halves", ["plain", "mirror"])
def test_at_the_input_it_is_gradient_times_input(model: Small, halves: str) -> None:
    batch = torch.randn(2, 6, 16, 12)
    black = (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0)
    engine = FeatureEngine(
        model, MapRequest(("gradcam",), LAYERS), halves, compiled=False, black=black
    )
    made = engine(batch)
    leaf = batch.clone().requires_grad_()
    model(leaf).amax(1).sum().backward()
    assert leaf.grad is not None
    product = leaf.grad * (batch - torch.tensor(black).reshape(6, 1, 1))
    left, right = (half.abs().sum(1) for half in product.chunk(2, 1))
    shown = torch.cat([left, right.flip(2) if halves == "mirror" else right], 2)
    torch.testing.assert_close(made.maps[GRADIENT_X_INPUT], shown)
    assert made.measures is not None
    share = left.sum((1, 2)) / (left + right).sum((1, 2))
    torch.testing.assert_close(made.measures[:, -1], share)


def test_cells_keep_the_shares_of_a_larger_input(model: Small) -> None:
    batch = torch.randn(2, 6, 71, 57)
    made = FeatureEngine(model, MapRequest(("gradcam",), LAYERS), "plain", compiled=False)(batch)
    found = made.maps[GRADIENT_X_INPUT]
    assert found.shape == (2, 36, 58)
    share = found[:, :, :29].sum((1, 2)) / found.sum((1, 2))
    assert made.measures is not None
    torch.testing.assert_close(made.measures[:, -1], share)


@pytest.mark.parametrize(("side", "share"), [(0, 1.0), (1, 0.0)])
def test_a_model_that_looks_at_one_side(model: Small, side: int, share: float) -> None:
    with torch.no_grad():
        first = model.one[0].weight
        assert isinstance(first, torch.Tensor)
        first[:, 3 * (1 - side) : 3 * (1 - side) + 3] = 0
    made = FeatureEngine(model, MapRequest(("gradcam",), LAYERS), "plain", compiled=False)(
        torch.randn(4, 6, 16, 12)
    )
    assert made.measures is not None
    assert made.measures[:, -1].tolist() == [share] * 4


def test_nothing_stays_behind(model: Small) -> None:
    engine = FeatureEngine(model, MapRequest(("gradcam",), LAYERS), "plain", compiled=False)
    with torch.inference_mode():
        engine(torch.randn(1, 6, 16, 12))
    assert not model._forward_pre_hooks
    model.head = torch.nn.Linear(3, 5)
    with pytest.raises(RuntimeError):
        engine(torch.randn(1, 6, 16, 12))
    assert not model._forward_pre_hooks
    assert torch.is_grad_enabled()


def test_one_target_an_image(model: Small) -> None:
    with pytest.raises(InputError, match="one output"):
        FeatureEngine(model, MapRequest(("gradcam",), LAYERS, (0, 1)), "no", compiled=False)

"""Gradients at the input against captum, and SmoothGrad against a plain loop."""

from __future__ import annotations

from typing import Any

import captum.attr as captum
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.gradients.engine import COMPLETENESS, GradientEngine
from fastcam.attribution.gradients.formulas import path_nodes
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.model_call import ModelCall, called_as
from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.errors import InputError

from ..nets import Small

ZERO = MethodSettings(baseline="zero")
# captum says that it set requires_grad, which it is meant to.
pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning")


@pytest.fixture(params=[2, 3])
def dims(request: Any) -> int:
    return int(request.param)


def _images(dims: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, *(10, 12, 8)[:dims], generator=torch.Generator().manual_seed(1))


def _model(dims: int) -> nn.Module:
    torch.manual_seed(0)
    return Small(dims).eval()


def test_saliency_and_input_x_gradient_are_captums(dims: int) -> None:
    model, images = _model(dims), _images(dims)
    maps = GradientEngine(model, ["saliency", "inputxgradient"], targets=[1, 4])(images).maps
    expected = captum.Saliency(model).attribute(images.clone(), target=[1, 4]).amax(1)
    torch.testing.assert_close(maps["saliency"], expected.detach())
    expected = captum.InputXGradient(model).attribute(images.clone(), target=[1, 4]).sum(1)
    torch.testing.assert_close(maps["inputxgradient"], expected.detach())
    assert list(maps) == ["saliency", "inputxgradient"]


@pytest.mark.parametrize("baseline", ["zero", "black", "mean"])
def test_integrated_gradients_are_captums(dims: int, baseline: str) -> None:
    model, images = _model(dims), _images(dims)
    black = (-1.0, -2.0, -0.5)
    settings = MethodSettings(baseline=baseline, black=black, steps=9)  # type: ignore[arg-type]
    axes = tuple(range(2, images.ndim))
    starts = {
        "zero": torch.zeros_like(images),
        "black": torch.tensor(black).reshape(1, 3, *(1,) * dims).expand_as(images),
        "mean": images.mean(axes, keepdim=True).expand_as(images),
    }
    result = GradientEngine(model, ["integrated-gradients"], targets=2, settings=settings)(images)
    expected, delta = captum.IntegratedGradients(model).attribute(
        images, starts[baseline], target=2, n_steps=9, return_convergence_delta=True
    )
    torch.testing.assert_close(result.maps["integrated-gradients"], expected.sum(1).float())
    with torch.no_grad():
        change = (model(images) - model(starts[baseline]))[:, 2]
    assert result.measures is not None
    assert result.measure_names == (COMPLETENESS,)
    torch.testing.assert_close(
        result.measures[:, 0], (delta.float() / change).abs(), rtol=1e-2, atol=1e-5
    )


def test_more_steps_are_nearer_to_complete() -> None:
    model, images = _model(2), _images(2)
    errors = []
    for steps in (2, 64):
        settings = MethodSettings(baseline="zero", steps=steps)
        result = GradientEngine(model, ["integrated-gradients"], settings=settings)(images)
        assert result.measures is not None
        errors.append(float(result.measures.mean()))
    assert errors[1] < 0.2 * errors[0]


def test_the_path_integrates_polynomials_exactly() -> None:
    nodes = np.array(path_nodes(5))
    for power in range(10):
        assert (nodes[:, 1] * nodes[:, 0] ** power).sum() == pytest.approx(1 / (power + 1))


def test_smoothgrad_is_a_plain_loop(dims: int) -> None:
    model, images = _model(dims), _images(dims)
    settings = MethodSettings(samples=4, noise=0.3, seed=5)
    maps = GradientEngine(model, ["smoothgrad"], targets=0, settings=settings)(images).maps
    generator = torch.Generator().manual_seed(5)
    total = torch.zeros_like(images)
    extent = (images.flatten(1).amax(1) - images.flatten(1).amin(1)).reshape(-1, *(1,) * (dims + 1))
    for _ in range(4):
        noise = torch.randn(images.shape[1:], generator=generator)
        noisy = (images + 0.3 * extent * noise).requires_grad_()
        total += torch.autograd.grad(model(noisy)[:, 0].sum(), noisy)[0]
    torch.testing.assert_close(maps["smoothgrad"], (total / 4).abs().amax(1))


def test_several_targets_are_as_one_by_one() -> None:
    model, images = _model(2), _images(2)
    methods = ["saliency", "integrated-gradients"]
    result = GradientEngine(model, methods, targets=[[0, 3]], settings=ZERO)(images)
    assert result.measure_names == (COMPLETENESS,) * 2
    for column, target in enumerate((0, 3)):
        one = GradientEngine(model, methods, targets=target, settings=ZERO)(images)
        for name in methods:
            torch.testing.assert_close(result.maps[name][:, column], one.maps[name])
        assert result.measures is not None
        assert one.measures is not None
        torch.testing.assert_close(result.measures[:, column], one.measures[:, 0])


def test_the_class_is_that_of_the_whole_image() -> None:
    """The predicted class is held along the path, where other classes would win."""
    model, images = _model(2), _images(2)
    predicted = model(images).argmax(1).tolist()
    held = GradientEngine(model, ["integrated-gradients"], settings=ZERO)(images)
    named = GradientEngine(model, ["integrated-gradients"], targets=predicted, settings=ZERO)(
        images
    )
    torch.testing.assert_close(held.maps, named.maps)


def test_works_in_any_grad_mode_and_leaves_the_model() -> None:
    model = _model(2).train()
    images = _images(2)
    plain = GradientEngine(model, ["saliency"])(images).maps["saliency"]
    with torch.inference_mode():
        again = GradientEngine(model, ["saliency"])(images.clone()).maps["saliency"]
    torch.testing.assert_close(again, plain)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


class _Compare(nn.Module):
    def forward(self, first: Tensor, second: Tensor, age: Tensor) -> Tensor:
        parts = [(first * second).sum((1, 2, 3)), second.square().sum((1, 2, 3)) * age]
        return torch.stack(parts, 1)


def test_each_input_has_a_map_and_numbers_stay() -> None:
    packed = PackedInputs(("first", "second"), ("age",), 1)
    model, rows = _Compare(), torch.randn(2, 3, 4, 4)
    rows[:, 2] = torch.tensor([2.0, -1.0]).reshape(2, 1, 1)
    settings = MethodSettings(baseline="zero", steps=3)
    engine = GradientEngine(
        model, ["inputxgradient", "integrated-gradients"], targets=0, settings=settings
    )
    with called_as(model, ModelCall(packed=packed)):
        result = engine(rows)
    for image in ("first", "second"):
        torch.testing.assert_close(result.maps[f"inputxgradient/{image}"], rows[:, 0] * rows[:, 1])
        # ∫ of the gradient t · x along the path: half of it each.
        torch.testing.assert_close(
            result.maps[f"integrated-gradients/{image}"], rows[:, 0] * rows[:, 1] / 2
        )
    assert result.measures is not None
    assert bool((result.measures < 1e-5).all())


def test_a_graph_that_is_cut_is_an_error() -> None:
    class Cut(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.detach())

    with pytest.raises(InputError, match="use occlusion or rise"):
        GradientEngine(Cut().eval(), ["saliency"])(_images(2))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "--steps 0"),
        ({"masks": 1}, "--masks 1"),
        ({"noise": 0.0}, "--noise 0.0"),
        ({"keep": 1.0}, "--mask-keep 1.0"),
        ({"baseline": "grey"}, "--baseline 'grey'"),
        ({"occlusion_size": 4, "occlusion_stride": 5}, "--occlusion-stride 5"),
    ],
)
def test_settings_are_checked(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        MethodSettings(**wrong)

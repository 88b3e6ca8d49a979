"""AblationCAM against pytorch-grad-cam, and against a slow loop of zeroed channels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.cam.engine import CamEngine
from fastcam.errors import InputError

from ..nets import Small, Tokens

from ...torchvision_import import torchvision  # isort: skip
from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

assert torchvision


def _slow(model: nn.Module, layer: nn.Module, images: Tensor, target: int, axis: int) -> Tensor:
    """(b, k) weights, a forward pass for each channel of each image."""
    rows = []
    with torch.no_grad():
        channels = []

        def look(_m: nn.Module, _i: Any, out: Tensor) -> None:
            channels.append(out.shape[axis])

        handle = layer.register_forward_hook(look)
        whole = model(images)[:, target]
        handle.remove()
        for channel in range(channels[0]):

            def zero(_m: nn.Module, _i: Any, out: Tensor, channel: int = channel) -> Tensor:
                out = out.clone()
                out.select(axis, channel).zero_()
                return out

            handle = layer.register_forward_hook(zero)
            rows.append((whole - model(images)[:, target]) / whole.abs())
            handle.remove()
    return torch.stack(rows, 1)


@pytest.mark.parametrize("dims", [2, 3])
def test_it_is_a_slow_loop(dims: int) -> None:
    torch.manual_seed(0)
    model, images = Small(dims).eval(), torch.randn(2, 3, *(9, 10, 8)[:dims])
    layer = "one"
    features: list[Tensor] = []
    handle = model.one.register_forward_hook(lambda _m, _i, out: features.append(out.clone()))
    weights = _slow(model, model.one, images, 2, 1)
    handle.remove()
    maps = CamEngine(model, [layer], ["ablationcam"], targets=2, chunk=4)(images).maps
    expected = torch.einsum("bk,bk...->b...", weights, features[0].detach())
    torch.testing.assert_close(maps["ablationcam/one"], expected, rtol=1e-3, atol=1e-5)


def test_it_is_that_of_pytorch_grad_cam() -> None:
    torch.manual_seed(0)
    # Theirs sets a channel to 0 only where all of them are 0 or more, and divides by the score.
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 4),
    ).eval()  # fmt: skip
    model[4].bias.data.add_(5.0)
    images = torch.randn(1, 3, 9, 10)
    ours = CamEngine(model, ["1"], ["ablationcam"], targets=1)(images).maps["ablationcam/1"]
    with AblationCAM(model=model, target_layers=[model[1]]) as cam:
        theirs = cam(images, [ClassifierOutputTarget(1)])[0]
    small = ours[0].relu().numpy()  # as theirs is
    scaled = (small - small.min()) / (1e-7 + small.max() - small.min())
    large = cv2.resize(scaled, (10, 9))
    large = (large - large.min()) / (1e-7 + large.max() - large.min())
    np.testing.assert_allclose(large, theirs, atol=1e-4)


def test_skip_connections_around_the_layer() -> None:
    """What comes before the layer is one image wide, and is joined to what comes after it."""

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.inner = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            joined = torch.cat([x, self.inner(x).relu()], 1)
            return self.head(joined.mean((2, 3)))

    torch.manual_seed(0)
    model, images = Skip().eval(), torch.randn(2, 3, 8, 8)
    features: list[Tensor] = []
    handle = model.inner.register_forward_hook(lambda _m, _i, out: features.append(out.clone()))
    weights = _slow(model, model.inner, images, 1, 1)
    handle.remove()
    maps = CamEngine(model, ["inner"], ["ablationcam"], targets=1)(images).maps
    expected = torch.einsum("bk,bk...->b...", weights, features[0].detach())
    torch.testing.assert_close(maps["ablationcam/inner"], expected, rtol=1e-3, atol=1e-5)


def test_tokens() -> None:
    torch.manual_seed(0)
    model, images = Tokens("mean").eval(), torch.randn(2, 3, 16, 16)
    engine = CamEngine(model, "auto", ["ablationcam"], targets=0)
    maps = engine(images).maps
    ((name, values),) = maps.items()
    module = model.get_submodule(name.partition("/")[2])
    weights = _slow(model, module, images, 0, 2)
    features: list[Tensor] = []
    handle = module.register_forward_hook(lambda _m, _i, out: features.append(out.clone()))
    model(images)
    handle.remove()
    tokens = torch.einsum("bk,bnk->bn", weights, features[0].detach())[:, 1:]
    torch.testing.assert_close(values.flatten(1), tokens, rtol=1e-3, atol=1e-5)


def test_a_callable_reshape_is_an_error() -> None:
    engine = CamEngine(Small().eval(), ["two"], ["ablationcam"], reshape=lambda values: values)
    with pytest.raises(InputError, match="use reshape 'auto'"):
        engine(torch.randn(1, 3, 9, 10))

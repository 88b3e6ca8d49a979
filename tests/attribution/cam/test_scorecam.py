"""Score-CAM against one masked image after the other, and against pytorch-grad-cam."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.split import run_split

from ...torchvision_import import torchvision  # isort: skip
from ..nets import Small


def slow(model: nn.Module, x: Tensor, values: Tensor, classes: list[int]) -> Tensor:
    """Wang et al. 2020, algorithm 1, without a baseline, one mask at a time."""
    maps = []
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    for image, channels, wanted in zip(x, values, classes, strict=True):
        scores = []
        for channel in channels:
            mask = nn.functional.interpolate(
                channel[None, None], size=image.shape[1:], mode=mode, align_corners=False
            )[0]
            mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-8)
            scores.append(model((image * mask)[None])[0, wanted])
        weights = torch.stack(scores).softmax(0)
        maps.append(sum(w * c for w, c in zip(weights, channels, strict=True)))
    return torch.stack(maps)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_it_is_the_slow_loop(dims: int, chunk: int) -> None:
    torch.manual_seed(0)
    model = Small(dims).eval()
    x = torch.randn(2, 3, *(10,) * dims)
    values = run_split(model, {"two": model.two}, x, gradients=False).activations["two"]
    with torch.no_grad():
        expected = slow(model, x, values, [3, 1])
    engine = CamEngine(model, ["two"], ["scorecam"], chunk=chunk)
    found = engine(x, targets=[3, 1]).maps["scorecam/two"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not found.requires_grad
    both = engine(x, targets=[[3, 0], [2, 1]]).maps["scorecam/two"]
    torch.testing.assert_close(torch.stack([both[0, 0], both[1, 1]]), found)
    called = engine(x, targets=lambda out: out[:, 3]).maps["scorecam/two"]
    torch.testing.assert_close(called[0], found[0])


def test_pytorch_grad_cam(monkeypatch: pytest.MonkeyPatch) -> None:
    """It resizes with align_corners=True, the paper's own code and fastcam without."""
    from pytorch_grad_cam import ScoreCAM
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    x = torch.randn(1, 3, 32, 32)
    monkeypatch.setattr(
        torch.nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size=size, mode="bilinear")
    )
    monkeypatch.setattr("tqdm.tqdm", lambda steps: steps)
    with ScoreCAM(model, [model.layer1]) as theirs:
        theirs.batch_size = 64
        expected = theirs(x, [ClassifierOutputTarget(3)])
    engine = CamEngine(model, ["layer1"], ["scorecam"], targets=3, chunk=64)
    ours = engine(x).maps["scorecam/layer1"].numpy()
    found = scale_cam_image(scale_cam_image(ours, (32, 32)))
    assert abs(found - expected).max() < 1e-5

"""The engine against pytorch-grad-cam, captum and autograd; targets, signs, NaN, transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.cam.engine import CamEngine
from fastcam.errors import InputError

from ...torchvision_import import torchvision  # isort: skip
from ..nets import Small, Tokens, autograd_maps

pytestmark = pytest.mark.usefixtures("one_thread")

STAGES = ("layer1", "layer2", "layer3", "layer4")
THEIRS = {
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "gradcam++": "GradCAMPlusPlus",
    "eigencam": "EigenCAM",
}


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = torchvision.models.resnet50(weights=None).eval()
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def maps(resnet: nn.Module, images: Tensor) -> dict[str, Tensor]:
    return CamEngine(resnet, STAGES, tuple(THEIRS), targets=[3, 5])(images).maps


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("method", THEIRS)
def test_pytorch_grad_cam(
    method: str, stage: str, resnet: nn.Module, images: Tensor, maps: dict[str, Tensor]
) -> None:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    engine = getattr(pytorch_grad_cam, THEIRS[method])
    with engine(resnet, [getattr(resnet, stage)]) as theirs:
        expected = theirs(images, [ClassifierOutputTarget(3), ClassifierOutputTarget(5)])
    resnet.zero_grad()
    raw = maps[f"{method}/{stage}"].numpy()
    # Its EigenCAM has the sign its SVD happens to give, and is rectified like the others.
    signs = (1, -1) if method == "eigencam" else (1,)
    differences = [
        abs(scale_cam_image(scale_cam_image(np.maximum(sign * raw, 0), (64, 64))) - expected)
        for sign in signs
    ]
    worst = np.min([d.max((1, 2)) for d in differences], axis=0).max()
    # Float32 sums differ by machine: 4.1e-6 was seen.
    assert worst < (2e-5 if method == "eigencam" else 1e-5)


def test_captum(resnet: nn.Module, images: Tensor) -> None:
    from captum.attr import LayerGradCam

    both = CamEngine(resnet, ["layer3"], targets=[3, 5])(images)
    theirs = LayerGradCam(resnet, resnet.layer3).attribute(images, target=torch.tensor([3, 5]))
    torch.testing.assert_close(
        both.maps["gradcam/layer3"], theirs[:, 0].detach(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_gradcam_is_its_definition(dims: int) -> None:
    torch.manual_seed(0)
    model = Small(dims).eval()
    x = torch.randn(2, 3, *(8,) * dims)
    classes = model(x).argmax(1).tolist()
    activations, gradients = autograd_maps(model, x, classes)
    expected = torch.einsum("bk,bk...->b...", gradients.flatten(2).mean(2), activations)
    engine = CamEngine(model, ["relu#1"])
    found = engine(x)
    torch.testing.assert_close(found.maps["gradcam/relu#1"], expected)
    assert found.targets is not None
    assert found.targets.tolist() == [[c] for c in classes]
    torch.testing.assert_close(found.output, model(x).detach())


def test_several_classes_are_those_one_by_one() -> None:
    torch.manual_seed(0)
    model = Small()
    x = torch.randn(2, 3, 8, 8)
    methods = ("gradcam", "layercam", "eigencam")
    engine = CamEngine(model, ["one", "two"], methods, targets=[[4, 0, 2]])
    found = engine(x)
    assert found.maps["gradcam/one"].shape == (2, 3, 8, 8)
    assert found.maps["eigencam/two"].shape == (2, 4, 4)
    for place, wanted in enumerate((4, 0, 2)):
        single = engine(x, targets=wanted).maps
        for name in ("gradcam/one", "gradcam/two", "layercam/one", "layercam/two"):
            torch.testing.assert_close(found.maps[name][:, place], single[name])
    called = engine(x, targets=lambda output: output[:, 0] - output[:, 2]).maps["gradcam/two"]
    torch.testing.assert_close(
        called, found.maps["gradcam/two"][:, 1] - found.maps["gradcam/two"][:, 2]
    )


def test_a_bad_image_costs_only_itself() -> None:
    torch.manual_seed(0)
    model = Small()
    x = torch.randn(3, 3, 8, 8)
    methods = ("gradcam", "gradcam++", "eigencam", "scorecam")
    expected = CamEngine(model, ["two"], methods)(x).maps
    x[1, 0, 2, 2] = torch.nan
    found = CamEngine(model, ["two"], methods)(x)
    assert found.output.isfinite().all(1).tolist() == [True, False, True]
    for name, values in found.maps.items():
        assert values[1].isnan().all()
        torch.testing.assert_close(values[[0, 2]], expected[name][[0, 2]])


def test_transformers() -> None:
    torch.manual_seed(0)
    model = Tokens("cls", prefix=3)
    x = torch.randn(2, 3, 16, 24)
    engine = CamEngine(model, methods=("gradcam", "eigencam"))
    found = engine(x)
    assert list(found.maps) == ["gradcam/blocks.1.norm1", "eigencam/blocks.1.norm1"]
    by_hand = CamEngine(
        model,
        ["blocks.1.norm1"],
        ("gradcam", "eigencam"),
        reshape=lambda t: t[:, 3:].mT.reshape(len(t), -1, 4, 6),
    )(x)
    for name, values in by_hand.maps.items():
        assert values.shape == (2, 4, 6)
        assert values.any()
        torch.testing.assert_close(found.maps[name], values)
    for name in ("blocks", "norm", "blocks.1"):
        with pytest.raises(InputError, match=r"CLS token alone.*take 'blocks\.1\.norm1'"):
            CamEngine(model, [name])(x)
    assert CamEngine(Tokens("mean"), ["blocks"])(x).maps["gradcam/blocks"].shape == (2, 4, 6)
    with pytest.raises(InputError, match="grid of positions"):
        CamEngine(model, ["norm"], prefix_tokens=4)(x)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": ["tow"]}, "'tow' does not exist in Small: did you mean two"),
        ({"methods": ["gradcm"]}, "did you mean gradcam"),
        ({"methods": ["rollout"]}, "use one of gradcam, hirescam"),
        ({"methods": []}, "give a list"),
        ({"methods": "gradcam"}, "give a list"),
        ({"reshape": "vit"}, "use 'auto', 'none' or a callable"),
        ({"prefix_tokens": -1}, "must be 0 or more"),
        ({"chunk": 0}, "must be 1 or more"),
        ({"targets": "cat"}, "whole numbers"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CamEngine(Small(), **options)


@pytest.mark.parametrize(
    "batch", [torch.ones(3, 8, 8), torch.ones(2, 3, 8, 8).byte(), torch.ones(0, 3, 8, 8), [1]]
)
def test_what_is_no_batch(batch: Any) -> None:
    with pytest.raises(InputError, match="a batch of"):
        CamEngine(Small(), ["two"])(batch)


def test_models_that_can_not_be_explained() -> None:
    model = Small()
    with torch.no_grad():
        model.two[0].weight[0] = torch.nan
    with pytest.raises(InputError, match=r"'two\.0\.weight' hold NaN or Inf"):
        CamEngine(model)
    with torch.inference_mode():
        made = Small()
    with pytest.raises(InputError, match=r"made under torch\.inference_mode"):
        CamEngine(made)

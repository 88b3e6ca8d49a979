"""Targets of segmentations against pytorch-grad-cam and plain autograd."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from monai.networks.nets import UNet
from torch import Tensor, nn

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.layers import default_layers
from fastcam.attribution.gradients.engine import GradientEngine
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.perturbations.engine import PerturbationEngine
from fastcam.attribution.segment_target import SegmentTarget, segments_in
from fastcam.attribution.segmentation import SegmentationTargets, segment
from fastcam.errors import InputError

from ..torchvision_import import torchvision  # isort: skip
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget

assert torchvision

LAYER = "model.0"


def _unet(dims: int, classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    model = UNet(dims, 1, classes, (4, 8, 16), (2, 2))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def _targets(*texts: str, masks: Tensor | None = None) -> SegmentationTargets:
    return SegmentationTargets(tuple(map(SegmentTarget.parse, texts)), masks)


@pytest.mark.parametrize(
    ("text", "label", "region"),
    [
        ("seg:3", 3, "predicted"),
        ("seg:0@mask", 0, "mask"),
        ("seg:12@all", 12, "all"),
        ("seg:1@4,5", 1, (4, 5)),
        ("seg:1@4,5,6", 1, (4, 5, 6)),
    ],
)
def test_texts(text: str, label: int, region: Any) -> None:
    target = SegmentTarget.parse(text)
    assert (target.label, target.region, str(target)) == (label, region, text)


@pytest.mark.parametrize("text", ["seg:", "seg:a", "seg:1@", "seg:1@4", "seg:1@-1,2", "seg:1@,2"])
def test_wrong_texts(text: str) -> None:
    with pytest.raises(InputError, match="--target"):
        SegmentTarget.parse(text)


def test_texts_in_targets() -> None:
    assert segments_in("seg:1") == segments_in(["seg:1"]) == segments_in([["seg:1"]])
    assert segments_in(None) == segments_in(3) == segments_in([1, 2]) == ()
    with pytest.raises(InputError, match="give one kind"):
        segments_in([1, "seg:2"])


def test_gradcam_is_that_of_pytorch_grad_cam() -> None:
    model, image = _unet(2), torch.randn(1, 1, 16, 24)
    labels = model(image).argmax(1)[0].numpy()
    for category in range(3):
        inside = (labels == category).astype(np.float32)
        assert inside.any()
        layer = model.get_submodule(LAYER)
        with GradCAM(model=model, target_layers=[layer]) as cam:
            theirs = cam(image, [SemanticSegmentationTarget(category, inside)])[0]
        result = CamEngine(model, [LAYER], targets=_targets(f"seg:{category}"))(image)
        ours = result.maps[f"gradcam/{LAYER}"][0].relu().numpy()  # as theirs is
        assert ours.shape == (8, 12)
        large = cv2.resize(_unit(ours), inside.shape[::-1])
        np.testing.assert_allclose(_unit(large), theirs, atol=1e-4)
        assert result.pixels is not None
        assert int(result.pixels) == int(inside.sum())


def _unit(values: Any) -> Any:
    return (values - values.min()) / (1e-7 + values.max() - values.min())


@pytest.mark.parametrize("text", ["seg:1", "seg:2@all", "seg:1@mask", "seg:2@3,9,5"])
def test_volumes_are_plain_autograd(text: str) -> None:
    model, volumes = _unet(3), torch.randn(2, 1, 8, 12, 16)
    masks = torch.rand(2, 8, 12, 16) > 0.7
    engine = CamEngine(model, [LAYER], ["gradcam", "hirescam"], targets=_targets(text, masks=masks))
    result = engine(volumes)
    kept: list[Tensor] = []
    handle = model.get_submodule(LAYER).register_forward_hook(
        lambda _m, _i, out: (out.retain_grad(), kept.append(out))[0]
    )
    logits = model(volumes)
    handle.remove()
    label = int(text[4])
    region = {
        "seg:1": logits.argmax(1) == 1,
        "seg:2@all": torch.ones_like(masks),
        "seg:1@mask": masks,
        "seg:2@3,9,5": torch.zeros_like(masks),
    }[text]
    if text.endswith("3,9,5"):
        region[:, 5, 9, 3] = True
    (logits[:, label] * region).sum().backward()
    activations, gradients = kept[0].detach(), kept[0].grad
    assert gradients is not None
    expected = (gradients * activations).sum(1)
    torch.testing.assert_close(result.maps[f"hirescam/{LAYER}"], expected, rtol=1e-4, atol=1e-6)
    weights = gradients.flatten(2).mean(2)[..., None, None, None]
    expected = (weights * activations).sum(1)
    torch.testing.assert_close(result.maps[f"gradcam/{LAYER}"], expected, rtol=1e-4, atol=1e-6)
    assert result.labels is not None
    assert torch.equal(result.labels, logits.argmax(1))
    assert result.pixels is not None
    assert result.pixels[:, 0].tolist() == region.flatten(1).sum(1).tolist()
    shares = torch.stack([(logits.argmax(1) == c).float().mean((1, 2, 3)) for c in range(3)], 1)
    torch.testing.assert_close(result.output, shares)
    assert result.targets is not None
    assert result.targets.tolist() == [[label], [label]]


def test_the_pixels_are_those_of_the_whole_image() -> None:
    """Covered images are asked about the pixels where the class was predicted of the whole one."""
    model, images = _unet(2), torch.randn(1, 1, 16, 16)
    settings = MethodSettings(occlusion_size=8, occlusion_stride=8, baseline="zero", steps=3)
    engine = PerturbationEngine(model, ["occlusion"], targets=_targets("seg:1"), settings=settings)
    values = engine(images).maps["occlusion"]
    with torch.no_grad():
        logits = model(images)
        region = logits.argmax(1) == 1
        whole = (logits[:, 1] * region).sum()
        for y in (0, 8):
            for x in (0, 8):
                covered = images.clone()
                covered[..., y : y + 8, x : x + 8] = 0
                loss = whole - (model(covered)[:, 1] * region).sum()
                torch.testing.assert_close(values[0, y + 3, x + 3], loss, rtol=1e-3, atol=1e-3)
    result = GradientEngine(
        model, ["integrated-gradients"], targets=_targets("seg:1"), settings=settings
    )(images)
    assert result.measures is not None
    assert bool(result.measures.isfinite().all())


def test_the_layer_by_default_is_not_the_answer_itself() -> None:
    model = _unet(2)
    assert default_layers(model, torch.randn(1, 1, 16, 16)) == ("model.1",)


def test_several_targets() -> None:
    model, images = _unet(2), torch.randn(2, 1, 16, 16)
    both = CamEngine(model, [LAYER], targets=_targets("seg:1", "seg:2@all"))(images)
    name = f"gradcam/{LAYER}"
    assert both.maps[name].shape == (2, 2, 8, 8)
    for column, text in enumerate(("seg:1", "seg:2@all")):
        one = CamEngine(model, [LAYER], targets=_targets(text))(images)
        torch.testing.assert_close(both.maps[name][:, column], one.maps[name])


def test_one_channel_is_class_one_against_class_zero() -> None:
    logits = torch.tensor([[[[2.0, -1.0], [-3.0, 4.0]]]])
    found = segment(logits, _targets("seg:1", "seg:0"))
    assert found.labels.tolist() == [[[1, 0], [0, 1]]]
    assert found.shares.tolist() == [[0.5, 0.5]]
    assert found.pixels.tolist() == [[2, 2]]


def test_coarser_outputs() -> None:
    """SegFormer's logits have a quarter of the input's resolution: pixels and masks count there."""
    logits = torch.randn(1, 2, 4, 4)
    masks = torch.zeros(1, 16, 16, dtype=torch.bool)
    masks[:, 8:, 4:] = True
    found = segment(logits, _targets("seg:1@mask", "seg:1@15,0", masks=masks), (16, 16))
    assert found.regions[0, 0].nonzero().min(0).values.tolist() == [2, 1]
    assert int(found.regions[0, 0].sum()) == 6
    assert found.regions[0, 1].nonzero().tolist() == [[0, 3]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seg:3", "3 classes, 0 to 2"),
        ("seg:1@16,0", "outside of the model's input, 24 x 16"),
        ("seg:1@1,1,1", "pixels are x,y"),
        ("seg:1@mask", "give --mask-dir"),
    ],
)
def test_what_is_not_there(text: str, words: str) -> None:
    model = _unet(2)
    if text == "seg:1@16,0":
        text = "seg:1@24,0"
    with pytest.raises(InputError, match=words):
        CamEngine(model, [LAYER], targets=_targets(text))(torch.randn(1, 1, 16, 24))


def test_outputs_of_torchvisions_kind_and_of_classifiers() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Conv2d(1, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Any:
            logits = self.net(x)
            return OrderedDict(out=logits, aux=logits * 2)

    result = CamEngine(Named(), ["net"], targets=_targets("seg:1"))(torch.randn(1, 1, 6, 6))
    assert result.maps["gradcam/net"].shape == (1, 6, 6)
    classifier = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(InputError, match="no answer for every pixel"):
        CamEngine(classifier, ["0"], targets=_targets("seg:1"))(torch.randn(1, 1, 6, 6))
    with pytest.raises(InputError, match="give --target seg:CLASS"):
        CamEngine(_unet(2), [LAYER])(torch.randn(1, 1, 16, 16))


def test_attention_of_a_segmentation_needs_no_target() -> None:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    options: dict[str, Any] = {"num_labels": 4}
    config = SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 16], decoder_hidden_size=16, **options
    )
    model = SegformerForSemanticSegmentation(config).eval()
    result = AttentionEngine(model)(torch.randn(1, 3, 64, 64))
    assert result.output.shape == (1, 4)
    torch.testing.assert_close(result.output.sum(1), torch.ones(1))

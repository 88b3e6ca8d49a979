"""Several inputs as one batch: against the same networks called by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fastcam.attribution.engines import build_engine
from fastcam.attribution.faithfulness.perturbation_curves import (
    FaithfulnessSettings,
    faithfulness,
)
from fastcam.attribution.layer_inputs import layers_of_every_image, with_layers
from fastcam.attribution.model_call import ModelCall, called_as
from fastcam.attribution.packed_inputs import PackedInputs, image_channels
from fastcam.attribution.request import MapRequest

from .two_inputs import Siamese, TwoEncoders

PAIR = PackedInputs(("image", "prior"), ("age",), 3)
IMAGES = PackedInputs(("image", "prior"), (), 3)


def batch_of(packed: PackedInputs, images: list[Tensor], numbers: list[Tensor]) -> Tensor:
    rows = range(len(images[0]))
    return torch.stack(
        [packed.pack([x[row] for x in images], [float(n[row]) for n in numbers]) for row in rows]
    )


@pytest.fixture
def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4, 3, 12, 12, generator=generator) for _ in range(2)]


AGES = torch.tensor([40.0, 51.5, 62.25, 73.125])


@settings(deadline=None, max_examples=50)
@given(
    numbers=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=3),
    count=st.integers(1, 3),
    channels=st.integers(1, 4),
    volume=st.booleans(),
)
def test_what_is_packed_comes_out_again(
    numbers: list[float], count: int, channels: int, volume: bool
) -> None:
    names = tuple(f"image{place}" for place in range(count))
    packed = PackedInputs(names, tuple(f"n{i}" for i in range(len(numbers))), channels)
    shape = (channels, 2, 3, 4) if volume else (channels, 3, 4)
    given = [torch.randn(shape) for _ in names]
    parts = packed.unpack(packed.pack(given, numbers)[None])
    assert list(parts) == [*names, *packed.numbers]
    for name, image in zip(names, given, strict=True):
        assert torch.equal(parts[name][0], image)
    for name, number in zip(packed.numbers, numbers, strict=True):
        assert parts[name].tolist() == [number]


def test_gradcam_of_each_image_is_its_formula(images: list[Tensor]) -> None:
    torch.manual_seed(0)
    model = Siamese().eval()
    call = ModelCall("scores", with_images(model, PAIR, images, [AGES]))
    with called_as(model, call):
        engine = build_engine(model, MapRequest(("gradcam",), ("backbone",)))
        found = engine(batch_of(PAIR, images, [AGES]))
    activations = [model.backbone(x).detach().requires_grad_() for x in images]
    pooled = [a.mean((2, 3)) for a in activations]
    scores = model.head(torch.cat([*pooled, AGES[:, None] / 100], 1))
    gradients = torch.autograd.grad(scores.amax(1).sum(), activations)
    torch.testing.assert_close(found.output, scores.detach())
    assert list(found.maps) == ["gradcam/backbone#0", "gradcam/backbone#1"]
    for number, (a, g) in enumerate(zip(activations, gradients, strict=True)):
        expected = (g.mean((2, 3), keepdim=True) * a).sum(1)
        torch.testing.assert_close(found.maps[f"gradcam/backbone#{number}"], expected.detach())


def with_images(
    model: nn.Module, packed: PackedInputs, images: list[Tensor], numbers: list[Tensor]
) -> PackedInputs:
    with called_as(model, ModelCall(packed=packed)):
        return with_layers(model, packed, batch_of(packed, images, numbers)[:1])


def test_scorecam_masks_the_image_that_the_layer_saw_and_no_number(images: list[Tensor]) -> None:
    torch.manual_seed(0)
    model = Siamese().eval()
    call = ModelCall("scores", with_images(model, PAIR, images, [AGES]))
    with called_as(model, call):
        engine = build_engine(model, MapRequest(("scorecam",), ("backbone",)))
        found = engine(batch_of(PAIR, images, [AGES]))
    target = int(found.targets[0, 0]) if found.targets is not None else 0
    first, second, age = images[0][:1], images[1][:1], AGES[:1]
    with torch.no_grad():
        for number, own in enumerate((first, second)):
            a = model.backbone(own)[0]
            weights = []
            for channel in a:
                large = nn.functional.interpolate(channel[None, None], (12, 12), mode="bilinear")
                mask = (large - large.min()) / (large.max() - large.min() + 1e-8)
                pair = [first, second]
                pair[number] = own * mask
                weights.append(model(*pair, age)["scores"][0, target])
            expected = (torch.stack(weights).softmax(0)[:, None, None] * a).sum(0).clamp_min(0)
            torch.testing.assert_close(found.maps[f"scorecam/backbone#{number}"][0], expected)


def test_only_the_image_of_the_map_is_deleted(images: list[Tensor]) -> None:
    """Deleting all of an image that the model does not look at changes nothing."""

    class Second(nn.Module):
        def forward(self, image: Tensor, prior: Tensor) -> Tensor:
            value = prior.mean((1, 2, 3))
            return torch.stack([value, -value], 1) * 3

    model = Second()
    batch = batch_of(IMAGES, images, [])
    maps = torch.rand(4, 6, 6)
    curves = {}
    with called_as(model, ModelCall(packed=IMAGES)):
        for name in IMAGES.images:
            curves[name] = faithfulness(
                model,
                batch,
                maps,
                settings=FaithfulnessSettings(steps=4, random_maps=1, fill="zero"),
                channels=IMAGES.channels_of([name]),
            )
    whole = curves["image"].deletion[:, :1]
    assert (curves["image"].deletion == whole).all()
    assert (curves["prior"].deletion[:, -1] == 0.5).all()
    assert (curves["prior"].deletion[:, 0] != 0.5).all()


@pytest.mark.parametrize("fused", [False, True])
def test_layers_know_the_images_that_reach_them(fused: bool, images: list[Tensor]) -> None:
    torch.manual_seed(0)
    model = TwoEncoders(fused).eval()
    packed = with_images(model, IMAGES, images, [])
    assert packed.images_of("of_image.last") == ("image",)
    assert packed.images_of("of_prior.first") == ("prior",)
    assert packed.images_of("fusion") == ("image", "prior")
    with called_as(model, ModelCall(packed=packed)):
        chosen = layers_of_every_image(model, packed, batch_of(IMAGES, images, [])[:1])
        channels = image_channels(model, "of_prior.last")
    # Of a layer over both images one is enough; else each encoder has one.
    assert chosen == (("fusion",) if fused else ("of_image", "of_prior"))
    assert channels is not None
    assert channels.tolist() == [False] * 3 + [True] * 3
    assert image_channels(model, "of_prior.last") is None


def test_calls_of_a_shared_layer_know_theirs(images: list[Tensor]) -> None:
    torch.manual_seed(0)
    packed = with_images(Siamese().eval(), PAIR, images, [AGES])
    assert packed.images_of("backbone.last#0") == ("image",)
    assert packed.images_of("backbone.last#1") == ("prior",)
    assert packed.images_of("backbone.last") == ("image", "prior")

"""A model called by its arguments' names, and its answer by its own: the same for every engine."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fastcam
from fastcam.attribution.attention.vit_pass import run_vit
from fastcam.attribution.engines import build_engine
from fastcam.attribution.faithfulness.parameter_randomization import randomize_layers
from fastcam.attribution.faithfulness.perturbation_curves import (
    FaithfulnessSettings,
    faithfulness,
)
from fastcam.attribution.model_call import ModelCall, called_as, check_arguments
from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.models.vit import VisionTransformer, VitSettings
from fastcam.read.inputs.named_inputs import ModelInput

from .two_inputs import Encoder, Paired, Siamese

CALL = ModelCall("1.second")


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(Encoder(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).eval()


def transformer() -> nn.Module:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"patch_size": (8, 8), "image_size": (32, 32), "num_classes": 3}
    return VisionTransformer(VitSettings(dim=24, depth=2, heads=2, **sizes)).eval()


@pytest.mark.parametrize(
    ("make", "methods", "layer"),
    [
        (convolutional, ("gradcam", "eigencam", "scorecam"), "0"),
        (transformer, ("attention", "rollout"), None),
        (transformer, ("gradcam",), None),
    ],
)
def test_every_engine_explains_the_answer_that_is_named(
    make: Callable[[], nn.Module], methods: tuple[str, ...], layer: str | None
) -> None:
    """The model alone is the oracle of the same model with its answer behind another tensor."""
    plain = make()
    paired = Paired(plain).eval()
    batch = torch.randn(3, 3, 32, 32)
    layers = () if layer is None else (layer,)
    expected = build_engine(plain, MapRequest(methods, layers))(batch)
    inside = tuple(f"model.{name}" for name in layers)
    with called_as(paired, CALL):
        found = build_engine(paired, MapRequest(methods, inside))(batch)
    torch.testing.assert_close(found.output, expected.output)
    for name, values in expected.maps.items():
        method, _, of_layer = name.partition("/")
        own = f"{method}/model.{of_layer}" if of_layer else method
        torch.testing.assert_close(found.maps[own], values)
    with pytest.raises(InputError, match=r"0 \(\d, 64\), 1\.second \(\d, 3\).*--output"):
        build_engine(paired, MapRequest(methods, inside))(batch)


def test_views_and_faithfulness_take_it_too() -> None:
    plain, batch = transformer(), torch.randn(2, 3, 32, 32)
    paired = Paired(plain).eval()
    with called_as(paired, CALL):
        torch.testing.assert_close(run_vit(paired, batch).output, run_vit(plain, batch).output)
    maps = torch.rand(2, 4, 4)
    settings = FaithfulnessSettings(steps=4, random_maps=1, centre=False)
    expected = faithfulness(plain, batch, maps, settings=settings)
    with called_as(paired, CALL):
        found = faithfulness(paired, batch, maps, settings=settings)
        other = randomize_layers(
            paired, lambda m: build_engine(m, MapRequest(("attention",))), batch
        )
    torch.testing.assert_close(found.deletion, expected.deletion)
    assert other.spearman.shape[1] == 2


def test_a_compiled_model_gives_it_and_is_itself_again() -> None:
    """Hooks are part of what Dynamo compiled: code from before and after must not be mixed up."""
    paired = Paired(convolutional()).eval()
    batch = torch.randn(2, 3, 16, 16)
    compiled: Any = torch.compile(paired, backend="eager")
    with torch.no_grad():
        assert isinstance(compiled(batch), tuple)
        with called_as(compiled, CALL):
            torch.testing.assert_close(compiled(batch), paired(batch))
        assert isinstance(compiled(batch), tuple)


def test_the_hooks_are_gone_after_an_exception() -> None:
    model = Siamese()
    packed = PackedInputs(("image", "prior"), ("age",), 3)
    with called_as(model, ModelCall("scores", packed)):
        # One that copies the batch, and one that unpacks it.
        assert (len(model._forward_hooks), len(model._forward_pre_hooks)) == (1, 2)
    with (
        pytest.raises(InputError, match="--output lost"),
        called_as(model, ModelCall("lost", packed)),
    ):
        model(torch.zeros(1, 7, 8, 8))
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_a_copy_is_called_alike() -> None:
    torch.manual_seed(0)
    model = Siamese().eval()
    packed = PackedInputs(("image", "prior"), ("age",), 3)
    batch = torch.randn(2, 7, 8, 8)
    batch[:, 6] = 40.0
    with called_as(model, ModelCall("scores", packed)):
        torch.testing.assert_close(copy.deepcopy(model)(batch), model(batch))


def inputs(*names: str) -> tuple[ModelInput, ...]:
    return tuple(ModelInput(name, f"column_{name}", "image") for name in names)


class Optional(nn.Module):
    def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
        return x


class ByKeyword(nn.Module):
    def forward(self, *, x: Tensor) -> Tensor:
        return x


class Anything(nn.Module):
    def forward(self, x: Tensor, **others: Tensor) -> Tensor:
        return x


class PlaceOnly(nn.Module):
    def forward(self, x: Tensor, /, y: Tensor) -> Tensor:
        return x


class TextFirst(nn.Module):
    """Called as CLIP and SigLIP are."""

    def forward(self, input_ids: Any = None, pixel_values: Any = None) -> Tensor:
        output: Tensor = pixel_values.mean((2, 3))
        return output


def test_arguments_that_fit() -> None:
    check_arguments(Optional())
    check_arguments(Optional(), inputs("x", "mask"))
    check_arguments(Anything(), inputs("x", "whatever"))
    check_arguments(ByKeyword(), inputs("x"))
    check_arguments(Siamese(), inputs("age", "image", "prior"))
    check_arguments(nn.Sequential(nn.Flatten()))


@pytest.mark.parametrize(
    ("model", "names", "message"),
    [
        (Siamese(), (), r"Siamese.forward takes image, prior, age: .*--input image=COLUMN"),
        (Siamese(), ("image",), r"also takes prior, age, .*--input prior=COLUMN"),
        (
            Siamese(),
            ("image", "prior", "age", "sex"),
            r"--input sex=column_sex: .*no argument 'sex'",
        ),
        (Optional(), ("mask",), r"also takes x"),
        (ByKeyword(), (), r"takes no image"),
        (PlaceOnly(), ("x", "y"), r"has no argument 'x'"),
        (TextFirst(), (), r"TextFirst.forward takes texts before images: .*--target 'text:a photo"),
    ],
)
def test_arguments_that_do_not_fit(model: nn.Module, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_arguments(model, inputs(*names))


class WritesIntoItsInput(nn.Module):
    """Normalizes its images in place, as some models do, or not."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2)
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        x = x.sub_(0.5) if self.in_place else x - 0.5
        logits: Tensor = self.head(self.conv(x).tanh().mean((2, 3)))
        return logits


@pytest.mark.parametrize("method", ["gradcam", "saliency", "occlusion", "ablationcam"])
def test_a_model_that_writes_into_its_input(method: str) -> None:
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    given = images.clone()
    found = fastcam.explain(WritesIntoItsInput(True), given, method, sign="both")
    assert torch.equal(given, images)
    expected = fastcam.explain(WritesIntoItsInput(False), images, method, sign="both")
    np.testing.assert_allclose(found.output, expected.output, atol=1e-6)
    for name, values in expected.maps.items():
        np.testing.assert_allclose(found.maps[name], values, atol=1e-6)


def by_numpy(images: Tensor) -> None:
    images.numpy()[...] = 7


def by_dlpack(images: Tensor) -> None:
    torch.utils.dlpack.from_dlpack(images).fill_(7)


def by_view(images: Tensor) -> None:
    images.data[0].view(-1)[::2] = 7


def by_out(images: Tensor) -> None:
    torch.add(images, 1, out=images)


def by_storage(images: Tensor) -> None:
    images.untyped_storage()[:16] = 7


WRITES = [Tensor.zero_, by_numpy, by_dlpack, by_view, by_out, by_storage]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("shared", [False, True])
def test_whatever_a_model_writes_into_its_images_stays_its_own(
    write: Callable[[Tensor], object], shared: bool
) -> None:
    class Writing(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen = images.sum((1, 2, 3))
            write(images)
            assert not torch.equal(images.sum((1, 2, 3)), seen)
            return seen

    values = np.random.default_rng(0).random((2, 3, 8, 8)).astype(np.float32)
    images = torch.from_numpy(values.copy()) if shared else torch.tensor(values)
    model = Writing()
    with called_as(model, ModelCall()), torch.no_grad():
        first, second = model(images), model(images)
    np.testing.assert_array_equal(images.numpy(), values)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first, torch.tensor(values.sum((1, 2, 3))))


def test_a_write_into_the_images_does_not_reach_the_model_s_own() -> None:
    class Keeping(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            self.kept = images
            return images.sum((1, 2, 3))

    images, model = torch.ones(2, 3, 4, 4), Keeping()
    with called_as(model, ModelCall()):
        model(images)
    images.zero_()
    assert bool((model.kept == 1).all())

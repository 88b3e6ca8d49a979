"""The randomisation check: edges stay as they are, Grad-CAM follows the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets, logits_of
from fastcam.attribution.engines import build_engine
from fastcam.attribution.faithfulness.parameter_randomization import (
    RandomizationSettings,
    layer_groups,
    randomize_layers,
    reset,
)
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.models.resnet import ResNet
from fastcam.models.vit import VisionTransformer, VitSettings

from ..nets import Small, Tokens


class Edges:
    """Maps that know the image alone: the size of its differences from pixel to pixel."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, batch: Tensor, targets: Targets = None) -> BatchMaps:
        size = batch.diff(dim=2)[..., 1:].abs().sum(1) + batch.diff(dim=3)[:, :, 1:].abs().sum(1)
        with torch.no_grad():
            return BatchMaps({"edges": size}, logits_of(self.model(batch)))


def gradcam(model: nn.Module, layer: str, **more: object) -> Engine:
    return build_engine(model, MapRequest(layers=(layer,), **more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def resnet() -> ResNet:
    torch.manual_seed(0)
    model = ResNet("resnet18", 4, width=4)
    model.train()
    with torch.no_grad():
        for _ in range(20):  # statistics as after training
            model(torch.randn(8, 3, 64, 64))
    return model.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_edges_stay_and_gradcam_goes(resnet: ResNet, images: Tensor) -> None:
    edges = randomize_layers(resnet, Edges, images)
    np.testing.assert_allclose(edges.spearman, 1.0)
    np.testing.assert_allclose(edges.absolute, 1.0)
    cams = randomize_layers(resnet, lambda m: gradcam(m, "layer2", sign="both"), images)
    assert abs(cams.spearman[-1].mean()) < 0.3
    assert cams.layers[0] == "fc"
    assert cams.layers[-1] == "conv1"
    assert cams.spearman.shape == (len(cams.layers), 6)
    assert abs(cams.random.mean()) < 0.05
    assert cams.other_image.shape == (6,)


def test_correlations_are_scipys(resnet: ResNet, images: Tensor) -> None:
    """Each step is rebuilt by hand: the same layers of another copy, reset with the same seed."""
    settings = RandomizationSettings(steps=7, seed=5)
    found = randomize_layers(
        resnet, lambda m: gradcam(m, "layer2", sign="both"), images, settings=settings
    )
    assert found.layers == ("fc", "layer4", "layer3", "layer2", "layer1", "conv1")
    own = gradcam(resnet, "layer2", sign="both")(images)
    other = ResNet("resnet18", 4, width=4).eval()
    other.load_state_dict(resnet.state_dict())
    with torch.random.fork_rng():
        torch.manual_seed(5)
        reset(other, ("fc",))
    assert not torch.equal(other.fc.weight, resnet.fc.weight)
    maps = gradcam(other, "layer2", sign="both")(images, own.targets)
    for place in range(len(images)):
        one, two = (
            found_maps.maps["gradcam/layer2"].reshape(len(images), -1)[place].numpy()
            for found_maps in (own, maps)
        )
        assert found.spearman[0, place] == pytest.approx(spearmanr(one, two).statistic, abs=1e-6)
        absolute = spearmanr(np.abs(one), np.abs(two)).statistic
        assert found.absolute[0, place] == pytest.approx(absolute, abs=1e-6)


def test_the_model_stays_and_the_seed_decides(resnet: ResNet, images: Tensor) -> None:
    before = {k: v.clone() for k, v in resnet.state_dict().items()}
    state = torch.random.get_rng_state()
    heard: list[int] = []
    runs = [
        randomize_layers(
            resnet,
            lambda m: gradcam(m, "layer3"),
            images,
            targets=[1] * 6,
            settings=RandomizationSettings(steps=7, seed=seed, batch_size=4),
            on_progress=heard.append,
        ).spearman
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    assert heard == [1] * 18
    assert all(torch.equal(v, before[k]) for k, v in resnet.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())


def test_every_parameter_is_made_anew() -> None:
    """Whatever owns it: a layer that knows how, a raw tensor, weight norm's parts, attention's."""

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = Tokens()
            self.token = nn.Parameter(torch.full((1, 3, 16, 16), 2.0) + torch.rand(3, 16, 16))
            self.mixed = nn.MultiheadAttention(8, 2, batch_first=True)
            self.normed = weight_norm(nn.Linear(5, 5))
            self.scale = nn.Parameter(torch.rand(5) + 3)

        def forward(self, x: Tensor) -> Tensor:
            found = self.tokens(x + self.token)
            pair = self.mixed(*[found[:, None, :1].expand(-1, 2, 8)] * 3)[0]
            return self.normed(found) * self.scale + pair.mean()

    torch.manual_seed(0)
    model = Odd()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    groups = layer_groups(model, torch.randn(1, 3, 16, 16), 24)
    named = [name for group in groups for name in group.modules]
    assert len(named) == len(set(named))
    reset(model, tuple(named))
    same = [k for k, v in model.named_parameters() if v.numel() and torch.equal(v, before[k])]
    assert same == []
    # A raw parameter keeps its size.
    old, new = before["token"].square().mean().sqrt(), model.token.detach().square().mean().sqrt()
    assert float(new / old) == pytest.approx(1, abs=0.1)
    assert groups[-1].modules[-1] == ""


def test_layers_that_know_how_are_reset_their_own_way() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).requires_grad_(False)
    for value in model.state_dict().values():
        value.add_(5)
    twin = nn.Linear(4, 3)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        reset(model, ("0", "1"))
        torch.manual_seed(7)
        twin.reset_parameters()
    state = model.state_dict()
    assert torch.equal(state["0.weight"], twin.weight)
    assert [state[f"1.{name}"].tolist() for name in ("weight", "bias", "running_mean")] == [
        [1, 1, 1],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_groups_go_from_the_output_down_and_are_few(resnet: ResNet) -> None:
    example = torch.randn(1, 3, 64, 64)
    fine = layer_groups(resnet, example, 100)
    assert [g.name for g in fine[:3]] == ["fc", "layer4.1.conv2", "layer4.1.conv1"]
    assert fine[1].modules == ("layer4.1.conv2", "layer4.1.bn2")
    blocks = layer_groups(resnet, example, 12)
    assert [g.name for g in blocks][:4] == ["fc", "layer4.1", "layer4.0", "layer3.1"]
    assert blocks[-1].modules == ("conv1", "bn1")
    few = layer_groups(resnet, example, 3)
    assert [g.name for g in few] == ["fc", "layer4", "layer3 and below"]
    every = {name for name, m in resnet.named_modules() if list(m.parameters(recurse=False))}
    for groups in (fine, blocks, few):
        assert {name for g in groups for name in g.modules} == every


def test_the_order_is_that_of_running() -> None:
    class Backwards(nn.Module):
        """Its first layer is listed last."""

        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(4, 2)
            self.first = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.last(self.first(x).mean((2, 3)))
            return found

    groups = layer_groups(Backwards(), torch.randn(1, 3, 8, 8), 24)
    assert [g.name for g in groups] == ["last", "first"]


def test_norms_measure_anew(resnet: ResNet, images: Tensor) -> None:
    """Activations of a model made random all through neither fade nor burst."""
    seen: list[float] = []

    def engine_of(model: nn.Module) -> Engine:
        model.layer4.register_forward_hook(lambda m, i, o: seen.append(float(o.detach().std())))
        return gradcam(model, "layer3")

    randomize_layers(resnet, engine_of, images, settings=RandomizationSettings(steps=7))
    assert 0.3 < seen[-1] < 3


def test_attention_and_rollout_too() -> None:
    torch.manual_seed(0)
    model = VisionTransformer(
        VitSettings(
            dim=24,
            depth=2,
            heads=2,
            patch_size=(8, 8),
            image_size=(32, 32),
            mlp_dim=32,
            num_classes=3,
        )
    ).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    images = torch.randn(3, 3, 32, 32)
    wanted = MapRequest(methods=("attention", "rollout"))
    for name in ("attention", "rollout"):
        found = randomize_layers(model, lambda m: build_engine(m, wanted), images, name)
        assert found.map_name == name
        assert found.layers[0] == "head"
        # The head comes after all attention.
        np.testing.assert_allclose(found.spearman[0], 1)
        assert abs(found.spearman[-1]).mean() < 0.7


def test_one_image_and_maps_of_one_value() -> None:
    torch.manual_seed(0)
    model = Small().eval()
    images = torch.randn(3, 3, 12, 12)
    images[1] = 0.0
    found = randomize_layers(model, Edges, images)
    assert found.left_out == 1
    assert found.spearman.shape[1] == 2
    alone = randomize_layers(model, Edges, images[:1])
    assert alone.other_image.size == 0
    with pytest.raises(InputError, match="one value everywhere"):
        randomize_layers(model, Edges, images[1:2])
    with pytest.raises(InputError, match="choose of edges"):
        randomize_layers(model, Edges, images, "gradcam")

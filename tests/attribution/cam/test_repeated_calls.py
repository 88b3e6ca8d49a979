"""Modules that run more than once: every call has its own map, with autograd's own gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.cam.layers import called_layers, candidates, default_layers
from fastcam.attribution.request import CAM_METHODS
from fastcam.errors import InputError

from ..nets import Small
from ..repeated import Halves, Recurrent, Views


def gradcam_of(activations: Tensor, logits: Tensor, target: int) -> Tensor:
    """Grad-CAM by its definition: the mean gradient of each channel times the channel, summed."""
    gradient = torch.autograd.grad(logits[:, target].sum(), activations, retain_graph=True)[0]
    return torch.einsum("bk,bkhw->bhw", gradient.mean((2, 3)), activations).detach()


@pytest.mark.parametrize("compile", [False, "eager"])
@pytest.mark.parametrize(("model", "channels"), [(Halves, 3), (Views, 6)])
def test_siamese(model: type[Halves], channels: int, compile: bool | str) -> None:
    torch.manual_seed(0)
    net = model().eval()
    x = torch.randn(2, channels, 16, 32)
    kept = [net.backbone(part) for part in net.parts(x)]
    logits = net.answer(*kept)
    engine = CamEngine(net, ["backbone"], targets=1, compile=compile)
    found = engine(x).maps
    assert list(found) == ["gradcam/backbone#0", "gradcam/backbone#1"]
    for number, activations in enumerate(kept):
        expected = gradcam_of(activations, logits, 1)
        torch.testing.assert_close(found[f"gradcam/backbone#{number}"], expected)
        assert not torch.equal(found["gradcam/backbone#0"], found["gradcam/backbone#1"])
        one = CamEngine(net, [f"backbone#{number}"], targets=1, compile=compile)
        maps = one(x).maps
        assert list(maps) == [f"gradcam/backbone#{number}"]
        torch.testing.assert_close(maps[f"gradcam/backbone#{number}"], expected)


def test_recurrent() -> None:
    """A later call depends on the earlier ones: the gradient of each is the whole one."""
    torch.manual_seed(0)
    net = Recurrent().eval()
    x = torch.randn(2, 3, 8, 8)
    state, kept = net.stem(x), []
    for _ in range(3):
        kept.append(net.cell(state))
        state = torch.tanh(kept[-1])
    logits = net.head(state.mean((2, 3)))
    found = CamEngine(net, ["cell", "stem"], targets=2)(x).maps
    assert list(found) == ["gradcam/cell#0", "gradcam/cell#1", "gradcam/cell#2", "gradcam/stem"]
    for number, activations in enumerate(kept):
        torch.testing.assert_close(
            found[f"gradcam/cell#{number}"], gradcam_of(activations, logits, 2)
        )


def test_every_method_has_a_map_of_every_call() -> None:
    net = Halves().eval()
    found = CamEngine(net, ["backbone.layer2"], CAM_METHODS)(torch.randn(2, 3, 16, 32))
    names = [f"{m}/backbone.layer2#{n}" for m in CAM_METHODS for n in (0, 1)]
    assert list(found.maps) == names
    assert {values.shape for values in found.maps.values()} == {(2, 4, 4)}


def test_layers_that_are_chosen_for_the_user() -> None:
    x = torch.zeros(1, 3, 16, 32)
    assert default_layers(Halves(), x) == ("backbone",)
    assert {c.name: c.calls for c in candidates(Halves(), x)}["backbone.layer1"] == 2
    # An activation that all layers share stands with its last call in each pass.
    assert default_layers(Small(), x) == ("relu#1",)
    listed = {c.name: c.auto for c in candidates(Halves(), x)}
    assert listed["backbone.layer2"] == ("backbone.layer2",)
    names = called_layers(Halves(), ["head", "backbone.layer1", "backbone.layer2#1"], x)
    assert names == ("head", "backbone.layer1#0", "backbone.layer1#1", "backbone.layer2#1")


@pytest.mark.parametrize("compile", [False, "eager"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "backbone.layer2#2",
            r"calls 'backbone.layer2' 2 times, #0 to #1; .* or 'backbone.layer2'",
        ),
        ("head#1", "calls 'head' once; give 'head'"),
        ("backbone.layer3#0", "'backbone.layer3' does not exist"),
    ],
)
def test_calls_that_are_not_made(name: str, message: str, compile: bool | str) -> None:
    with pytest.raises(InputError, match=message):
        CamEngine(Halves(), [name], compile=compile)(torch.randn(1, 3, 16, 32))


def test_the_first_call_of_a_layer_that_runs_once_is_the_layer() -> None:
    net = Halves().eval()
    found = CamEngine(nn.Sequential(net.backbone, Head()), ["0.layer1#0"], ["eigencam"])(
        torch.randn(1, 3, 16, 32)
    )
    assert list(found.maps) == ["eigencam/0.layer1"]


class Head(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))

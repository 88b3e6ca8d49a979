"""RolloutEngine on whole models, against rollout written out from matrices made the slow way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor, nn

from fastcam.attribution.attention import rollout_chunked
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.errors import InputError
from fastcam.models.vit import VisionTransformer, VitSettings

from ...torchvision_import import torchvision
from .test_rollout_chunked import FUSIONS, assert_close, fused_of, product_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=[1 << 19, 60], ids=["matrices kept", "queries and keys kept"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_chunked, "_CPU_BLOCK", request.param)


def vit(**more: Any) -> VisionTransformer:
    torch.manual_seed(3)
    sizes: dict[str, Any] = {
        "dim": 24,
        "depth": 4,
        "heads": 3,
        "patch_size": (8, 8),
        "image_size": (32, 24),
    }
    settings = VitSettings(**sizes | more)
    model = VisionTransformer(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Attention of fresh weights is next to even; these make it steep.
            parameter.normal_(std=0.3)
    return model


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 32, 24, generator=torch.Generator().manual_seed(5))


@contextmanager
def written_out() -> Iterator[list[Tensor]]:
    found: list[Tensor] = []

    def attention(q: Tensor, k: Tensor, v: Tensor, **more: Any) -> Tensor:
        assert set(more) <= {"dropout_p", "is_causal", "scale", "attn_mask"}
        scale = more.get("scale") or q.shape[-1] ** -0.5
        weights = (q.double() @ k.double().transpose(-1, -2) * scale).softmax(-1)
        found.append(weights)
        return weights.to(v) @ v

    with mock.patch.object(F, "scaled_dot_product_attention", attention), torch.no_grad():
        yield found


def slow(model: nn.Module, batch: Tensor, fusion: str = "mean", ratio: float = 0, first: int = 0):
    with written_out() as found:
        model(batch)
    return product_of([fused_of(a.numpy(), fusion, ratio) for a in found[first:]])


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("ratio", "first"), [(0.0, 0), (0.0, 2), (0.7, 0), (0.7, 3)])
def test_vit_with_registers(fusion: Any, ratio: float, first: int) -> None:
    model, batch = vit(registers=2), images()
    found = RolloutEngine(model, fusion, ratio, first)(batch)
    assert found.maps["rollout"].shape == (2, 4, 3)
    wanted = slow(model, batch, fusion, ratio, first)[:, 0, 3:]
    # The models' queries differ by rounding between fused and written-out attention.
    assert_close(found.maps["rollout"].flatten(1), wanted)
    with torch.no_grad():
        assert_close(found.output, model(batch))  # To rounding: small layers are made here.


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("settings", [{"class_token": False}, {"class_token": True}])
def test_mean_pooled_models_start_from_all_patches(settings: dict[str, bool]) -> None:
    model, batch = vit(mean_pooling=True, **settings), images()
    engine = RolloutEngine(model)
    assert engine.query == "mean"
    first = int(settings["class_token"])
    wanted = slow(model, batch)[:, first:].mean(1)[:, first:]
    assert_close(engine(batch).maps["rollout"].flatten(1), wanted)


def test_torchvision_keeps_its_attention_in_multi_head_modules() -> None:
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=4).eval()
    batch = torch.randn(2, 3, 32, 32)
    weights: list[Tensor] = []

    def keep(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        assert isinstance(module, nn.MultiheadAttention)
        _, made = nn.MultiheadAttention.forward(
            module, *args, **kwargs | {"need_weights": True, "average_attn_weights": False}
        )
        weights.append(made.double())

    holders = [m for m in model.modules() if isinstance(m, nn.MultiheadAttention)]
    hooks = [m.register_forward_pre_hook(keep, with_kwargs=True) for m in holders]
    with torch.no_grad():
        model(batch)
    for hook in hooks:
        hook.remove()
    wanted = product_of([fused_of(w.numpy(), "mean", 0) for w in weights])[:, 0, 1:]
    found = RolloutEngine(model)(batch).maps["rollout"]
    assert found.shape == (2, 4, 4)
    assert_close(found.flatten(1), wanted)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "eva02_tiny_patch14_224"])
def test_timm(name: str) -> None:
    import timm

    model = timm.create_model(name, img_size=56, depth=3).eval()
    batch = torch.randn(1, 3, 56, 56)
    wanted = slow(model, batch)
    engine = RolloutEngine(model)
    rows = wanted[:, 0] if engine.query == "cls" else wanted[:, 1:].mean(1)
    assert engine.query == ("cls" if name.startswith("vit") else "mean")
    assert_close(engine(batch).maps["rollout"].flatten(1), rows[:, 1:])


def test_autocast_is_the_models_affair_only() -> None:
    model, batch = vit(), images()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = RolloutEngine(model)(batch).maps["rollout"]
        wanted = slow(model, batch)[:, 0, 1:]
    assert found.dtype == torch.float32
    assert abs(found.flatten(1).double().numpy() - wanted).max() < 4e-3


def test_leaves_nothing_behind() -> None:
    model = vit().train()
    RolloutEngine(model)(images())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    with pytest.raises(InputError):
        RolloutEngine(model)(torch.zeros(1, 3, 40, 40))
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())


def test_an_image_of_nan_spoils_only_its_own_map() -> None:
    batch = images(3)
    alone = RolloutEngine(vit())(batch[::2]).maps["rollout"]
    batch[1] = torch.nan
    found = RolloutEngine(vit())(batch).maps["rollout"]
    assert found[1].isnan().all()
    assert torch.allclose(found[::2], alone, atol=1e-6)


def test_what_cannot_be_rolled_out() -> None:
    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            cut = x.reshape(len(x) * 4, 1, -1, 4)
            return F.scaled_dot_product_attention(cut, cut, cut).reshape(len(x), -1)

    class Reduced(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            q = x.reshape(len(x), 1, -1, 4)
            return F.scaled_dot_product_attention(q, q[:, :, :5], q[:, :, :5]).flatten(1)

    for odd, shape in ((Windows(), "144, 144"), (Reduced(), "576, 5")):
        with pytest.raises(InputError, match=f"from all tokens to all tokens.*{shape}"):
            RolloutEngine(odd)(images())
    with pytest.raises(InputError, match="no attention that can be seen"):
        RolloutEngine(torchvision.models.resnet18().eval())(images())
    with pytest.raises(InputError, match=r"13 tokens without 6 .* no grid .* --prefix-tokens"):
        RolloutEngine(vit(), prefix_tokens=6)(images())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"fusion": "sum"}, "--fusion 'sum'.*mean, max, min"),
        ({"discard_ratio": 1.0}, "--discard-ratio 1.0"),
        ({"discard_ratio": -0.1}, "--discard-ratio -0.1"),
        ({"start_layer": -1}, "--start-layer -1"),
    ],
)
def test_settings_are_checked_at_once(more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RolloutEngine(vit(), **more)


def test_a_start_layer_the_model_has_not() -> None:
    with pytest.raises(InputError, match=r"--start-layer 4: the model has 4 layers.*0 to 3"):
        RolloutEngine(vit(), start_layer=4)(images())

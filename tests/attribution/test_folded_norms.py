"""Normalizations folded into convolutions, against the same models in double precision."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from fastcam.attribution.batch_maps import BatchMaps
from fastcam.attribution.folded_norms import NormPair, folded, seen_pairs

from ..torchvision_import import torchvision  # isort: skip
import timm  # isort: skip

BF16 = torch.bfloat16


def with_statistics(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in eval mode, with normalizations that do something."""
    generator = torch.Generator().manual_seed(seed)
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_var is not None:
            part.running_mean.normal_(0, 0.3, generator=generator)
            part.running_var.uniform_(0.3, 3, generator=generator)
            if part.affine:
                part.weight.data.uniform_(0.5, 2, generator=generator)
                part.bias.data.normal_(0, 0.3, generator=generator)
    return model.eval()


def pairs_of(model: nn.Module, batch: Tensor) -> list[NormPair]:
    with torch.no_grad(), seen_pairs(model) as pairs:
        returned = model(batch)
    del returned
    return pairs


def answer(model: nn.Module) -> Callable[..., BatchMaps]:
    return lambda batch, targets=None: BatchMaps({}, model(batch))


def compare(model: nn.Module, batch: Tensor, pairs: list[NormPair]) -> Tensor:
    """The folded answer; its error is not much above that of the model as it is."""
    exact = copy.deepcopy(model).double()(batch.double())
    with torch.autocast("cpu", BF16):
        plain = model(batch)
        with folded(model, pairs, BF16, answer(model)) as engine:
            result = engine(batch).output
        assert torch.equal(model(batch), plain)  # as it was
    scale = exact.abs().max()
    error, usual = (float((x.double() - exact).abs().max() / scale) for x in (result, plain))
    assert error <= 2 * usual + 0.01
    assert result.dtype == plain.dtype
    return result


@settings(max_examples=40, deadline=None)
@given(
    dims=st.sampled_from([1, 2, 3]),
    groups=st.sampled_from([1, 2]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    affine=st.booleans(),
    seed=st.integers(0, 9),
)
@torch.no_grad()
def test_any_convolution(
    dims: int, groups: int, stride: int, dilation: int, bias: bool, affine: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    convs: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    norms: tuple[Any, ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    conv, norm = convs[dims - 1], norms[dims - 1]
    options: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    model = nn.Sequential(
        conv(4, 6, 3, padding=1, bias=bias, **options), norm(6, affine=affine, eps=1e-3),
        nn.ReLU(inplace=True),
        conv(6, 4, 1), norm(4), nn.Flatten(),
    )  # fmt: skip
    with_statistics(model, seed)
    batch = torch.randn(2, 4, *[9] * dims)
    pairs = pairs_of(model, batch)
    assert pairs == [("0", "1"), ("3", "4")]
    compare(model, batch, pairs)


class Net(nn.Module):
    """A convolution and a normalization, with ``middle`` between them."""

    def __init__(self, middle: Callable[[Any, Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.other = nn.BatchNorm2d(3)
        self.middle = middle

    def forward(self, images: Tensor) -> Any:
        values = self.conv(images)
        return self.norm(values) if self.middle is None else self.middle(self, values)


def kept(net: Any, values: Tensor) -> Tensor:
    net.last = values
    return net.norm(values)


def changed(net: Any, values: Tensor) -> Tensor:
    values.mul_(2)
    return net.norm(values)


def twice(net: Any, values: Tensor) -> Tensor:
    return net.norm(values) + net.norm(net.conv(values))


def convolved_again(net: Any, values: Tensor) -> Tensor:
    net.conv(torch.ones(1, 3, 4, 4))
    return net.norm(values)


def looked_at(net: Any, values: Tensor) -> Tensor:
    factor = values.max().item()
    return net.norm(values) * factor


MIDDLES: dict[str, Callable[[Any, Tensor], Any]] = {
    "a skip connection": lambda net, values: net.norm(values) + values,
    "returned as well": lambda net, values: [net.norm(values), {"raw": values}],
    "kept": kept,
    "changed": changed,
    "looked at": looked_at,
    "a view": lambda net, values: net.norm(values[:, :, :2]),
    "another tensor": lambda net, values: net.norm(values + 0),
    "two normalizations": lambda net, values: net.norm(values) * net.other(values),
    "a list of it": lambda net, values: net.norm(values) + torch.cat([values, values])[:2],
    "written as a function": lambda net, values: nn.functional.batch_norm(
        values, net.norm.running_mean, net.norm.running_var
    ),
    "convolved twice, normalized once": lambda net, values: net.norm(values) + net.conv(values),
    "normalized twice": lambda net, values: net.norm(values) + net.norm(torch.ones(1, 3, 1, 1)),
    "convolved twice": convolved_again,
    "used as well": twice,
}


@pytest.mark.parametrize("name", MIDDLES)
def test_what_goes_elsewhere_is_no_pair(name: str) -> None:
    model = with_statistics(Net(MIDDLES[name]))
    batch = torch.randn(2, 3, 6, 6)
    assert pairs_of(Net().eval(), batch) == [("conv", "norm")]
    with torch.no_grad(), seen_pairs(model) as pairs:
        returned = model(batch)
    assert returned is not None
    assert pairs == []


class OwnConv(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + 1


@pytest.mark.parametrize(
    "conv",
    [
        OwnConv(3, 3, 1),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"),
        parametrizations.weight_norm(nn.Conv2d(3, 3, 1)),
        nn.ConvTranspose2d(3, 3, 1),
    ],
)
def test_convolutions_that_compute_something_else_are_none(conv: nn.Module) -> None:
    assert pairs_of(nn.Sequential(conv, nn.BatchNorm2d(3)).eval(), torch.randn(2, 3, 6, 6)) == []


def test_statistics_of_the_batch_are_none() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))
    assert pairs_of(model.eval(), torch.randn(2, 3, 6, 6)) == []


def test_a_convolution_called_several_times_in_order_is_one() -> None:
    def in_pieces(net: Any, values: Tensor) -> Tensor:
        return net.norm(values) + 1

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net(in_pieces)

        def forward(self, images: Tensor) -> Any:
            return self.net(images).mean((2, 3)) - self.net(images.flip(3)).amax((2, 3))

    model = with_statistics(Twice())
    batch = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        pairs = pairs_of(model, batch)
        assert pairs == [("net.conv", "net.norm")]
        compare(model, batch, pairs)


@torch.no_grad()
def test_hooks_see_what_the_model_has_there() -> None:
    model = with_statistics(Net())
    batch = torch.randn(2, 3, 6, 6)
    pairs = pairs_of(model, batch)
    seen: list[Tensor] = []

    def engine(images: Tensor, targets: Any = None) -> BatchMaps:
        for part in (model.conv, model.norm):
            handle = part.register_forward_hook(lambda module, args, output: seen.append(output))
            result = model(images)
            handle.remove()
        return BatchMaps({}, result)

    with torch.autocast("cpu", BF16):
        plain = engine(batch)
        with folded(model, pairs, BF16, engine) as quick:
            assert torch.equal(quick(batch).output, plain.output)
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])


@pytest.mark.parametrize("lost", ["one", "first of two"])
@torch.no_grad()
def test_a_model_that_goes_another_way_later_is_run_as_it_is(lost: str) -> None:
    def middle(net: Any, values: Tensor) -> Tensor:
        if not net.away:
            return net.norm(values)
        return values if lost == "one" else net.norm(net.conv(values))

    model: Any = Net(middle)
    model.away = False
    with_statistics(model)
    batch = torch.randn(2, 3, 6, 6)
    pairs = pairs_of(model, batch)
    assert pairs == [("conv", "norm")]
    calls = []

    def engine(images: Tensor, targets: Any = None) -> BatchMaps:
        calls.append(len(images))
        return BatchMaps({}, model(images))

    with torch.autocast("cpu", BF16):
        model.away = True
        wanted = [model(batch)]
        model.away = False
        wanted.append(model(batch))
        with folded(model, pairs, BF16, engine) as quick:
            quick(batch)
            model.away = True
            assert torch.equal(quick(batch).output, wanted[0])
            model.away = False
            assert torch.equal(quick(batch).output, wanted[1])
    assert calls == [2, 2, 2, 2]  # the second batch twice


@torch.no_grad()
def test_after_an_engine_that_failed() -> None:
    """Such as by memory that ran out: the batch comes again in halves."""
    model = with_statistics(Net())
    batch = torch.randn(2, 3, 6, 6)
    pairs = pairs_of(model, batch)
    calls = []

    def engine(images: Tensor, targets: Any = None) -> BatchMaps:
        calls.append(len(images))
        if len(images) == 2:
            model.conv(images)
            raise MemoryError
        return BatchMaps({}, model(images))

    with torch.autocast("cpu", BF16), folded(model, pairs, BF16, engine) as quick:
        with pytest.raises(MemoryError):
            quick(batch)
        quick(batch[:1])
    assert calls == [2, 1]


@torch.no_grad()
def test_only_in_the_arithmetic_it_is_for() -> None:
    model = with_statistics(Net())
    batch = torch.randn(2, 3, 6, 6)
    pairs = pairs_of(model, batch)
    wanted = model(batch)
    with torch.autocast("cpu", torch.float16):
        half = model(batch)
    with folded(model, pairs, BF16, answer(model)) as quick:
        assert torch.equal(quick(batch).output, wanted)
        assert quick(batch).output.dtype == torch.float32
        with torch.autocast("cpu", torch.float16):
            assert torch.equal(quick(batch).output, half)
    assert "forward" not in vars(model.conv)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("resnet18", 20), ("resnext26ts", 0), ("densenet121", 0), ("mobilenetv3_small_100", 0),
        ("efficientnet_b0", 0), ("regnety_002", 0), ("hrnet_w18_small", 80), ("vgg11_bn", 0),
        ("res2net50_14w_8s", 80), ("inception_v3", 0), ("convnext_atto", 0), ("dla34", 20),
        ("googlenet", 50), ("shufflenet_v2_x0_5", 40), ("mnasnet0_5", 40), ("squeezenet1_0", 0),
    ],
)  # fmt: skip
@torch.no_grad()
def test_models(name: str, least: int) -> None:
    torch.manual_seed(0)
    make = timm.create_model if name in timm.list_models() else torchvision.models.get_model
    model = with_statistics(make(name, num_classes=5))
    batch = torch.randn(2, 3, 96, 96)
    pairs = pairs_of(model, batch)
    assert len(pairs) >= least
    with torch.autocast("cpu", BF16):
        plain = model(batch).float()
        with folded(model, pairs, BF16, answer(model)) as engine:
            result = engine(batch).output.float()
    exact = copy.deepcopy(model).double()(batch.double())
    spread = exact.abs().max()
    assert (result - exact).abs().max() <= 3 * (plain - exact).abs().max() + 0.02 * spread

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastcam.attribution.nonfinite import check_weights, keep_finite, reasons
from fastcam.errors import InputError

from .nets import Small, Wrapped

BATCH = torch.ones(3, 3, 8, 8)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_are_named(bad: float) -> None:
    model = Small()
    check_weights(model)
    with torch.no_grad():
        model.two[0].weight[1, 2, 0, 0] = bad
        model.head.bias[0] = bad
    with pytest.raises(InputError, match=r"'two\.0\.weight' and 1 more hold NaN or Inf"):
        check_weights(model)


def test_running_statistics_are_named_and_masks_may_be_infinite() -> None:
    model = Small()
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    model.register_buffer("index", torch.arange(3))
    check_weights(model)
    model.one[1].running_var[0] = torch.nan
    with pytest.raises(InputError, match=r"'one\.1\.running_var' hold NaN"):
        check_weights(model)
    check_weights(nn.ReLU())


def test_images_that_go_wrong_are_told_apart() -> None:
    model = Small().train()
    batch = BATCH.clone()
    batch[0, 0, 0, 0] = torch.nan
    batch[2] = 3e38
    with torch.no_grad():
        model.one[0].weight.abs_()
    said = reasons(model, batch)
    assert said[0] == "the image itself holds NaN or Inf"
    assert said[1] == ""
    assert said[2] == "layer 'one.0' is the first to give NaN or Inf"
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())


def test_layers_with_other_outputs_and_parts_of_images() -> None:
    class Windows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.unflatten(0, (-1, 1)).expand(-1, 2, -1, -1, -1).flatten(0, 1) * 1e20 * 1e20

    class Back(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.unflatten(0, (-1, 2)).mean((1, 2, 3, 4))[:, None]

    batch = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    assert reasons(nn.Sequential(Windows(), Back()), batch) == [
        "",
        "layer '0' is the first to give NaN or Inf",
    ]
    model = Wrapped()
    with torch.no_grad():
        model.conv.weight.fill_(1e30)
    assert reasons(model, BATCH) == ["layer 'pair' is the first to give NaN or Inf"] * 3


def test_maps_of_bad_answers_are_nan() -> None:
    output = torch.tensor([[1.0, 2.0], [1.0, torch.nan], [torch.inf, 0.0]])
    for maps in (torch.ones(3, 2, 2), torch.ones(3, 4, 2, 2, 2)):
        found = keep_finite(maps, output)
        assert found.flatten(1).isnan().all(1).tolist() == [False, True, True]
        assert not found[0].isnan().any()

"""One forward pass, split: gradients are autograd's own, and nothing of the model is touched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.cam.layers import layer_modules
from fastcam.attribution.cam.split import Split, gradients_of, run_split
from fastcam.errors import InputError

from ..nets import Branches, Small, Tokens, Wrapped, autograd_maps


def split_at(model: nn.Module, x: Tensor, *names: str, gradients: bool = True) -> Split:
    return run_split(model, layer_modules(model, names), x, gradients)


def untouched(model: nn.Module) -> None:
    assert all(p.grad is None for p in model.parameters())
    assert all(not m._forward_hooks for m in model.modules())
    assert all(not m._forward_pre_hooks and not m._backward_hooks for m in model.modules())


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("frozen", [True, False])
def test_gradients_are_those_of_the_whole_graph(dims: int, frozen: bool) -> None:
    torch.manual_seed(0)
    model = Small(dims).eval()
    x = torch.randn(2, 3, *(8,) * dims)
    expected = autograd_maps(model, x, [1, 3])
    model.zero_grad()
    model.requires_grad_(not frozen)
    split = split_at(model, x, "one", "two", "relu#1")
    score = split.output[[0, 1], [1, 3]].sum()
    gradients = gradients_of(score, split)
    # The shared ReLU stands with its last call, and layers before an operation in place as they
    # were before it.
    torch.testing.assert_close(split.activations["relu#1"], expected[0])
    torch.testing.assert_close(gradients["relu#1"], expected[1])
    torch.testing.assert_close(split.activations["two"].relu(), expected[0])
    torch.testing.assert_close(gradients["two"], expected[1] * (split.activations["two"] > 0))
    assert (split.activations["one"] < 0).any()
    assert all(p.requires_grad is not frozen for p in model.parameters())
    untouched(model)


def saved_bytes(model: nn.Module, x: Tensor, *names: str) -> int:
    """What the graph of a split keeps, counted once for each tensor, the model's own left out."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        split = split_at(model, x, *names)
    assert split.output.requires_grad
    return sum(kept.values())


def test_nothing_is_kept_of_what_comes_before_the_layer() -> None:
    convolutions = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(6)]
    model = nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    x = torch.randn(2, 4, 32, 32)
    # PyTorch's convolution keeps its input, frozen or not: three of them come after "2".
    assert x.nbytes < saved_bytes(model, x, "2") < 3.5 * x.nbytes
    assert saved_bytes(model, x, "5") < 1.5 * x.nbytes
    linear = nn.Sequential(*(nn.Linear(64, 64) for _ in range(6)))
    assert saved_bytes(linear, torch.randn(32, 64), "2") == 0


@pytest.mark.parametrize(
    "mode", [nullcontext, torch.no_grad, torch.inference_mode, torch.enable_grad]
)
def test_whatever_mode_the_caller_is_in(mode: Callable[[], AbstractContextManager[None]]) -> None:
    torch.manual_seed(0)
    model = Small().eval()
    expected = autograd_maps(model, torch.ones(1, 3, 8, 8), [0])[1]
    model.zero_grad()
    with mode():
        grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        split = split_at(model, torch.ones(1, 3, 8, 8), "relu#1")
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == (grad, inference)
    torch.testing.assert_close(gradients_of(split.output[0, 0], split)["relu#1"], expected)


def test_a_view_of_an_inference_tensor_becomes_a_leaf() -> None:
    model = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(12, 2))
    with torch.inference_mode():
        x = torch.ones(1, 3, 2, 2)
    split = split_at(model, x, "0")
    assert gradients_of(split.output.sum(), split)["0"].shape == (1, 3, 2, 2)


def test_a_model_in_training_mode_is_read_in_eval_mode_and_left_in_training() -> None:
    model = Small()
    model.drop.eval()
    mean = model.one[1].running_mean.clone()
    first, second = (split_at(model, torch.ones(2, 3, 8, 8), "two").output for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(model.one[1].running_mean, mean)  # type: ignore[arg-type]
    assert model.training
    assert model.one[1].training
    assert not model.drop.training


def test_everything_is_put_back_after_an_exception() -> None:
    model = Small()
    model.head = nn.Linear(9, 2)
    model.one[0].requires_grad_(False)
    with pytest.raises(RuntimeError, match="shapes"):
        split_at(model, torch.ones(2, 3, 8, 8), "one", "two")
    assert model.training
    assert all(p.requires_grad for p in model.two.parameters())
    assert not model.one[0].weight.requires_grad
    assert torch.is_grad_enabled()
    untouched(model)
    with torch.no_grad(), pytest.raises(RuntimeError, match="shapes"):
        split_at(model, torch.ones(2, 3, 8, 8), "one")
    with torch.no_grad():
        assert not torch.is_grad_enabled()


def test_tuples_and_mappings() -> None:
    torch.manual_seed(0)
    model = Wrapped()
    split = split_at(model, torch.randn(2, 3, 6, 6), "conv", "pair", "answer")
    assert split.output["note"] == "text"
    assert torch.equal(split.activations["pair"], split.activations["conv"].square())
    gradients = gradients_of(split.output["logits"].sum(), split)
    torch.testing.assert_close(gradients["pair"], split.activations["conv"] / 16)
    torch.testing.assert_close(gradients["conv"], 3 * split.activations["conv"].square() / 16)
    torch.testing.assert_close(gradients["answer"], torch.ones(2, 4))


def test_layers_beside_each_other() -> None:
    model = Branches()
    split = split_at(model, torch.randn(2, 3, 6, 6), "left", "right")
    gradients = gradients_of(split.output.sum(), split)
    torch.testing.assert_close(gradients["left"], split.activations["right"] / 16)
    torch.testing.assert_close(gradients["right"], split.activations["left"] / 16)


def test_layers_within_each_other() -> None:
    model = Tokens()
    split = split_at(model, torch.randn(2, 3, 16, 16), "blocks", "blocks.0", "blocks.1")
    gradients = gradients_of(split.output.sum(), split)
    assert torch.equal(gradients["blocks"], gradients["blocks.1"])
    assert not torch.equal(gradients["blocks"], gradients["blocks.0"])


def test_no_graph_where_no_gradients_are_wanted() -> None:
    split = split_at(Small(), torch.randn(2, 3, 8, 8), "one", gradients=False)
    assert not split.output.requires_grad
    assert split.sources == {}
    assert (split.activations["one"] < 0).any()


def test_layers_without_gradients_are_named() -> None:
    x = torch.randn(2, 3, 6, 6)
    with pytest.raises(InputError, match="'unused' is part of the model but its forward pass"):
        split_at(Branches(), x, "left", "unused")
    split = split_at(Branches(), x, "left", "ignored")
    with pytest.raises(InputError, match="'ignored': the output does not depend on"):
        gradients_of(split.output.sum(), split)
    with pytest.raises(InputError, match="no gradient at left, ignored"):
        gradients_of(split.output.detach().sum(), split)


def test_a_layer_without_numbers() -> None:
    class Count(nn.Module):
        def forward(self, x: Tensor) -> int:
            return len(x)

    model = nn.Sequential(Count())
    with pytest.raises(InputError, match="'0' gives int without a tensor"):
        split_at(model, torch.ones(1, 1, 2, 2), "0")

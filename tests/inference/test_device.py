"""Which device and arithmetic an option means, and how a batch gets there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastcam.errors import InputError
from fastcam.inference.device import (
    arithmetic,
    batch_on,
    choose_device,
    choose_precision,
    stacked,
)
from fastcam.inference.input_levels import values_of

CPU = torch.device("cpu")


def test_auto_is_what_there_is() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu() -> None:
    with pytest.raises(InputError, match=r"--device cuda: this PyTorch .* use --device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("option", ["gpu", "cuda:x", "mps"])
def test_unknown_devices(option: str) -> None:
    with pytest.raises(InputError, match="is not known: use one of auto, cpu, cuda"):
        choose_device(option)


def test_precisions() -> None:
    assert choose_precision("auto", CPU) == torch.float32
    assert choose_precision("auto", torch.device("cuda")) == torch.bfloat16
    assert choose_precision("bf16", CPU) == torch.bfloat16
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        choose_precision("fp16", CPU)
    with pytest.raises(InputError, match="'fp8' is not known"):
        choose_precision("fp8", CPU)


def test_arithmetic_is_autocast() -> None:
    a = torch.ones(2, 2)
    with arithmetic(CPU, torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
    with arithmetic(CPU, torch.float32):
        assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((3, 4, 5), torch.channels_last), ((2, 4, 5, 6), torch.channels_last_3d)],
)
def test_a_batch_is_stacked_channels_last(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    tensors = [torch.rand(shape) for _ in range(3)]
    batch = batch_on(CPU, tensors)
    assert batch.is_contiguous(memory_format=layout)
    for number, tensor in enumerate(tensors):
        torch.testing.assert_close(batch[number], tensor, rtol=0, atol=0)


class _Host:
    """Stands for pinned memory where there is no GPU: what is stacked there, and how it leaves."""

    def __init__(self) -> None:
        self.allocated: list[dict[str, Any]] = []
        self.copies: list[dict[str, Any]] = []

    def empty(self, shape: tuple[int, ...], **options: Any) -> Tensor:
        self.allocated.append(options)
        return torch.zeros(shape, dtype=options["dtype"])

    def to(self, batch: Tensor, device: torch.device, **options: Any) -> Tensor:
        self.copies.append({"device": device, "values": batch.clone(), **options})
        return batch


def test_a_batch_for_a_gpu_goes_through_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    host = _Host()
    monkeypatch.setattr("fastcam.inference.device.torch.empty", host.empty)
    monkeypatch.setattr(
        Tensor, "to", lambda batch, device, **options: host.to(batch, device, **options)
    )
    tensors = [torch.full((1, 2, 2), float(number)) for number in range(3)]
    batch_on(torch.device("cuda"), tensors)
    assert host.allocated == [{"dtype": torch.float32, "pin_memory": True}]
    [copy] = host.copies
    assert (copy["device"], copy["non_blocking"]) == (torch.device("cuda"), True)
    assert copy["values"][:, 0, 0, 0].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_on_a_gpu() -> None:
    tensors = [torch.rand(3, 8, 8) for _ in range(4)]
    torch.testing.assert_close(
        batch_on(torch.device("cuda"), tensors).cpu(), torch.stack(tensors), rtol=0, atol=0
    )


@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 2, 5, 4), (7,)])
def test_stacked_rows_are_the_tensors_themselves(shape: tuple[int, ...]) -> None:
    tensors = list(torch.randn(4, *shape))
    whole = stacked(tensors)
    assert torch.equal(whole, torch.stack(tensors))
    if len(shape) > 1:
        assert torch.equal(batch_on(CPU, whole), batch_on(CPU, tensors))
        # Channels last already: nothing is copied.
        assert batch_on(CPU, whole).data_ptr() == whole.data_ptr()


def test_levels_lie_plane_by_plane() -> None:
    levels = list(torch.randint(0, 256, (4, 3, 5, 4), dtype=torch.uint8))
    assert stacked(levels).is_contiguous()
    assert batch_on(CPU, levels).is_contiguous()


def _levels_and_tables() -> tuple[Tensor, NDArray[np.float32]]:
    levels = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    return levels, np.random.default_rng(0).normal(size=(3, 256)).astype(np.float32)


@pytest.mark.parametrize("planes", [1, 3])
def test_levels_become_values(planes: int) -> None:
    levels, tables = _levels_and_tables()
    found = values_of(levels[:, :planes], tables)
    assert found.is_contiguous(memory_format=torch.channels_last)
    for channel in range(3):
        expected = tables[channel][levels[:, channel % planes].numpy()]
        np.testing.assert_array_equal(found[:, channel].numpy(), expected)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("planes", [1, 3])
def test_levels_become_the_same_values_on_a_gpu(planes: int) -> None:
    levels, tables = _levels_and_tables()
    found = values_of(batch_on(torch.device("cuda"), levels[:, :planes]), tables)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found.cpu(), values_of(levels[:, :planes], tables))

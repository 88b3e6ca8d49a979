"""Which device and arithmetic an option means."""

from __future__ import annotations

import pytest
import torch

from fastcam.errors import InputError
from fastcam.inference.device import arithmetic, choose_device, choose_precision

CPU = torch.device("cpu")


def test_auto_is_what_there_is() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_told() -> None:
    with pytest.raises(InputError, match=r"--device cuda: this PyTorch .* use --device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "mps"])
def test_unknown_devices(wanted: str) -> None:
    with pytest.raises(InputError, match="is not known: use one of auto, cpu, cuda"):
        choose_device(wanted)


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

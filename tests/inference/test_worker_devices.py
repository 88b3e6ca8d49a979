"""``--devices``, by hand."""

from __future__ import annotations

import pytest
import torch

from fastcam.errors import InputError
from fastcam.inference.worker_devices import worker_devices


@pytest.mark.parametrize(
    ("devices", "device", "gpus", "expected"),
    [
        ("all", "auto", 3, ("cuda:0", "cuda:1", "cuda:2")),
        ("2", "cuda", 3, ("cuda:0", "cuda:1")),
        ("2,0", "auto", 3, ("cuda:2", "cuda:0")),
        ("1,", "auto", 3, ("cuda:1",)),
        ("2", "auto", 0, ("cpu", "cpu")),
        ("1", "cpu", 3, ("cpu",)),
    ],
)
def test_devices(devices: str, device: str, gpus: int, expected: tuple[str, ...]) -> None:
    assert worker_devices(devices, device, gpus) == expected


@pytest.mark.parametrize(
    ("devices", "device", "gpus", "message"),
    [
        ("0,3", "auto", 3, r"--devices 0,3: there is no GPU 3; there are 3 GPUs, counted from 0"),
        ("1,", "auto", 1, r"--devices 1,: there is no GPU 1; there is 1 GPU, counted from 0"),
        ("4", "auto", 3, r"--devices 4: there are 3 GPUs"),
        ("0", "auto", 3, r"--devices 0: give at least 1"),
        ("99999999", "auto", 0, r"give all, a number"),
        ("1,1", "auto", 3, r"--devices 1,1: names a GPU twice"),
        ("a,b", "auto", 3, r"--devices 'a,b': give all, a number"),
        ("-1", "auto", 3, r"give all, a number"),
        ("", "auto", 3, r"give all, a number"),
        ("all", "auto", 0, r"--devices all: there is no GPU here; give a number"),
        ("0,1", "cpu", 4, r"--devices 0,1: there is no GPU here"),
        ("2", "cuda:1", 3, r"--devices 2 and --device cuda:1: give one of them"),
    ],
)
def test_devices_that_cant_be(devices: str, device: str, gpus: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        worker_devices(devices, device, gpus)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu() -> None:
    assert worker_devices("3", "auto") == ("cpu",) * 3
    with pytest.raises(InputError, match="--device cuda: this PyTorch"):
        worker_devices("3", "cuda")

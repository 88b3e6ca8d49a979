"""Batches that don't fit are run in halves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fastcam.attribution.batch_maps import BatchMaps
from fastcam.errors import InputError
from fastcam.inference.batch_halving import Halving


class Greedy:
    """Runs out of memory above ``limit`` images; the map of an image is its own first pixel."""

    def __init__(self, limit: int, error: Exception) -> None:
        self.limit, self.error = limit, error
        self.sizes: list[int] = []

    def __call__(self, batch: Tensor, targets: Any = None) -> BatchMaps:
        if len(batch) > self.limit:
            raise self.error
        self.sizes.append(len(batch))
        values = batch[:, 0, :1, :1]
        given = torch.arange(len(batch)) if targets is None else targets
        return BatchMaps({"a": values}, values[:, 0], targets=given[:, None])


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "python"])
def test_halves_until_it_fits_and_stays_there(error: Exception) -> None:
    engine, said = Greedy(3, error), list[str]()
    halving = Halving(engine, 16, said.append)
    batch = torch.arange(10.0).reshape(10, 1, 1, 1)
    made = halving(batch)
    assert torch.equal(made.maps["a"], batch[:, 0])
    assert torch.equal(made.output, batch[:, 0, 0])
    assert made.targets is not None
    assert made.targets.shape == (10, 1)
    assert engine.sizes == [2, 2, 2, 2, 2]
    assert said == [
        "out of memory with 10 images at once: going on with 5",
        "out of memory with 5 images at once: going on with 2",
    ]
    again = halving(batch[:4], torch.tensor([4, 3, 2, 1]))
    assert again.targets is not None
    assert again.targets[:, 0].tolist() == [4, 3, 2, 1]
    assert engine.sizes[5:] == [2, 2]
    assert len(said) == 2


def test_one_image_that_does_not_fit_is_an_error() -> None:
    halving = Halving(Greedy(0, ERRORS[0]), 4, lambda line: None)
    with pytest.raises(InputError, match=r"single image of shape \(3, 8, 8\)"):
        halving(torch.zeros(4, 3, 8, 8))


def test_another_error_is_not_swallowed() -> None:
    halving = Halving(Greedy(0, RuntimeError("shapes differ")), 4, lambda line: None)
    with pytest.raises(RuntimeError, match="shapes differ"):
        halving(torch.zeros(4, 3, 8, 8))

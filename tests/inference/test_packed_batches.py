"""Batches as readers hand them over: the tensors of a batch as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fastcam.inference.loader import Inputs, stack_inputs
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(size=(16, 16))


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (16, 18, 3), dtype=np.uint8)).save(path)
    paths[1].write_bytes(b"no picture")
    return [Item(id=path.stem, group="", source=path, mask=None, label="") for path in paths]


@pytest.mark.parametrize("readers", [0, 1])
def test_batches_are_the_inputs_one_by_one(items: list[Item], readers: int) -> None:
    inputs = Inputs(items, PREPROCESSING)
    batches = list(inputs.batches([range(3), range(3, 5)], readers))
    assert [[entry.index for entry in batch] for batch in batches] == [[0, 1, 2], [3, 4]]
    for entry in (entry for batch in batches for entry in batch):
        alone = inputs[entry.index]
        assert (entry.reason, entry.shape) == (alone.reason, alone.shape)
        assert bool(entry.reason) == (entry.index == 1)
        if alone.tensor is not None:
            assert entry.tensor is not None
            assert torch.equal(entry.tensor, alone.tensor)


def test_what_a_reader_stacked_is_not_stacked_again(items: list[Item]) -> None:
    (batch,) = Inputs(items, PREPROCESSING).batches([range(5)], 0)
    tensors = [entry.tensor for entry in batch if entry.tensor is not None]
    whole = stack_inputs(batch, torch.device("cpu"))
    assert torch.equal(whole, torch.stack(tensors))
    assert whole.data_ptr() == tensors[0].data_ptr()
    # Others than the rows that were stacked, or in another order, are.
    some = stack_inputs(batch[::-1], torch.device("cpu"))
    assert torch.equal(some, torch.stack(tensors[::-1]))
    assert torch.equal(stack_inputs(batch[2:], torch.device("cpu")), torch.stack(tensors[1:]))

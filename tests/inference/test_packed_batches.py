"""Batches as readers hand them over: the tensors of a batch as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from fastcam.inference import loader
from fastcam.inference.device import batch_on
from fastcam.inference.loader import Inputs, stack_inputs
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocessing import MEAN, STD, Preprocessing

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


def test_what_a_reader_stacked_is_not_stacked_again(
    items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    (batch,) = Inputs(items, PREPROCESSING).batches([range(5)], 0)
    tensors = [entry.tensor for entry in batch if entry.tensor is not None]
    values = [entry.values for entry in batch if entry.tensor is not None]
    seen = []
    monkeypatch.setattr(
        loader, "batch_on", lambda device, given: seen.append(given) or batch_on(device, given)
    )
    cpu = torch.device("cpu")
    assert torch.equal(stack_inputs(batch, cpu), torch.stack(values))
    assert seen[-1].data_ptr() == tensors[0].data_ptr()
    # Others than the rows that were stacked, or in another order, are.
    assert torch.equal(stack_inputs(batch[::-1], cpu), torch.stack(values[::-1]))
    assert isinstance(seen[-1], list)
    assert torch.equal(stack_inputs(batch[2:], cpu), torch.stack(values[1:]))
    assert isinstance(seen[-1], list)


def _expected(levels: NDArray[np.generic], largest: float) -> NDArray[np.float64]:
    """By the formula, for pictures of the model's size: (levels / largest - mean) / std."""
    planes = np.moveaxis(np.atleast_3d(levels), 2, 0).astype(np.float64) / largest
    mean, std = np.reshape(MEAN, (3, 1, 1)), np.reshape(STD, (3, 1, 1))
    return np.broadcast_to((planes - mean) / std, (3, *levels.shape[:2]))


@pytest.mark.parametrize("readers", [0, 1])
@pytest.mark.parametrize("kinds", [("rgb",), ("grey",), ("16 bits",), ("rgb", "grey", "16 bits")])
def test_a_batch_is_the_formula_whatever_its_files_are(
    tmp_path: Path, kinds: tuple[str, ...], readers: int
) -> None:
    rng = np.random.default_rng(1)
    items, expected = [], []
    for number in range(6):
        kind = kinds[number % len(kinds)]
        if kind == "16 bits":
            levels, largest = rng.integers(0, 65536, (16, 16), dtype=np.uint16), 65535.0
            # Black and white are percentiles 0.5 and 99.5.
            levels[0], levels[1] = 0, 65535
        else:
            shape = (16, 16, 3) if kind == "rgb" else (16, 16)
            levels, largest = rng.integers(0, 256, shape, dtype=np.uint8), 255.0
        path = tmp_path / f"{number}.png"
        Image.fromarray(levels).save(path)
        items.append(Item(id=path.stem, group="", source=path, mask=None, label=""))
        expected.append(_expected(levels, largest))
    (batch,) = Inputs(items, PREPROCESSING).batches([range(6)], readers)
    found = stack_inputs(batch, torch.device("cpu"))
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(found.numpy(), np.stack(expected), rtol=0, atol=2e-6)


def test_images_of_8_bits_travel_as_bytes(items: list[Item]) -> None:
    (batch,) = Inputs(items, PREPROCESSING).batches([range(5)], 1)
    kinds = {entry.tensor.dtype for entry in batch if entry.tensor is not None}
    assert kinds == {torch.uint8}

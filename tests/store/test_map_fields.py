"""Maps laid over a model's input, and their fields in a store, figures and exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fastcam
from fastcam.options import MapChoice
from fastcam.store.map_fields import MapField, over_input
from fastcam.store.map_rows import choose_rows
from fastcam.store.maps import MapStore


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 7),
    st.integers(1, 40),
    st.floats(-20, 20),
    st.floats(0.5, 20),
    st.booleans(),
    st.integers(0, 1000),
)
def test_linear_between_centres(
    cells: int, size: int, offset: float, stride: float, turned: bool, seed: int
) -> None:
    """np.interp on the centres of the cells, along each axis."""
    values = np.random.default_rng(seed).normal(size=(2, cells, 3)).astype(np.float32)
    step = -stride if turned else stride
    field = MapField((size, 5), (offset, 0.0), (step, 5 / 3), ((0.0, size), (0.0, 5.0)))
    found = over_input(values, field)
    assert found.shape == (2, size, 5)
    assert found.dtype == np.float32
    centres = offset + (np.arange(cells) + 0.5) * step
    order = np.argsort(centres)
    for n in range(2):
        rows = np.stack(
            [
                np.interp(np.arange(size) + 0.5, centres[order], values[n, order, k])
                for k in range(3)
            ],
            1,
        )
        across = (np.arange(3) + 0.5) * 5 / 3
        expected = [np.interp(np.arange(5) + 0.5, across, row) for row in rows]
        np.testing.assert_allclose(found[n], expected, rtol=1e-3, atol=1e-4)


def test_what_was_not_seen_has_nothing() -> None:
    field = MapField((2, 8), (0.0, 4.0), (1.0, 2.0), ((0.0, 2.0), (4.0, 8.0)))
    values = np.array([[1, 2], [3, 4]], np.float32)
    found = over_input(values, field)
    assert not found[:, :4].any()
    np.testing.assert_allclose(found[0, 4:], [1, 1.25, 1.75, 2])
    assert over_input(values, None) is values


def test_volumes_and_plain_numbers() -> None:
    field = MapField((4, 2, 2), (-1.0, 0.0, 0.0), (3.0, 1.0, 1.0), ((0, 4), (0, 2), (0, 2)))
    assert MapField.of_plain(field.plain()) == field
    found = over_input(np.arange(2, dtype=np.float32).repeat(4).reshape(2, 2, 2), field)
    np.testing.assert_allclose(found[:, 0, 0], [0, 1 / 3, 2 / 3, 1], atol=1e-6)


NETS = """
import torch
import torch.nn.functional as F
from torch import nn

class Patches(nn.Module):
    def __init__(self, pad):
        super().__init__()
        self.pad, self.body = pad, nn.Conv2d(3, 1, 16, stride=16)
        nn.init.ones_(self.body.weight), nn.init.zeros_(self.body.bias)

    def forward(self, x):
        if self.pad:
            x = F.pad(x, (0, -x.shape[3] % 16, 0, -x.shape[2] % 16))
        return torch.cat([self.body(x).mean((2, 3)), -self.body(x).mean((2, 3))], 1)

def padded(): return Patches(True)
def plain(): return Patches(False)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "images").mkdir()
    pixels = np.zeros((74, 100, 3), np.uint8)
    pixels[38:40, 86:88] = 255
    Image.fromarray(pixels).save(tmp_path / "images" / "dot.png")
    return tmp_path


def test_from_model_to_export(folder: Path) -> None:
    report = fastcam.infer(
        f"{folder / 'nets.py'}:padded",
        folder / "images",
        layers=["body#0"],
        method="hirescam",
        image_size=(74, 100),
        mean=(0, 0, 0),
        std=(1, 1, 1),
        output_dir=folder / "run",
    )
    assert not report.failures
    store = MapStore.open(folder / "run" / "run.zarr")
    name = "hirescam/body#0"
    assert store.map_names == (name,)
    assert store.map(name, 0).shape == (5, 7)
    assert store.field(name) == MapField(
        (74, 100), (0.0, 0.0), (16.0, 16.0), ((0.0, 74.0), (0.0, 100.0))
    )
    placed = over_input(store.shown_map(name, 0), store.field(name))
    assert placed.shape == (74, 100)
    np.testing.assert_array_equal(choose_rows(store, MapChoice())[0].read(store, 0), placed)
    # The dot is in the cell of rows 32 to 48 and columns 80 to 96.
    assert np.unravel_index(placed.argmax(), placed.shape) in [
        (r, c) for r in (39, 40) for c in (87, 88)
    ]
    fastcam.export(store.path, output_dir=folder / "out", format="npy")
    (file,) = (folder / "out").glob("*.npy")
    np.testing.assert_allclose(np.load(file), placed, atol=1e-6)


def test_maps_of_equal_cells_are_stored_as_before(folder: Path) -> None:
    fastcam.infer(
        f"{folder / 'nets.py'}:plain",
        folder / "images",
        layers=["body"],
        image_size=(64, 96),
        output_dir=folder / "run",
    )
    store = MapStore.open(folder / "run" / "run.zarr")
    for name in store.map_names:
        assert store.field(name) is None
        text = next((store.path / "maps").glob("*/*0/zarr.json")).read_text()
        assert '"field"' not in text
        assert choose_rows(store, MapChoice())[0].read(store, 0).shape == (4, 6)
        assert store.shape(name) == (4, 6)
    assert store.map_names == ("gradcam/body#0", "gradcam/body#1")


def test_layers_of_a_store_by_name(folder: Path) -> None:
    fastcam.infer(
        f"{folder / 'nets.py'}:plain",
        folder / "images",
        layers=["body"],
        image_size=(64, 96),
        output_dir=folder / "run",
    )
    store = MapStore.open(folder / "run" / "run.zarr")

    def arrays(*layers: str) -> list[str]:
        return [row.array for row in choose_rows(store, MapChoice(layers=layers))]

    assert arrays("body") == arrays() == ["gradcam/body#0", "gradcam/body#1"]
    assert arrays("body#1") == ["gradcam/body#1"]
    with pytest.raises(fastcam.errors.InputError, match="did you mean body"):
        arrays("body#2")
    report = fastcam.render(store.path, output_dir=folder / "figures")
    assert len(list((folder / "figures").glob("*.png"))) == 1
    assert report is not None

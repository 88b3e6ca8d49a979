"""Gradients, perturbations, segmentations and windows through the store, and onto figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.render.maps.captions import RenderCaptions, row_note
from fastcam.options import MapChoice
from fastcam.store.map_rows import choose_rows, segment_labels
from fastcam.store.maps import MapStore
from tests.noise_pictures import save_noise

SIZE = 16


class Net(nn.Module):
    """An answer for each image, or with ``dense`` one for each pixel."""

    def __init__(self, dense: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 3, 3, padding=1)
        self.dense = dense
        self.image_size = SIZE

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x).relu())
        return x if self.dense else x.mean((2, 3))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return save_noise(tmp_path / "images", ("im0", "im1", "im2"), (SIZE, SIZE))


def _infer(model: nn.Module, images: Path, output: Path, **options: Any) -> MapStore:
    fastcam.infer(
        model, images, output, device="cpu", compile=False, batch_size=2, workers=0, **options
    )
    return MapStore.open(output / "run.zarr")


def test_the_completeness_error_is_stored_and_shown(images: Path, tmp_path: Path) -> None:
    settings = fastcam.MethodSettings(steps=3)
    store = _infer(
        Net(),
        images,
        tmp_path / "out",
        method=["saliency", "integrated-gradients", "rise"],
        target=(0, 2),
        sign="both",
        method_settings=fastcam.MethodSettings(steps=3, masks=4),
    )
    assert store.map_names == ("saliency", "integrated-gradients", "rise")
    assert store.measure_names == ("integrated-gradients: completeness error",) * 2
    measures = store.headers[1].measures
    assert measures.shape == (2,)
    rows = choose_rows(store, MapChoice())
    notes = [row_note(row, store.headers[1]) for row in rows]
    assert notes[0] == ""
    assert notes[2:4] == [f"completeness error {value:.2g}" for value in measures]
    assert [row.signed for row in rows] == [False, False, True, True, True, True]
    # The map sums to the difference of the outputs, to that error.
    result = fastcam.explain(
        Net(),
        [images / "im1.png"],
        "integrated-gradients",
        target=[[0, 2]],
        sign="both",
        method_settings=settings,
        image_size=SIZE,
    )
    np.testing.assert_allclose(
        store.map("integrated-gradients", 1), result.maps["integrated-gradients"][0], atol=1e-6
    )
    assert store.attrs.settings["steps"] == 3
    assert "noise" not in store.attrs.settings


def test_settings_decide_whether_a_run_is_the_same(images: Path, tmp_path: Path) -> None:
    _infer(Net(), images, tmp_path / "out", method="rise",
           method_settings=fastcam.MethodSettings(masks=4))  # fmt: skip
    with pytest.raises(InputError, match="masks"):
        _infer(Net(), images, tmp_path / "out", method="rise",
               method_settings=fastcam.MethodSettings(masks=5))  # fmt: skip


def test_a_segmentation_is_stored_with_its_prediction(images: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for index in range(2):
        inside = np.zeros((SIZE, SIZE), np.uint8)
        inside[2:6, 3 : 9 + index] = 255
        Image.fromarray(inside).save(masks / f"im{index}.png")
    model = Net(dense=True)
    store = _infer(
        model,
        images,
        tmp_path / "out",
        method="gradcam",
        layers=["first"],
        target=("seg:1", "seg:2@mask"),
        mask_dir=masks,
    )
    assert store.attrs.settings["segments"] == ["seg:1", "seg:2@mask"]
    assert segment_labels(store) == (1, 2)
    rows = choose_rows(store, MapChoice())
    for index, header in enumerate(store.headers):
        labels = store.label_map(index)
        assert labels is not None
        assert labels.shape == (SIZE, SIZE)
        in_mask = {0: 24, 1: 28, 2: 0}[index]
        assert header.pixels.tolist() == [int((labels == 1).sum()), in_mask]
        assert header.targets.tolist() == [1, 2]
        assert header.prediction is None
        shares = [(labels == number).mean() for number in range(3)]
        np.testing.assert_allclose(header.output, shares, atol=1e-6)
        assert row_note(rows[1], header) == f"seg:2@mask, {in_mask} pixels"
        heading = RenderCaptions().heading(header, None, True)
        assert (
            heading.verdict
            == "class "
            + ", ".join(f"{number} on {share:.1%}" for number, share in enumerate(header.output))
            + " of the pixels"
        )
    # Nothing is inside of no mask.
    assert not store.map("gradcam/first", 2)[1].any()


def test_what_a_segmentation_needs(images: Path, tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "seg:CLASS, the sum of the logits"),
        ({"target": ("seg:7",)}, "3 classes, 0 to 2"),
        ({"target": ("seg:1@mask",)}, "no image has a mask"),
        ({"target": ("seg:1",), "task": "regression"}, "answers for every pixel"),
    )
    for options, words in cases:
        with pytest.raises(InputError, match=words):
            _infer(Net(dense=True), images, tmp_path / "out", method="gradcam", **options)
    with pytest.raises(InputError, match="no answer for every pixel"):
        _infer(Net(), images, tmp_path / "out", method="gradcam", target=("seg:1",))


def test_the_prediction_is_outlined_on_the_figure(images: Path, tmp_path: Path) -> None:
    _infer(Net(dense=True), images, tmp_path / "out", method="gradcam", target=("seg:1",))
    report = fastcam.render(
        tmp_path / "out" / "run.zarr", output_dir=tmp_path / "figures", workers=1, max_samples=1
    )
    assert report.exit_code == 0
    (figure,) = (tmp_path / "figures").glob("*.png")
    pixels = np.asarray(Image.open(figure).convert("RGB"))
    assert (pixels == (0, 255, 0)).all(-1).sum() > 100


def test_windows(images: Path, tmp_path: Path) -> None:
    store = _infer(
        Net(),
        images,
        tmp_path / "out",
        method=["gradcam", "saliency"],
        layers=["second"],
        windows=fastcam.WindowPlan((8,), 0.5),
    )
    assert store.map("gradcam/second", 0).shape == store.map("saliency", 0).shape == (SIZE, SIZE)
    assert store.note("saliency") == "of 9 windows"
    assert store.attrs.settings["windows"]["size"] == [8]


def test_one_window_for_all_is_told_once(images: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="--window 32: .* 16 x 16 pixels") as told:
        _infer(Net(), images, tmp_path / "o", method="saliency", windows=fastcam.WindowPlan((32,)))
    assert len([one for one in told if "--window" in str(one.message)]) == 1


def test_a_model_never_sees_more_than_a_window(images: Path, tmp_path: Path) -> None:
    """Also before the run: a whole input may be more than fits into memory."""
    sizes: set[tuple[int, ...]] = set()
    net = Net()
    net.register_forward_pre_hook(lambda _m, args: sizes.add(tuple(args[0].shape[2:])))
    windows = fastcam.WindowPlan((8,), 0.5)
    _infer(net, images, tmp_path / "out", method="saliency", windows=windows)
    assert sizes == {(8, 8)}

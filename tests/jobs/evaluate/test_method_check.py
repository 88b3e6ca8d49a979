"""Methods compared on one test set: each number against what measures it alone."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fastcam.attribution.engines import build_shown_engine
from fastcam.attribution.faithfulness.perturbation_curves import (
    FaithfulnessSettings,
    faithfulness,
    faithfulness_of_methods,
)
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.store.maps import MapStore

from .brightness import Brightness, run

SIZE = 16


class Blobs(nn.Module):
    """A logit for a bright left half and one for a bright right half."""

    image_size = SIZE

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1, stride=2)
        self.head = nn.Linear(4 * (SIZE // 2) ** 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.second(self.first(x).relu()).relu().flatten(1))
        return output


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    job = "fastcam.jobs.evaluate.job"
    monkeypatch.setattr(f"{job}.write_plots", lambda *arguments: [])
    monkeypatch.setattr(f"{job}.add_figures", lambda *arguments: None)
    rng = np.random.default_rng(0)
    for name in ("Images", "Masks"):
        (tmp_path / name).mkdir()
    rows = ["scan,grey level"]
    for number in range(8):
        pixels = rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"Images/im{number}.png")
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[:, : 4 + number] = 255
        Image.fromarray(mask).save(tmp_path / f"Masks/im{number}.png")
        rows.append(f"im{number},{number % 2}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    return tmp_path


def _table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_every_number_is_that_of_its_method_alone(halves: Path) -> None:
    model = Blobs()
    report = run(
        halves,
        model,
        task="classification",
        layers=["second"],
        compare_methods=["gradcam", "saliency", "smoothgrad"],
        compare_images=8,
    )
    out = halves / "out"
    names = {"methods.csv", "method_differences.csv", "methods.png", "methods.html"}
    assert names <= {path.name for path in report.files}
    table = _table(out / "methods.csv")
    store = MapStore.open(out / "run.zarr")
    assert list(table) == [
        "gradcam · second", "saliency", "smoothgrad", "random map", "centered blob",
    ]  # fmt: skip
    images = torch.stack(
        [
            torch.from_numpy(np.asarray(Image.open(header.source)) / 255).permute(2, 0, 1).float()
            for header in store.headers
        ]
    )
    masks = np.stack([np.asarray(Image.open(h.mask_source or "")) > 0 for h in store.headers])
    targets = torch.tensor([int(header.targets[0]) for header in store.headers])
    for name, array, passes in (
        ("gradcam · second", "gradcam/second", 1),
        ("saliency", "saliency", 1),
        ("smoothgrad", "smoothgrad", 26),
    ):
        row = table[name]
        maps = np.stack([store.shown_map(array, index) for index in range(8)])
        alone = faithfulness(
            model,
            images,
            torch.from_numpy(maps),
            targets,
            task="classification",
            settings=FaithfulnessSettings(steps=10),
        )
        for game in ("deletion", "insertion"):
            # Equal values of a rectified map are in another random order.
            slack = 0.02 if name.startswith("gradcam") else 1e-4
            assert float(row[game]) == pytest.approx(alone.auc(game).mean(), abs=slack)
        assert float(row["passes"]) == passes
        assert row["inside_images"] == row["deletion_images"] == row["stability_images"] == "8"
        if maps.shape[1:] == masks.shape[1:]:
            inside = [float(m[k].sum() / m.sum()) for m, k in zip(maps, masks, strict=True)]
            assert float(row["inside"]) == pytest.approx(np.mean(inside), abs=1e-5)
        engine = build_shown_engine(model, MapRequest((array.partition("/")[0],), ("second",)))
        flipped = []
        for axes in ((), (-1,), (-2,), (-1, -2)):
            values = engine(images.flip(axes), targets).maps[array].flip(axes)
            flipped.append(values.reshape(8, -1).numpy())
        mean = np.mean(flipped, axis=0)
        own = [
            np.mean([np.corrcoef(of_flip[i], mean[i])[0, 1] for of_flip in flipped])
            for i in range(8)
            if mean[i].any()
        ]
        assert float(row["stability"]) * 8 == pytest.approx(np.sum(own), abs=0.01)
        assert 0 <= float(row["randomized"]) <= 1
    assert float(table["random map"]["inside"]) == pytest.approx(masks.mean(), abs=1e-6)
    grid = ((np.arange(SIZE) + 0.5) / SIZE - 0.5) ** 2 / (2 * 0.25**2)
    blob = np.exp(-grid[:, None] - grid[None])
    expected = np.mean([blob[mask].sum() / blob.sum() for mask in masks])
    # The blob is at the resolution of the first method's maps, half the image's.
    assert float(table["centered blob"]["inside"]) == pytest.approx(expected, abs=0.01)
    assert any(note.startswith("deletion (low is good, 8 images)") for note in report.notes)
    page = (out / "methods.html").read_text()
    assert "gradcam · second" in page
    assert 'src="methods.png"' in page


def test_several_methods_share_their_baselines() -> None:
    model, images = Blobs(), torch.rand(2, 3, SIZE, SIZE)
    maps = {name: torch.rand(2, SIZE, SIZE) for name in "ab"} | {"flat": torch.zeros(2, 8, 8)}
    seen = []
    handle = model.register_forward_pre_hook(lambda m, inputs: seen.append(len(inputs[0])))
    settings = FaithfulnessSettings(steps=4, random_maps=2)
    together = faithfulness_of_methods(model, images, maps, 0, settings=settings)
    handle.remove()
    # The first pass tells how many outputs there are.
    assert sum(seen) == 1 + 2 * (2 * 3 * (2 + 2 + 1) + 3)
    for name in "ab":
        alone = faithfulness(model, images, maps[name], 0, settings=settings)
        np.testing.assert_allclose(together[name].deletion, alone.deletion, atol=1e-6)
        np.testing.assert_allclose(together[name].insertion, alone.insertion, atol=1e-6)
        np.testing.assert_array_equal(together[name].random_deletion, together["a"].random_deletion)
    assert together["flat"].reasons == ("the map has one value everywhere",) * 2
    assert np.isnan(together["flat"].deletion).all()


def test_what_can_not_be_compared(folder: Path) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"compare_methods": "gradcam"}, "two methods or more"),
        ({"compare_methods": ["gradcam", "nothing"]}, "'nothing' is not known"),
        ({"compare_methods": ["gradcam", "layercam"], "compare_images": 0}, "at least 1"),
    )
    for options, words in cases:
        with pytest.raises(InputError, match=words):
            run(folder, Brightness(), **options)
    assert not (folder / "out").exists()

"""A test set with three findings an image, from the table to the files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.render.gallery import read_gallery
from fastcam.jobs.view.open_runs import open_runs
from fastcam.jobs.view.request import ViewRequest

SIZE, COUNT = 24, 24
NAMES = ("Edema", "Mass", "Nodule")


class Thirds(nn.Module):
    """Each output is the brightness of a third of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.constant_(self.features.weight, 1 / 3)
        self.image_size = SIZE

    def forward(self, x: Tensor) -> Tensor:
        parts = self.features(x).relu().mean(1).chunk(3, 2)
        return torch.stack([8 * part.amax((1, 2)) - 4 for part in parts], 1)


@pytest.fixture(scope="module")
def test_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blobs in the thirds of the findings that an image has, and a mask of each."""
    folder = tmp_path_factory.mktemp("set")
    for name in ("images", *(f"masks/{name}" for name in NAMES)):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for index in range(COUNT):
        pixels = rng.integers(0, 90, (SIZE, SIZE), dtype=np.uint8)
        present = rng.random(3) < 0.5
        for number in np.flatnonzero(present):
            pixels[8:14, 8 * number + 2 : 8 * number + 6] = rng.integers(110, 255)
            mask = np.zeros((SIZE, SIZE), np.uint8)
            mask[8:14, 8 * number + 2 : 8 * number + 6] = 255
            Image.fromarray(mask).save(folder / "masks" / NAMES[number] / f"im{index:02d}.png")
        Image.fromarray(pixels).save(folder / "images" / f"im{index:02d}.png")
        cells = [str(int(value)) for value in present]
        cells[index % 3] = {0: "-1", 1: ""}.get(index % 8, cells[index % 3])
        rows.append([f"im{index:02d}", *cells])
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", *NAMES], *rows])
    return folder


def test_many_findings(test_set: Path, tmp_path: Path) -> None:
    report = fastcam.evaluate(
        Thirds(),
        test_set / "images",
        test_set / "table.csv",
        tmp_path,
        task="multilabel",
        method="hirescam",
        layers=["features"],
        mask_dir=test_set / "masks",
        device="cpu",
        compile=False,
        readers=0,
        workers=1,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        explain="3",
    )
    assert report.exit_code == 0
    content = json.loads((tmp_path / "test_metrics.json").read_text())
    predictions = list(csv.DictReader((tmp_path / "predictions.csv").open()))
    assert content["n"] == len(predictions) == COUNT
    table = {row["id"]: row for row in csv.DictReader((test_set / "table.csv").open())}
    for finding in content["findings"]:
        name = finding["name"]
        known = [row for row in predictions if table[row["id"]][name] in ("0", "1")]
        true = [int(table[row["id"]][name]) for row in known]
        assert [int(row[f"{name}_true"]) for row in known] == true
        shares = [float(row[f"{name}_probability"]) for row in known]
        assert finding["metrics"]["auc"]["value"] == pytest.approx(roc_auc_score(true, shares))
        assert finding["unknown"] == COUNT - len(known)
        # Each map lies in its own finding's mask.
        share = finding["localization"]["all"]["share"]["mean"]
        assert share > 0.9
        assert finding["localization"]["n"] == sum(true)
    assert content["macro"]["auc"]["value"] == pytest.approx(
        np.mean([finding["metrics"]["auc"]["value"] for finding in content["findings"]])
    )
    rows = list(csv.DictReader((tmp_path / "findings.csv").open()))
    assert [row["finding"] for row in rows] == [*NAMES, "micro", "macro"]
    assert (tmp_path / "evaluation_results.png").is_file()
    assert (tmp_path / "hirescam_worst_sample.png").is_file()
    assert any("uncertain (-1)" in note for note in report.notes)
    # Best and worst by finding, and a gallery that is filtered by them.
    for name in NAMES:
        for end in ("best", "worst"):
            assert (tmp_path / f"hirescam_{end}_{name}.png").is_file()
    verdicts = {r["id"]: r for r in csv.DictReader((tmp_path / "findings_by_image.csv").open())}
    for row in predictions:
        for name in NAMES:
            predicted = float(row[f"{name}_probability"]) >= 0.5
            words = {
                ("1", True): "found", ("1", False): "missed",
                ("0", True): "false alarm", ("0", False): "rightly absent",
            }  # fmt: skip
            expected = words.get((row[f"{name}_true"], predicted), "unknown")
            assert verdicts[row["id"]][name] == expected
    page = (tmp_path / "explained" / "index.html").read_text()
    worst = next(row for row in predictions if row["id"] in page)
    found = [name for name in NAMES if float(worst[f"{name}_probability"]) >= 0.5]
    assert f'"{", ".join(found) or "no finding"}"' in page
    gallery = read_gallery(tmp_path / "explained")
    (viewed,) = open_runs(ViewRequest(runs=(tmp_path / "explained",)))
    seen = {row.id: row for row in viewed.cases}
    for case in gallery.cases:
        present = [name for name in NAMES if table[case.name][name] == "1"]
        assert case.true_label == (", ".join(present) or "no finding")
        own = seen[case.name]
        assert (own.label, own.prediction) == (case.true_label, case.predicted_label)
    assert all(f'"name":"{name}"' in page.replace(" ", "") for name in NAMES)
    store = fastcam.open_store(tmp_path / "run.zarr")
    assert store.map("hirescam/features", 0).shape == (3, SIZE, SIZE)
    np.testing.assert_allclose(store.headers[0].targets, [0, 1, 2])


def test_as_many_columns_as_outputs(test_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model has 3 outputs, and 2 columns"):
        fastcam.evaluate(
            Thirds(), test_set / "images", test_set / "table.csv", tmp_path,
            task="multilabel", target="Edema,Mass", device="cpu",
        )  # fmt: skip

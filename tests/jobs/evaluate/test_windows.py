"""Test sets that a model sees window by window, against MONAI's inferer and its metrics."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from monai.metrics import compute_dice, compute_hausdorff_distance
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from typer.testing import CliRunner

import fastcam
from fastcam.cli.main import app
from fastcam.errors import InputError

_SIDE, _WINDOW = 24, (12, 16, 16)
_SPACING = (3.0, 2.0, 0.5)  # z, y, x
_NAMES = ("a", "b")


class Net(nn.Module):
    """Sees a few voxels around each, and no volume of more than a window."""

    def __init__(self, num_classes: int = 2, window: Any = _WINDOW) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.features = nn.Conv3d(1, 4, 3, padding=1)
        self.more = nn.Conv3d(4, 4, 3, padding=1)
        self.head = nn.Conv3d(4, num_classes, 1)
        self.image_size = (_SIDE,) * 3
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        assert tuple(x.shape[2:]) == self.window
        x = torch.relu(self.more(torch.relu(self.features(x))))
        answer: Tensor = self.head(x - x.mean((2, 3, 4), keepdim=True))
        return answer


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Blobs of 0 and 1, as (x, y, z), with masks that are others."""
    random = np.random.default_rng(5)
    affine = np.diag([*_SPACING[::-1], 1.0])
    for folder in ("Images", "Masks"):
        (tmp_path / folder).mkdir()
        for name in _NAMES:
            blobs = gaussian_filter(random.normal(size=(_SIDE,) * 3), 2) > 0.02
            dtype = np.float32 if folder == "Images" else np.int16
            image = nibabel.Nifti1Image(blobs.astype(dtype), affine)
            nibabel.save(image, tmp_path / folder / f"{name}.nii.gz")
    return tmp_path


def _voxels(volumes: Path, folder: str, name: str) -> Tensor:
    image: Any = nibabel.load(volumes / folder / f"{name}.nii.gz")
    return torch.from_numpy(np.asarray(image.dataobj, np.float32).transpose(2, 1, 0).copy())


@pytest.mark.parametrize("blend", ["gaussian", "constant"])
def test_a_segmentation_is_stitched_as_monai_does(volumes, tmp_path, blend):
    model = Net().eval()
    report = fastcam.evaluate(
        model, volumes / "Images", None, tmp_path / "out", method="hirescam", layers=["more"],
        windows=fastcam.WindowPlan(_WINDOW, 0.5, blend), task="segmentation", device="cpu",
        compile=False, readers=0, workers=1, mean=(0.0,), std=(1.0,),
    )  # fmt: skip
    assert report.exit_code == 0
    rows = {row["id"]: row for row in csv.DictReader((tmp_path / "out/predictions.csv").open())}
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    for index, name in enumerate(_NAMES):
        images = _voxels(volumes, "Images", name)[None, None]
        with torch.no_grad():
            logits = sliding_window_inference(images, _WINDOW, 4, model, 0.5, mode=blend)
        labels = logits.argmax(1)
        assert (store.label_map(index) != labels[0].numpy()).mean() < 1e-3
        predicted, true = labels[None].float(), _voxels(volumes, "Masks", name)[None, None]
        dice = float(compute_dice(predicted, true, include_background=True))
        distance = float(
            compute_hausdorff_distance(
                predicted, true, include_background=True, percentile=95, spacing=_SPACING
            )
        )
        assert 0.1 < dice < 0.9
        assert float(rows[name]["class 1_dice"]) == pytest.approx(dice, abs=1e-3)
        assert float(rows[name]["class 1_hausdorff95"]) == pytest.approx(distance, abs=1e-3)


def test_the_command(volumes, tmp_path):
    code = volumes / "net.py"
    root = str(Path(__file__).parents[3])
    code.write_text(
        f"import sys\nsys.path.insert(0, {root!r})\n"
        "from tests.jobs.evaluate.test_windows import Net\n"
    )
    arguments = (
        f"evaluate --model {code}:Net --image-dir {volumes / 'Images'} --method gradcam "
        f"--output-dir {tmp_path / 'out'} --window 12,16,16 --overlap 0.25 --window-blend constant "
        "--device cpu --readers 0 --workers 1 --num-classes 2"
    )
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 0, result.output
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    stated = store.attrs.settings["windows"]
    assert (stated["size"], stated["overlap"], stated["blend"]) == ([12, 16, 16], 0.25, "constant")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"faithfulness": 2}, "--faithfulness is for images that the model sees whole"),
        ({"compare_methods": ["gradcam", "saliency"]}, "sees whole, not window by window"),
    ],
)
def test_what_needs_whole_images_is_refused(volumes, tmp_path, options, words):
    class Answer(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).mean((2, 3, 4))

    table = volumes / "table.csv"
    table.write_text("id,label\na,0\nb,1\n")
    with pytest.raises(InputError, match=words.removeprefix("--")):
        fastcam.evaluate(
            Answer(), volumes / "Images", table, tmp_path / "out", device="cpu",
            windows=fastcam.WindowPlan(_WINDOW), mean=(0.0,), std=(1.0,), **options,
        )  # fmt: skip

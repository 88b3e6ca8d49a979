"""Images that an analyzed model sees window by window, against the windows one by one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import fastcam
from fastcam.cli.main import app
from fastcam.errors import InputError
from fastcam.read.inputs.model_input import prepare
from tests.attribution.nets import Small

_SIZE, _WINDOW = (24, 20), (16, 12)
_STARTS = [(y, x) for y in (0, 8) for x in (0, 6, 8)]  # at an overlap of a half


class Windowed(Small):
    """Takes no image of more than a window."""

    def __init__(self, num_classes: int = 3) -> None:
        torch.manual_seed(0)
        super().__init__(outputs=num_classes)
        self.image_size = _SIZE

    def forward(self, x: Tensor) -> Tensor:
        assert tuple(x.shape[2:]) == _WINDOW
        return super().forward(x)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        pixels = rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    return tmp_path / "in"


def _windows(analyzer: fastcam.Analyzer, path: Path) -> Tensor:
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    whole = torch.from_numpy(prepare(pixels, analyzer.request.preprocessing))
    return torch.stack([whole[:, y : y + 16, x : x + 12] for y, x in _STARTS])


def test_a_set_is_what_its_windows_are(images: Path, tmp_path: Path) -> None:
    model = Windowed().eval()
    plan = fastcam.WindowPlan(_WINDOW, 0.5, "constant")
    analyzer = fastcam.Analyzer(
        model, windows=plan, output_dir=tmp_path / "out", device="cpu", readers=0, batch_size=4
    )
    assert analyzer.layers == ("one.0", "two.0")
    found = analyzer.analyze_batch(images)
    assert found.exit_code == 0
    for image in found.images:
        windows = _windows(analyzer, image.source)
        with torch.no_grad():
            pooled = model(windows).mean(0)
            activations = model.one[0](windows).numpy()
        np.testing.assert_allclose(image.output, pooled, atol=1e-5)
        assert image.predicted == int(pooled.argmax())
        measured = image.layers["one.0"].activations
        assert measured is not None
        assert measured.mean == pytest.approx(activations.mean(), rel=1e-4)
        assert measured.std == pytest.approx(activations.std(), rel=1e-4)
        assert measured.max == pytest.approx(activations.max(), rel=1e-4)
        alone = analyzer.analyze(image.source)
        # Cells of this layer are pixels: HiResCAM's and Grad-CAM's alike are averaged where
        # windows overlap, each for the class of the whole image.
        sums, counts = np.zeros(_SIZE), np.zeros(_SIZE)
        for (y, x), window in zip(_STARTS, windows, strict=True):
            features = model.one[0](window[None]).detach().requires_grad_()
            last = model.relu(model.two(model.relu(model.one[1:](features))))
            rest = model.head(last.mean((2, 3)))
            (gradient,) = torch.autograd.grad(rest[0, image.predicted], features)
            cam = (gradient.mean((2, 3), keepdim=True) * features).sum(1)[0].detach().numpy()
            sums[y : y + 16, x : x + 12] += cam
            counts[y : y + 16, x : x + 12] += 1
        shown = np.maximum(sums / counts, 0)
        np.testing.assert_allclose(alone.maps["one.0"], shown, 1e-3, 1e-3 * shown.max())
        raw = image.layers["one.0"].feature_statistics.raw
        assert raw.max_activation == pytest.approx(shown.max(), rel=1e-3)
        assert raw.mean_activation == pytest.approx(shown.mean(), rel=1e-3)


def test_the_command_says_which_windows(images: Path, tmp_path: Path) -> None:
    code = tmp_path / "net.py"
    code.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
        "from tests.jobs.analyze.test_windows import Windowed\n"
    )
    arguments = (
        f"analyze --model {code}:Windowed --num-classes 3 --images {images} --window 16,12 "
        f"--overlap 0.5 --window-blend constant --output-dir {tmp_path / 'out'} --device cpu "
        "--workers 1 --panel-size 64"
    )
    made = CliRunner().invoke(app, arguments.split())
    assert made.exit_code == 0, made.output
    results: Any = json.loads((tmp_path / "out/analysis_results.json").read_text("utf-8"))
    assert results["windows"] == {"size": [16, 12], "overlap": 0.5, "blend": "constant"}
    report = (tmp_path / "out/summary_report.txt").read_text("utf-8")
    assert re.search(r"Windows: +16 x 12, overlap 0\.5, constant\n", report)
    assert fastcam.open_store(tmp_path / "out/run.zarr").note("gradcam/one.0") == "of 6 windows"
    # Other windows are another run.
    other = CliRunner().invoke(app, arguments.replace("0.5", "0.25").split())
    assert isinstance(other.exception, InputError)
    assert "windows" in str(other.exception)


def test_windows_that_cannot_be() -> None:
    with pytest.raises(InputError, match=r"windows 4,4,4: the model's input has 2 axes"):
        fastcam.Analyzer(Windowed(), windows=fastcam.WindowPlan((4, 4, 4)), device="cpu")


def test_halves_have_no_windows(tmp_path: Path, images: Path) -> None:
    analyzer = fastcam.Analyzer(
        Small(channels=6), image_size=(16, 16), windows=fastcam.WindowPlan((8,)), device="cpu",
        output_dir=tmp_path / "out", readers=0,
    )  # fmt: skip
    with pytest.raises(InputError, match="--window and --asymmetry"):
        analyzer.analyze_batch(images)
    assert not (tmp_path / "out" / "run.zarr").exists()

"""``fastcam.Analyzer`` in Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import fastcam
from fastcam.attribution.cam.engine import CamEngine
from fastcam.errors import InputError, OutputError
from fastcam.run.folder import RunFolder

from ..attribution.nets import Small


@pytest.fixture
def analyzer(tmp_path: Path) -> fastcam.Analyzer:
    torch.manual_seed(0)
    return fastcam.Analyzer(
        Small(outputs=3), image_size=(32, 24), output_dir=tmp_path / "out", device="cpu", readers=0
    )


def test_one_image_in_memory(analyzer: fastcam.Analyzer) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    found = analyzer.analyze(Image.fromarray(pixels))
    assert analyzer.layers == ("one.0", "two.0")
    assert list(found.maps) == ["one.0", "two.0"]
    assert found.result.size == (64, 48)
    statistics = found.result.layers["two.0"].feature_statistics
    assert statistics.raw.max_activation == pytest.approx(float(found.maps["two.0"].max()))
    assert found._repr_png_().startswith(b"\x89PNG")
    assert found.at_input is None
    from fastcam.read.inputs.model_input import prepare

    batch = torch.from_numpy(prepare(pixels, analyzer.request.preprocessing))[None]
    known = CamEngine(analyzer.request.models.model, analyzer.layers)(batch)
    shown = known.maps["gradcam/two.0"][0].relu()
    np.testing.assert_allclose(found.maps["two.0"], shown, atol=1e-6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.result.id = "other"  # type: ignore[misc]


def test_a_batch_is_the_command(analyzer: fastcam.Analyzer, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a/1.jpg", "b/1.jpg", "b/2.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            tmp_path / "in" / name
        )
    found = analyzer.analyze_batch(tmp_path / "in", "*/*.jpg")
    assert [image.id for image in found.images] == ["a/1", "b/1"]
    assert found.exit_code == 0
    assert (found.output_dir / found.images[0].layers["one.0"].heatmap_path).is_file()
    one = analyzer.analyze(tmp_path / "in" / "a" / "1.jpg")
    stored = found.images[0].layers["two.0"].feature_statistics
    own = one.result.layers["two.0"].feature_statistics
    assert own.raw.max_activation == pytest.approx(stored.raw.max_activation, rel=1e-4)
    assert own.activation_area == pytest.approx(stored.activation_area, abs=1e-3)


def test_a_record_that_cannot_be_written_is_no_success(
    analyzer: fastcam.Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (40, 40), (90, 10, 30)).save(tmp_path / "in" / "1.png")

    write = RunFolder.write_run

    def full(folder: RunFolder, facts: Mapping[str, Any]) -> None:
        if facts["status"] == "finished":
            raise OutputError("the disk is full")
        write(folder, facts)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_run", full)
        with pytest.raises(OutputError, match="the disk is full"):
            analyzer.analyze_batch(tmp_path / "in")
    found = analyzer.analyze_batch(tmp_path / "in")
    assert (found.exit_code, found.figures_drawn) == (0, 0)


def test_halves_in_memory(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Small(channels=6)
    with torch.no_grad():
        first = model.one[0].weight
        assert isinstance(first, torch.Tensor)
        first[:, 3:] = 0
    analyzer = fastcam.Analyzer(model, image_size=(16, 16), mirror=True, device="cpu")
    found = analyzer.analyze(np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8))
    assert found.result.left_share == 1.0
    assert found.at_input is not None
    assert found.at_input.shape == (16, 32)
    assert not found.at_input[:, 16:].any()
    assert analyzer.request.preprocessing.halves == "mirror"
    assert len(analyzer.request.preprocessing.mean) == 6


def test_what_is_no_image(analyzer: fastcam.Analyzer, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no")
    with pytest.raises(InputError, match=r"x\.png"):
        analyzer.analyze(tmp_path / "x.png")
    with pytest.raises(InputError):
        analyzer.analyze(3)

"""Images of so many figures that several workers draw one: its numbers count once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import fastcam
from fastcam.jobs.analyze.request import AnalyzeOptions
from fastcam.options import Style

LAYERS = 70


def test_an_image_in_several_work_items_is_measured_once(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        picture = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"images/{name}.png")
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 3, 1) for _ in range(LAYERS)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )
    analysis = fastcam.Analyzer(
        model,
        layers=[str(index) for index in range(LAYERS)],
        device="cpu",
        readers=0,
        options=AnalyzeOptions(Style(panel_size=32), workers=1),
    ).analyze_batch(tmp_path / "images", output_dir=tmp_path / "out")
    assert analysis.figures_drawn > 2 * 128
    assert [image.id for image in analysis.images] == ["a", "b"]
    assert all(len(image.layers) == LAYERS for image in analysis.images)

"""Six grey images whose brightness a model tells exactly, and how they are evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.jobs.evaluate.report import EvaluationReport

GREYS = (50, 100, 150, 200, 250, 120)


class Brightness(nn.Module):
    """A picture's mean brightness, 0 to 255, as one number, or as classes dark and bright."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 2, 1, bias=False)
        self.head = nn.Linear(2, classes, bias=classes > 1)
        with torch.no_grad():
            self.features.weight.fill_(1 / 3)
            self.head.weight.fill_(127.5)
            if classes > 1:
                self.head.weight[:] = torch.tensor([[-5.0], [5.0]])
                self.head.bias[:] = torch.tensor([5.0, -5.0])
        self.image_size = 16
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        output: Tensor = self.head(self.features(x).mean((2, 3)))
        return output


class Three(Brightness):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).repeat(1, 3)


def write_set(tmp_path: Path) -> Path:
    """Six images of one grey each with masks over their left half, and their table."""
    for name in ("Images/a", "Masks/a"):
        (tmp_path / name).mkdir(parents=True)
    for at, grey in enumerate(GREYS):
        pixels = np.full((20, 24), grey, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"Images/a/im{at}.png")
        mask = np.zeros((20, 24), np.uint8)
        mask[:, :12] = 255
        Image.fromarray(mask).save(tmp_path / f"Masks/a/im{at}.png")
    rows = [f"im{at}.jpg,{grey + 2 * at}" for at, grey in enumerate(GREYS)]
    (tmp_path / "table.csv").write_text("\n".join(["scan,grey level", *rows]))
    return tmp_path


def run(folder: Path, model: nn.Module | None = None, **options: Any) -> EvaluationReport:
    """Evaluate the set in ``folder`` into ``folder/out``."""
    defaults: dict[str, Any] = {
        "mean": [0] * 3,
        "std": [1] * 3,
        "batch_size": 4,
        "readers": 0,
        "workers": 1,
        "panel_size": 64,
        "group_width": 100,
    }
    paths: dict[str, Any] = {"image_dir": folder / "Images", "table": folder / "table.csv"}
    paths = {name: options.pop(name, path) for name, path in paths.items()}
    return fastcam.evaluate(
        model or Brightness(), **paths, output_dir=folder / "out", **defaults | options
    )


def read(folder: Path) -> dict[str, Any]:
    """The metrics that were written; NaN in them is an error."""
    text = (folder / "out/test_metrics.json").read_text(encoding="utf-8")
    metrics: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return metrics

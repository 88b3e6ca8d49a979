"""What the tests of ``fastcam analyze`` look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NET = """
import torch
from torch import nn

def factory(in_channels=CHANNELS, num_classes=2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1),
        nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, OUTPUTS))
"""
LAYERS = ("2", "5")


def class_folders(tmp_path: Path) -> Path:
    """Two class folders, with a name that both have."""
    rng = np.random.default_rng(0)
    for folder, names in (("cat", ("1", "2", "3")), ("dog", ("1", "4", "5"))):
        (tmp_path / "images" / folder).mkdir(parents=True)
        for name in names:
            pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / folder / f"{name}.png")
    return tmp_path / "images"


def results(folder: Path) -> Any:
    return json.loads((folder / "analysis_results.json").read_text(encoding="utf-8"))

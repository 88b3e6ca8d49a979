"""Small 2-D models and volumes for slice-wise runs, and what the models give, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fastcam.api.infer import infer

SIZE = 16


class Small(nn.Module):
    """Two convolutions and a head, for one grey picture, or several channels."""

    def __init__(self, channels: int = 1, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.head = nn.Linear(6, classes)
        self.image_size = SIZE
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        x = torch.relu(self.second(torch.relu(self.first(x))))
        found: Tensor = self.head(x.mean((2, 3)))
        return found


class Brightness(nn.Module):
    """Its one layer gives the picture itself, so that the map of its only output is the picture."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.ones_(self.layer.weight)
        self.image_size = (SIZE, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).sum((2, 3))


def model_of(channels: int = 1, classes: int = 3) -> Small:
    torch.manual_seed(3)
    return Small(channels, classes).eval()


AFFINE = np.diag([-1.0, -1.5, 2.0, 1.0])


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = AFFINE) -> None:
    """``array`` (x, y, z) as NIfTI."""
    nibabel.Nifti1Image(array, affine).to_filename(path)


def load(path: Path) -> Any:
    return nibabel.load(path)


def volumes(folder: Path, depths=(5, 3, 4), masks: bool = False) -> Path:
    """``v0``, ``v1``, ... of 20 x 18 voxels and that many slices, in ``folder/images``."""
    root = folder / "images"
    root.mkdir()
    rng = np.random.default_rng(5)
    for number, depth in enumerate(depths):
        save(root / f"v{number}.nii.gz", rng.normal(50, 300, (20, 18, depth)).astype(np.int16))
    return root


def run(model: nn.Module, images: Any, output: Path, **options: Any) -> Any:
    given = {"method": "gradcam", "layers": ["second"], "batch_size": 4, "workers": 0}
    given |= {"mean": (0.5,), "std": (0.25,)} if not hasattr(model, "own") else {}
    return infer(model, images, output, **{**given, **options})


def picture_by_hand(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """A slice (rows, columns) windowed to 0 and 255, resized by Pillow, as a model wants it."""
    grey = np.clip((plane.astype(np.float64) - low) / (high - low), 0, 1) * 255
    resized = Image.fromarray(grey.astype(np.float32)).resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR
    )
    return (np.asarray(resized, np.float64) / 255 - 0.5) / 0.25


def by_hand(model: Small, x: np.ndarray) -> tuple[Tensor, Tensor]:
    """Grad-CAM and output of one input (c, h, w), by its formula."""
    batch = torch.from_numpy(x.astype(np.float32))[None]
    activations = model.second(torch.relu(model.first(batch))).detach().requires_grad_()
    output = model.head(torch.relu(activations).mean((2, 3)))
    (gradient,) = torch.autograd.grad(output.max(), activations)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * activations).sum(1)[0].detach(), output[0].detach()


def window_of(array: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(array, [0.5, 99.5])
    return float(low), float(high)

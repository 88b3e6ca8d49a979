"""Small detectors for the tests: one with weights set by hand, and its answer in other forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

SIDE = 32
CELL = 8


class Boxes(NamedTuple):
    """The parts of an answer."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor


class SquareDetector(nn.Module):
    """Finds bright squares of label 0 and dark ones of label 1, one in each cell of 8 pixels.

    ``form``: how it answers: "list" of mappings, "tuple" of losses and that list, "named" tuples,
    "mapping" of tensors by image.
    """

    def __init__(self, form: str = "list") -> None:
        super().__init__()
        self.form = form
        self.backbone = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AvgPool2d(CELL))
        self.head = nn.Conv2d(2, 2, 3, padding=1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            self.backbone[0].weight[:, 0, 1, 1] = torch.tensor([1.0, -1.0])
            self.head.weight[:, :, 1, 1] = 4 * torch.eye(2)
            # The cells beside it count a little.
            self.head.weight[:, :, 1, 0] = 0.5 * torch.eye(2)
            nn.init.constant_(self.head.bias, -3.0)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Any:
        scores = self.head(self.backbone(images)).sigmoid()
        results = [_boxes_of(of_image) for of_image in scores]
        if self.form == "named":
            return [Boxes(**result) for result in results]
        if self.form == "mapping":
            return {name: [result[name] for result in results] for name in results[0]}
        return ({}, results) if self.form == "tuple" else results


def _boxes_of(scores: Tensor) -> dict[str, Tensor]:
    """``scores`` (2, h, w) as boxes of their cells, as they come; those below 0.5 are dropped."""
    labels, rows, columns = (scores > 0.5).nonzero(as_tuple=True)
    corners = torch.stack([columns, rows, columns + 1, rows + 1], 1) * float(CELL)
    return {"boxes": corners, "labels": labels, "scores": scores[labels, rows, columns]}


def random_squares(count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 32, 32) of bright and dark squares in noise, and where they are: (n, 2, 4, 4),
    1 in the cell of a square of the label."""
    images = torch.from_numpy(rng.normal(0, 0.3, (count, 1, SIDE, SIDE)).astype(np.float32))
    cells = torch.zeros(count, 2, SIDE // CELL, SIDE // CELL)
    for image, of_image in zip(images, cells, strict=True):
        places = rng.choice((SIDE // CELL) ** 2, int(rng.integers(1, 4)), replace=False)
        for row, column in zip(*divmod(places, SIDE // CELL), strict=True):
            label = int(rng.integers(2))
            of_image[label, row, column] = 1.0
            part = image[0, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
            part += 1.0 - 2.0 * label
    return images, cells


def trained_detector(seed: int = 0) -> SquareDetector:
    """A :class:`SquareDetector` of eight channels that learnt its weights from such images."""
    torch.manual_seed(seed)
    model = SquareDetector()
    model.backbone = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(CELL))
    model.head = nn.Conv2d(8, 2, 3, padding=1)
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        images, cells = random_squares(32, rng)
        logits = model.head(model.backbone(images))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, cells)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def square_images() -> Tensor:
    """(3, 1, 32, 32): a bright and a weaker dark square; a bright one; nothing."""
    images = torch.zeros(3, 1, SIDE, SIDE)
    images[0, 0, 8:16, 16:24] = 2.0
    images[0, 0, 24:32, 0:8] = -1.5
    images[1, 0, 0:8, 8:16] = 1.6
    return images


def write_square_images(folder: Path) -> Path:
    """Those images as PNG files, each twice as large as the model sees it."""
    folder.mkdir()
    for number, image in enumerate(square_images()[:, 0]):
        pixels = (image.numpy() * 50 + 100).astype(np.uint8)
        Image.fromarray(pixels).resize((2 * SIDE, 2 * SIDE), 0).save(folder / f"im{number}.png")
    return folder

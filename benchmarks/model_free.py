"""``fastcam infer`` with a model that costs nothing beside a bare loop over the same files.

What is left is reading, preprocessing and the store: what a GPU of thousands of images a second
waits for. Files of 512x512 pixels, to 224x224:

- ``bare``   as many processes as readers, each with its share of the files: Pillow decodes, resizes
  (bilinear, with antialiasing) and NumPy normalizes; nothing is handed on
- ``infer``  the same files through `infer`: Grad-CAM of one layer, predictions, the store

PyTorch has one thread: more of them wait for work at full speed, on the cores that the readers
need, where a GPU would do that work. They take turns, as in benchmarks/bench_infer.py, which has
this as ``--model-free``.
"""

from __future__ import annotations

import multiprocessing
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.alternating import rates_in_turns
from fastcam.api.infer import infer

SIDE = 224
FORMATS = {"jpg": 3, "png16": 1}
_BATCH = 16


class FreeNet(nn.Module):
    """One convolution over every 32nd pixel: about 0.02 ms an image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 4, 1, stride=32)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.relu(self.layer(x)).mean((2, 3)))
        return logits


def make_grey(folder: Path, count: int) -> None:
    """PNG files of 16 bits, smooth noise with grain, as radiographs are."""
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = rng.integers(0, 4096, (64, 64)).astype(np.float32)
        smooth = Image.fromarray(coarse).resize((512, 512), Image.Resampling.BICUBIC)
        levels = np.clip(np.asarray(smooth) + rng.normal(0, 6, (512, 512)), 0, 4095)
        Image.fromarray(levels.astype(np.uint16)).save(folder / f"{index:05d}.png")


def read_bare(paths: list[Path], channels: int) -> float:
    """Decode, resize and normalize the files; a sum of what came out, so that nothing is left out.

    Pillow resizes grey levels of 16 bits as floats only.
    """
    mean, std = np.full(channels, 0.5, np.float32), np.full(channels, 0.25, np.float32)
    total = 0.0
    for path in paths:
        with Image.open(path) as picture:
            image = picture.convert("RGB") if channels == 3 else picture.convert("F")
            small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        values = np.asarray(small, np.float32).reshape(SIDE, SIDE, channels)
        scaled = (values / (255.0 if channels == 3 else 65535.0) - mean) / std
        total += float(np.ascontiguousarray(scaled.transpose(2, 0, 1))[0, 0, 0])
    return total


def bare_rate(paths: list[Path], channels: int, processes: int) -> float:
    """Images a second of ``processes`` that share the files out, the time to fork included."""
    shares = [(paths[number::processes], channels) for number in range(processes)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        start = time.perf_counter()
        pool.starmap(read_bare, shares, chunksize=1)
        return len(paths) / (time.perf_counter() - start)


def infer_rate(model: nn.Module, images: Path, output: Path, channels: int, readers: int) -> float:
    """Images a second of infer's own loop, from the first batch read to the last one written."""
    shutil.rmtree(output, ignore_errors=True)
    report = infer(
        model,
        images,
        output,
        method="gradcam",
        layers=["layer"],
        image_size=SIDE,
        mean=[0.5] * channels,
        std=[0.25] * channels,
        batch_size=_BATCH,
        workers=readers,
    )
    return report.images_per_second


def measure(images: Path, channels: int, readers: int, rounds: int) -> dict[str, Any]:
    """Median rates of both ways and their ratio."""
    paths = sorted(images.iterdir())
    model = FreeNet(channels).eval()
    output = images.parent / "out"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return rates_in_turns(
            ("bare", lambda: bare_rate(paths, channels, readers)),
            ("infer", lambda: infer_rate(model, images, output, channels, readers)),
            rounds,
        )
    finally:
        torch.set_num_threads(threads)

"""``fastcam infer`` over slices of volumes beside the same slices saved as PNG: slices a second.

A small CNN, so that reading counts, at 224x224, batches of 16, Grad-CAM and its store included:

- ``png``     a folder of pictures, one a slice, 8 bits, as they are exported for 2-D networks
- ``volume``  the volumes they come from, 16 bits, gzipped NIfTI: each is decoded once

Both by the same number of readers; they take turns. A ratio is that of one run over volumes to the
mean of the runs over pictures before and after it, since the machine's speed changes within
minutes; the median of the rounds counts. The rate is that of infer's own loop, from the first batch
read to the last one written.

Run: python -m benchmarks.bench_slices [--quick] [--volumes N] [--slices N] [--rounds N]
     [--readers N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from benchmarks.alternating import rates_in_turns
from fastcam.api.infer import infer

SIDE = 512


class SmallNet(nn.Module):
    """Three convolutions: some 3 ms an image on one core."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 7, stride=4, padding=3)
        self.middle = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.last = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.head = nn.Linear(32, 2)
        self.image_size = 224

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.stem, self.middle, self.last):
            x = torch.relu(layer(x))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def make_inputs(volumes: Path, pictures: Path, count: int, depth: int) -> None:
    """Volumes of smooth noise with grain, as scans are, and their slices as PNG."""
    rng = np.random.default_rng(0)
    for number in range(count):
        smooth = gaussian_filter(rng.normal(0, 1, (depth, SIDE // 4, SIDE // 4)), (1, 4, 4))
        smooth = smooth.repeat(4, axis=1).repeat(4, axis=2) * (400 / smooth.std())
        voxels = (smooth + rng.normal(0, 12, smooth.shape)).astype(np.int16)
        low, high = np.percentile(voxels, [0.5, 99.5])
        image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), np.diag([0.5, 0.5, 2.0, 1.0]))
        image.header["cal_min"], image.header["cal_max"] = low, high
        image.to_filename(volumes / f"v{number:02d}.nii.gz")
        grey = np.rint(np.clip((voxels - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        for z in range(depth):
            Image.fromarray(grey[z]).save(pictures / f"v{number:02d}_{z:03d}.png")


def rate(model: nn.Module, inputs: Path, output: Path, readers: int, batch: int) -> float:
    """Slices a second of infer."""
    shutil.rmtree(output, ignore_errors=True)
    report = infer(
        model,
        inputs,
        output,
        method="gradcam",
        layers=["last"],
        batch_size=batch,
        workers=readers,
        compile=False,
    )
    if report.exit_code:
        raise SystemExit(f"{inputs}: {report.failures[0].reason}")
    return report.images_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few slices, one round")
    parser.add_argument("--volumes", type=int, default=6)
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.volumes, options.slices, options.rounds, options.batch = 2, 3, 1, 4
    torch.manual_seed(0)
    model = SmallNet().eval()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.readers} readers"
    )
    with tempfile.TemporaryDirectory() as folder:
        volumes, pictures, output = (Path(folder) / name for name in ("volumes", "png", "out"))
        volumes.mkdir()
        pictures.mkdir()
        make_inputs(volumes, pictures, options.volumes, options.slices)
        run = partial(rate, model, output=output, readers=options.readers, batch=options.batch)
        run(pictures)
        result = rates_in_turns(
            ("png", lambda: run(pictures)), ("volume", lambda: run(volumes)), options.rounds
        )
    print(
        f"png {result['png']:.1f}/s, volume {result['volume']:.1f}/s: {result['ratio']:.2f} of it "
        f"({', '.join(f'{ratio:.2f}' for ratio in result['ratios'])})"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

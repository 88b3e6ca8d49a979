"""``fastcam infer`` as a whole beside the bare forward loop: images a second, store included.

A model with random weights, by default a ResNet-50, 224x224, batches of 16, on JPEG files of
512x512 pixels. Ways:

- ``forward``  the model over batches that lie in memory, preprocessed: nothing is read or written
- ``infer``    files in, Grad-CAM of the last stage, or attention of a ViT's last layer, predictions
  and probabilities in the store out

Both in the same precision and with channels last, both compiled or neither; they take turns. A
ratio is that of one infer to the mean of the forward loops before and after it, since the machine's
speed changes within minutes; the median of the rounds counts.
The rate of infer is that of its own loop, from the first batch read to the last one written;
what comes before (finding files, loading the model) is a second whatever the number of images.

``--model-free`` measures the road without the model instead: benchmarks/model_free.py.

Run: python -m benchmarks.bench_infer [--quick] [--model NAME]... [--images N] [--rounds N]
     [--precision P]... [--compile] [--json FILE]
     python -m benchmarks.bench_infer --model-free [--images 2000] [--rounds N] [--readers N]...
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import model_free
from benchmarks.alternating import rates_in_turns
from fastcam.api.infer import infer
from fastcam.inference.device import arithmetic, choose_device, choose_precision
from fastcam.models.registry import load_model

SIDE = 224
# What infer stores of each model.
MAPS: dict[str, dict[str, Any]] = {
    "resnet18": {"method": "gradcam", "layers": ["layer4"]},
    "resnet50": {"method": "gradcam", "layers": ["layer4"]},
    "vit_base": {"method": "attention", "layers": [-1]},
}


def make_images(folder: Path, count: int) -> None:
    """JPEG files of smooth noise, about 60 KB each, as photographs of this size are."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((512, 512), Image.Resampling.BICUBIC)
        grain = rng.normal(0, 6, (512, 512, 3))
        noisy = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{index:05d}.jpg", quality=90)


def bare_loop(
    model: nn.Module, count: int, batch_size: int, precision: str, compiled: bool
) -> float:
    """Images a second of the model alone."""
    call = torch.compile(model) if compiled else model
    device = choose_device("auto")
    dtype = choose_precision(precision, device)
    batch = torch.randn(batch_size, 3, SIDE, SIDE, device=device)
    batch = batch.contiguous(memory_format=torch.channels_last)
    batches = -(-count // batch_size)
    with torch.no_grad(), arithmetic(device, dtype):
        call(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(batches):
            call(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()
    return batches * batch_size / (time.perf_counter() - start)


def infer_loop(
    name: str,
    model: nn.Module,
    images: Path,
    output: Path,
    options: argparse.Namespace,
    precision: str,
) -> float:
    """Images a second of infer."""
    shutil.rmtree(output, ignore_errors=True)
    report = infer(
        model,
        images,
        output,
        **MAPS[name],
        batch_size=options.batch,
        precision=precision,
        compile=options.compile,
    )
    return report.images_per_second


def measure(
    name: str, model: nn.Module, images: Path, options: argparse.Namespace, precision: str
) -> Any:
    """Median rates of both ways and their ratio."""
    count = len(list(images.iterdir()))
    model = model.to(choose_device("auto"))
    output = images.parent / "out"
    return rates_in_turns(
        ("forward", lambda: bare_loop(model, count, options.batch, precision, options.compile)),
        ("infer", lambda: infer_loop(name, model, images, output, options, precision)),
        options.rounds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few images, one round")
    parser.add_argument("--model", action="append", choices=MAPS, help="default: resnet50")
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", action="append", choices=("fp32", "bf16"))
    parser.add_argument("--compile", action="store_true", help="torch.compile, on both sides")
    parser.add_argument("--model-free", action="store_true", help="reading and storing only")
    parser.add_argument("--readers", type=int, action="append", help="with --model-free; 1 and 2")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.images, options.rounds, options.batch = 4, 1, 2
    names = options.model or ["resnet18" if options.quick else "resnet50"]
    warnings.simplefilter("ignore")  # of random weights
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {choose_device('auto')}")
    measured = without_model(options) if options.model_free else with_models(options, names)
    if options.json is not None:
        options.json.write_text(json.dumps(measured, indent=2))


def show(label: str, result: dict[str, Any]) -> None:
    """A line: both rates, the median ratio and those of the rounds."""
    rates = ", ".join(
        f"{way} {rate:.2f}/s" for way, rate in result.items() if not way.startswith("ratio")
    )
    rounds = ", ".join(f"{ratio:.3f}" for ratio in result["ratios"])
    print(f"{label}: {rates}, {result['ratio']:.3f} of it ({rounds})")


def without_model(options: argparse.Namespace) -> dict[str, Any]:
    """Rates of reading and storing, by format and number of readers."""
    results = {}
    for kind, channels in model_free.FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            images = Path(folder) / "images"
            images.mkdir()
            (make_images if channels == 3 else model_free.make_grey)(images, options.images)
            for readers in options.readers or [1, 2]:
                result = model_free.measure(images, channels, readers, options.rounds)
                label = f"{kind}, {readers} readers"
                results[label] = result
                show(label, result)
    return results


def with_models(options: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """Rates of infer beside the forward loop, by model and precision."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        make_images(images, options.images)
        for name, precision in product(names, options.precision or ["fp32"]):
            result = measure(name, load_model(name), images, options, precision)
            label = f"{name}, {precision}" if options.model else precision
            results[label] = result
            show(label, result)
    return results


if __name__ == "__main__":
    main()

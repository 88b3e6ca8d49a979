"""``fastcam evaluate`` and ``analyze`` as a whole beside the bare forward loop.

A ResNet-50 with one output and random weights, 224x224, batches of 16, on JPEG files of 512x512
pixels with masks and a table. Ways, all in the same precision and with channels last:

- ``forward``    the model over batches that lie in memory, preprocessed: nothing read or written
- ``evaluate``   files in; Grad-CAM, metrics, plots, localisation and the best and worst figures out
- ``draw``       what drawing the plots and figures alone takes: evaluate again on its finished
                 run, where the model doesn't run any more
- ``analyze``    four layers, their statistics, pictures and report; ``draw 4`` as ``draw``

Ways take turns in every round and the median counts. Ratios are a way's seconds less those of its
drawing, over the forward loop's; what comes before (finding files, loading the model) is in them.

Run: python -m benchmarks.bench_evaluate [--quick] [--images N] [--rounds N] [--analyze] [--json F]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.bench_infer import bare_loop, make_images
from fastcam.evaluating import evaluate
from fastcam.inference.device import choose_device
from fastcam.models.resnet import ResNet

STAGES = ("layer1", "layer2", "layer3", "layer4")
# Each way, and the one that does its drawing alone.
_DRAWN = {"evaluate": "draw", "analyze": "draw 4"}
Way = Callable[[], float]


def make_set(folder: Path, count: int) -> None:
    """``Images/``, ``Masks/`` (an ellipse each) and ``table.csv``: columns image and age."""
    from PIL import Image, ImageDraw

    for name in ("Images", "Masks"):
        (folder / name).mkdir()
    make_images(folder / "Images", count)
    rng = np.random.default_rng(1)
    rows = ["image,age"]
    for index in range(count):
        mask = Image.new("L", (512, 512))
        x, y = rng.integers(50, 300, 2).tolist()
        ImageDraw.Draw(mask).ellipse((x, y, x + 150, y + 120), fill=255)
        mask.save(folder / "Masks" / f"{index:05d}.png")
        rows.append(f"{index:05d}.jpg,{rng.uniform(20, 90):.1f}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")


def timed(run: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ways_of(model: nn.Module, folder: Path, options: argparse.Namespace) -> dict[str, Way]:
    """Each way's seconds for the whole set; ``draw`` must come after ``evaluate``."""
    out, analysed = folder / "evaluated", folder / "analysed"

    def run() -> None:
        evaluate(
            model, folder / "Images", folder / "table.csv", out, target="age", layers=["layer4"],
            batch_size=options.batch, precision=options.precision, compile=False,
        )  # fmt: skip

    def fresh() -> None:
        shutil.rmtree(out, ignore_errors=True)
        run()

    def analyse() -> None:
        from fastcam.analyzing import Analyzer

        analyzer = Analyzer(
            model, layers=STAGES, output_dir=analysed, batch_size=options.batch,
            precision=options.precision,
        )  # fmt: skip
        analyzer.analyze_batch(folder / "Images", "*.jpg")

    def analyse_fresh() -> None:
        shutil.rmtree(analysed, ignore_errors=True)
        analyse()

    ways: dict[str, Way] = {
        "forward": lambda: (
            options.images / bare_loop(model, options.images, options.batch, options.precision)
        ),
        "evaluate": lambda: timed(fresh),
        "draw": lambda: timed(run),
    }
    if options.analyze:
        ways |= {"analyze": lambda: timed(analyse_fresh), "draw 4": lambda: timed(analyse)}
    return ways


def measure(ways: dict[str, Way], rounds: int) -> dict[str, Any]:
    """Median seconds of each way, and the ratios to the forward loop, each within its round."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(way())
    ratios = {
        name: [
            (whole - drawing) / base
            for base, whole, drawing in zip(
                taken["forward"], taken[name], taken[drawn], strict=True
            )
        ]
        for name, drawn in _DRAWN.items()
        if name in taken
    }
    return {
        "seconds": {name: statistics.median(found) for name, found in taken.items()},
        "ratio": {name: statistics.median(found) for name, found in ratios.items()},
        "ratios": ratios,
    }


def main() -> None:
    """Print the figures; ``--json`` also writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few images, one round")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--analyze", action="store_true", help="four layers by analyze, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.images, options.rounds, options.batch = 4, 1, 2
    torch.manual_seed(0)
    device = choose_device("auto")
    model = ResNet("resnet50", 1, 3).eval().to(device)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}")
    with tempfile.TemporaryDirectory() as name:
        make_set(Path(name), options.images)
        found = measure(ways_of(model, Path(name), options), options.rounds)
    for way, seconds in found["seconds"].items():
        print(f"{way:>9}: {seconds:8.2f} s, {1000 * seconds / options.images:8.2f} ms an image")
    for way, ratio in found["ratio"].items():
        each = ", ".join(f"{one:.3f}" for one in found["ratios"][way])
        print(f"{way:>9}: {ratio:.3f} x the forward loop ({each})")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""``fastcam evaluate`` and ``analyze`` as a whole beside the bare forward loop.

A ResNet-50 with one output and random weights, 224x224, batches of 16, on JPEG files of 512x512
pixels with masks and a table. Ways, all in the same precision and with channels last:

- ``forward``    the model over batches that lie in memory, preprocessed: nothing read or written
- ``evaluate``   files in; Grad-CAM, metrics, plots, localization and the best and worst figures out
- ``analyze``    the maps of four layers, their statistics, pictures and report

Ways take turns in every round and the median counts. A ratio is a way's seconds less those it spent
on plots and figures (``drawing``), over the forward loop's; what comes before (finding files,
loading the model) and all that is measured is in it.

``--figures`` measures instead how fast they draw: megapixels of PNG files a second, by as many
processes, from the maps that lie in the store to files, the start of the processes in it. All
figures of ``analyze`` (with the statistics of the maps) and of ``evaluate --explain all`` beside
``render`` of the same store, as ratios within a round.

Run: python -m benchmarks.bench_evaluate [--quick] [--images N] [--rounds N]
     [--analyze | --figures] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from benchmarks.bench_infer import bare_loop, make_images
from fastcam.api.analyze import Analyzer
from fastcam.api.evaluate import evaluate
from fastcam.api.render import render
from fastcam.inference.device import choose_device
from fastcam.models.resnet import ResNet

STAGES = ("layer1", "layer2", "layer3", "layer4")
# What evaluate draws with, and where analyze puts the figures of each image.
_JOB = "fastcam.jobs.evaluate"
DRAWING = (f"{_JOB}.job.write_plots", f"{_JOB}.job.add_figures")
_EXPLAINED = f"{_JOB}.figure_selection.draw_explained"
PER_IMAGE = ("gradcam_heatmaps", "overlay_images", "layer_comparison")
# A way's seconds, and those of them that were spent on drawing.
Way = Callable[[], tuple[float, float]]


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


@contextmanager
def drawing_timed(calls: Sequence[str] = DRAWING) -> Iterator[list[float]]:
    """Seconds of each of the ``calls`` by which evaluate draws, as they are made."""
    spent: list[float] = []

    def watched(draw: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return draw(*arguments)
            finally:
                spent.append(time.perf_counter() - start)

        return call

    with ExitStack() as stack:
        for name in calls:
            stack.enter_context(mock.patch(name, watched(pkgutil.resolve_name(name))))
        yield spent


def run_evaluate(model: nn.Module, folder: Path, options: argparse.Namespace, **more: Any) -> None:
    """Evaluate the set below ``folder``, with ``more`` keywords of ``evaluate``."""
    evaluate(
        model,
        folder / "Images",
        folder / "table.csv",
        folder / "evaluated",
        target="age",
        layers=["layer4"],
        batch_size=options.batch,
        precision=options.precision,
        compile=False,
        overwrite=True,
        **more,
    )


def ways_of(model: nn.Module, folder: Path, options: argparse.Namespace) -> dict[str, Way]:
    """Each way for the whole set."""

    def forward() -> tuple[float, float]:
        rate = bare_loop(model, options.images, options.batch, options.precision, False)
        return options.images / rate, 0.0

    def evaluated() -> tuple[float, float]:
        start = time.perf_counter()
        with drawing_timed() as spent:
            run_evaluate(model, folder, options)
        return time.perf_counter() - start, sum(spent)

    def analysed() -> tuple[float, float]:
        start = time.perf_counter()
        analyzer = Analyzer(
            model, layers=STAGES, batch_size=options.batch, precision=options.precision
        )
        result = analyzer.analyze_batch(
            folder / "Images", "*.jpg", output_dir=folder / "analysed", overwrite=True
        )
        spent = sum(v for stage, v in result.seconds.items() if stage != "infer")
        return time.perf_counter() - start, spent

    ways: dict[str, Way] = {"forward": forward, "evaluate": evaluated}
    return ways | ({"analyze": analysed} if options.analyze else {})


def megapixels(files: Iterable[Path]) -> float:
    """What pictures have together."""
    from PIL import Image

    result = 0
    for path in files:
        with Image.open(path) as picture:
            result += picture.width * picture.height
    return result / 1e6


def figure_rates(model: nn.Module, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Megapixels a second of each way to figures, in one round."""
    for name in ("analysed", "evaluated", "rendered"):  # what is there already is not drawn again
        shutil.rmtree(folder / name, ignore_errors=True)
    settings = {"batch_size": options.batch, "precision": options.precision}
    out = folder / "analysed"
    analyzer = Analyzer(model, layers=STAGES, **settings)
    analysed = analyzer.analyze_batch(folder / "Images", "*.jpg", output_dir=out, overwrite=True)
    paths = [path for name in PER_IMAGE for path in (out / name).glob("*.png")]
    rates = {"analyze": megapixels(paths) / analysed.seconds["draw"]}
    with drawing_timed([_EXPLAINED]) as spent:
        run_evaluate(model, folder, options, explain="all")
    explained = (folder / "evaluated" / "explained").glob("*.png")
    rates["evaluate"] = megapixels(explained) / sum(spent)
    for way, name in (("analyze", "analysed"), ("evaluate", "evaluated")):
        start = time.perf_counter()
        render(folder / name / "run.zarr", output_dir=folder / "rendered" / name)
        seconds = time.perf_counter() - start
        figures = (folder / "rendered" / name).glob("*.png")
        rates[f"render of {way}"] = megapixels(figures) / seconds
    return rates


def report_figures(model: nn.Module, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Print the rates at which figures are drawn, and give them back."""
    rounds = [figure_rates(model, folder, options) for _ in range(options.rounds)]
    ratios = {
        way: [rates[way] / rates[f"render of {way}"] for rates in rounds]
        for way in ("analyze", "evaluate")
    }
    for way in rounds[0]:
        rate = statistics.median(rates[way] for rates in rounds)
        print(f"{way:>18}: {rate:.1f} megapixels a second")
    for way, result in ratios.items():
        each = ", ".join(f"{ratio:.3f}" for ratio in result)
        print(f"{way:>9}: {statistics.median(result):.3f} x the speed of render ({each})")
    return {"megapixels_a_second": rounds, "ratios": ratios}


def measure(ways: dict[str, Way], rounds: int) -> dict[str, Any]:
    """Median seconds of each way, and the ratios to the forward loop, each within its round."""
    times_by_way: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times_by_way[name].append(way())
    ratios = {
        name: [
            (whole - drawing_seconds) / base
            for (base, _), (whole, drawing_seconds) in zip(
                times_by_way["forward"], result, strict=True
            )
        ]
        for name, result in times_by_way.items()
        if name != "forward"
    }
    return {
        "seconds": {n: statistics.median(whole for whole, _ in f) for n, f in times_by_way.items()},
        "drawing": {
            n: statistics.median(drawing_seconds for _, drawing_seconds in f)
            for n, f in times_by_way.items()
        },
        "ratio": {name: statistics.median(result) for name, result in ratios.items()},
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
    parser.add_argument("--figures", action="store_true", help="how fast figures are drawn")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.images, options.rounds, options.batch = 4, 1, 2
    torch.manual_seed(0)
    device = choose_device("auto")
    model = ResNet("resnet18" if options.quick else "resnet50", 1, 3).eval().to(device)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}")
    with tempfile.TemporaryDirectory() as name:
        make_set(Path(name), options.images)
        if options.figures:
            result = report_figures(model, Path(name), options)
        else:
            result = measure(ways_of(model, Path(name), options), options.rounds)
            report(result, options.images)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def report(result: dict[str, Any], images: int) -> None:
    """Print what was measured."""
    for way, seconds in result["seconds"].items():
        each = f"{1000 * seconds / images:.2f} ms an image"
        print(f"{way:>9}: {seconds:.2f} s, {each}; drawing {result['drawing'][way]:.2f} s of them")
    for way, ratio in result["ratio"].items():
        each = ", ".join(f"{ratio:.3f}" for ratio in result["ratios"][way])
        print(f"{way:>9}: {ratio:.3f} x the forward loop ({each})")


if __name__ == "__main__":
    main()

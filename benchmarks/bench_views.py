"""The seven views of a Vision Transformer: what each costs beside the plain forward pass.

One image of 224 pixels, random weights, float32, panels of 512 pixels.

- ``forward``   the plain pass through fused attention; ``pass``: the same, kept for the views
- ``numbers``   what a view asks of the pass: rows of attention, rollout, distances
- ``drawing``   the figure of these numbers, in memory; ``file``: that figure as a PNG file
- ``seven``     ``pass`` and all seven views, in memory: to be at most 1.3 times ``forward`` and the
                drawing together
- ``usual``     the same seven as scripts in use make them: one pass with attention written out, all
                matrices kept, and a page of matplotlib for each view, as a PNG file

Rounds alternate, the median counts. With one thread it is the process's own time, which other
processes disturb little; with more it is the clock's. ``--peak``: memory above the model and the
image, of one run in a process of its own, at 1024 pixels (4097 tokens) as well.

Run: python -m benchmarks.bench_views [--quick] [--model NAME] [--threads N] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.bench_attention import naive, unfused
from fastcam import views
from fastcam.attribution.attention.vit_pass import VitPass, run_vit
from fastcam.figures.notebook_figure import Figure
from fastcam.jobs.vit.attention_distance import distances_of
from fastcam.jobs.vit.cls_evolution import tokens_of, tracks_of
from fastcam.jobs.vit.map_view import head_maps, layer_map, rollout_map
from fastcam.jobs.vit.position_embedding import cosine, positions_of, two_components
from fastcam.jobs.vit.selection import Query, layers_of
from fastcam.models.vit import VisionTransformer, VitSettings

MODELS = {"vit_small": (384, 6), "vit_base": (768, 12)}
GOAL = 1.3
_CLS = Query(0, None, "CLS")
_LARGE = 1024


@dataclass(frozen=True)
class View:
    """``numbers``: what the view asks of a pass; ``figure``: the whole view."""

    numbers: Callable[[VitPass], Any]
    figure: Callable[[VitPass], Figure]


def make_model(name: str, side: int) -> tuple[VisionTransformer, Tensor]:
    """The model with random weights, and one image."""
    torch.manual_seed(0)
    dim, heads = MODELS[name]
    settings = VitSettings(dim=dim, depth=12, heads=heads, image_size=(side, side))
    return VisionTransformer(settings).eval(), torch.randn(1, 3, side, side)


def make_views(model: nn.Module) -> dict[str, View]:
    """The seven, in their order."""

    def positions(_vit_pass: VitPass) -> Any:
        vectors = positions_of(model).vectors
        return cosine(vectors), two_components(vectors)

    def layers(vit_pass: VitPass) -> Any:
        return [layer_map(vit_pass, 0, layer, "mean", _CLS) for layer in layers_of(None, vit_pass)]

    return {
        "1 patch_grid": View(lambda vit_pass: None, views.patch_grid),
        "2 position_embedding": View(positions, lambda vit_pass: views.position_embedding(model)),
        "3 attention_layers": View(layers, views.attention_layers),
        "4 all_heads": View(lambda vit_pass: head_maps(vit_pass, 0, -1, _CLS), views.all_heads),
        "5 attention_distance": View(distances_of, views.attention_distance),
        "6 cls_evolution": View(
            lambda vit_pass: tracks_of([tokens_of(vit_pass, 0)]), views.cls_evolution
        ),
        "7 attention_rollout": View(
            lambda vit_pass: rollout_map(vit_pass, 0, _CLS, "mean", 0.0, 0), views.attention_rollout
        ),
    }


def measure(name: str, rounds: int, threads: int, usual: bool = True) -> dict[str, float]:
    """Median milliseconds; all take turns in every round."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    model, image = make_model(name, 224)
    seven = make_views(model)
    times_by_way: dict[str, list[float]] = {}

    def timed(name: str, way: Callable[[], Any]) -> Any:
        start = clock()
        result = way()
        times_by_way.setdefault(name, []).append((clock() - start) * 1000)
        return result

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "view.png"
        # As timeit: a page of matplotlib leaves cycles, and collecting them takes 0.2 s somewhere.
        gc.disable()
        for at in range(rounds + 1):
            gc.collect()
            if at == 1:  # the first round is for warming up
                times_by_way.clear()
            with torch.no_grad():
                timed("forward", lambda: model(image))
            vit_pass = timed("pass", lambda: run_vit(model, image))
            for view, ways in seven.items():
                timed(f"{view}: numbers", lambda: ways.numbers(vit_pass))  # noqa: B023
                figure = timed(f"{view}: figure", lambda: ways.figure(vit_pass))  # noqa: B023
                timed(f"{view}: file", lambda: figure.save(target))  # noqa: B023
            timed("seven", lambda: _all(model, image, seven))
            if usual:
                timed("usual", lambda: draw_usual(model, image, Path(folder)))
        gc.enable()
    return {name: statistics.median(times) for name, times in times_by_way.items()}


def _all(model: nn.Module, image: Tensor, seven: dict[str, View]) -> list[Figure]:
    vit_pass = run_vit(model, image)
    return [ways.figure(vit_pass) for ways in seven.values()]


def costs(times: dict[str, float]) -> dict[str, dict[str, float]]:
    """``numbers``, ``drawing`` and ``file`` of each view, in milliseconds."""
    result = {}
    for name in times:
        view, _, part = name.partition(": ")
        if part == "numbers":
            numbers = times[name]
            drawing = max(times[f"{view}: figure"] - numbers, 0.0)
            result[view] = {"numbers": numbers, "drawing": drawing, "file": times[f"{view}: file"]}
    return result


def ratio(times: dict[str, float]) -> float:
    """All seven views from one pass, by the plain forward pass and the drawing together."""
    drawing = sum(each["drawing"] for each in costs(times).values())
    return times["seven"] / (times["forward"] + drawing)


def draw_usual(model: VisionTransformer, image: Tensor, folder: Path) -> None:
    """Attention of all layers kept, seven pages of matplotlib."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    tokens: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, output: tokens.append(output[:, 0]))
        for block in model.blocks
    ]
    with unfused() as matrices, torch.no_grad():
        model(image)
    for hook in hooks:
        hook.remove()
    side = model.patch_embed.grid_size[0]
    picture = image[0].permute(1, 2, 0).sub(image.min()).div(image.max() - image.min()).numpy()
    cls = [weights[0, :, 0, 1:].reshape(-1, side, side) for weights in matrices]

    def large(cells: Tensor) -> Any:
        size = picture.shape[:2]
        return torch.nn.functional.interpolate(cells[None, None], size, mode="bilinear")[0, 0]

    def saved(page: Any, at: int) -> None:
        page.savefig(folder / f"usual_{at}.png", dpi=150)
        plt.close(page)

    page, axes = plt.subplots(figsize=(5, 5))
    axes.imshow(picture)
    for number in range(side * side):
        y, x = divmod(number, side)
        axes.add_patch(Rectangle((x * 16, y * 16), 16, 16, fill=False, edgecolor="red"))
        axes.text(x * 16 + 8, y * 16 + 8, str(number), size=5, color="white", ha="center")
    saved(page, 1)
    vectors = model.pos_embed.detach()[0, 1:]
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    similar = (unit @ unit.T).numpy()
    flat = torch.pca_lowrank(vectors, 2)[0].numpy()
    page, axes = plt.subplots(1, 4, figsize=(20, 5))
    axes[0].imshow(similar)
    axes[1].imshow(similar[side * side // 2].reshape(side, side))
    for plot, colors in zip(axes[2:], np.indices((side, side)), strict=True):
        plot.scatter(*flat.T, c=colors)
    saved(page, 2)
    page, axes = plt.subplots(2, 5, figsize=(18, 8))
    axes[0, 0].imshow(picture)
    for column, layer in enumerate((0, 3, 6, 11), 1):
        heat = large(cls[layer].mean(0))
        axes[0, column].imshow(heat, cmap="jet")
        axes[1, column].imshow(picture)
        axes[1, column].imshow(heat, cmap="jet", alpha=0.5)
    saved(page, 3)
    heads = cls[-1]
    page, axes = plt.subplots(2, len(heads), figsize=(1.8 * len(heads), 4))
    for column, cells in enumerate(heads):
        axes[0, column].imshow(large(cells), cmap="jet")
        axes[1, column].imshow(picture)
        axes[1, column].imshow(large(cells), cmap="jet", alpha=0.5)
    saved(page, 4)
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float() * 16
    apart = torch.cdist(places, places)
    page, axes = plt.subplots(1, 2, figsize=(12, 5))
    for layer, weights in enumerate(matrices):
        among = weights[0, :, 1:, 1:]
        far = (among / among.sum(-1, keepdim=True) * apart).sum(-1).mean(-1)
        axes[0].scatter([layer] * len(far), far)
        axes[1].bar(layer, far.mean())
    saved(page, 5)
    track = torch.stack(tokens)[:, 0]
    page, axes = plt.subplots(1, 3, figsize=(16, 5))
    axes[0].plot(*torch.pca_lowrank(track, 2)[0].T.numpy(), marker="o")
    axes[1].plot(track.norm(dim=1))
    axes[2].plot(torch.cosine_similarity(track, track[-1:]))
    saved(page, 6)
    rolled = large(naive(matrices).reshape(side, side))
    page, axes = plt.subplots(1, 3, figsize=(12, 4))
    axes[0].imshow(picture)
    axes[1].imshow(rolled, cmap="jet")
    axes[2].imshow(picture)
    axes[2].imshow(rolled, cmap="jet", alpha=0.5)
    saved(page, 7)


def peak_mib(way: str, name: str, side: int) -> float:
    """Peak memory above model and image of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_views", "--peak-of", way]
    command += ["--model", name, "--side", str(side)]
    root = Path(__file__).parents[1]
    process = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    return float(process.stdout)


def _peak_here(way: str, name: str, side: int) -> float:
    torch.set_num_threads(1)
    model, image = make_model(name, side)

    def maps() -> Any:
        vit_pass = run_vit(model, image)
        return vit_pass, [ways.numbers(vit_pass) for ways in make_views(model).values()]

    def matrices() -> Any:
        with unfused() as matrices, torch.no_grad():
            return model(image), matrices

    ways: dict[str, Callable[[], Any]] = {
        "forward": torch.no_grad()(lambda: model(image)),
        "numbers": maps,
        "matrices": matrices,
    }
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    ways[way]()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before / 2**20


def _report(label: str, times: dict[str, float]) -> None:
    print(label)
    print(f"  {'':24}{'numbers':>10}{'drawing':>10}{'file':>10}   ms")
    for view, parts in costs(times).items():
        print(f"  {view:24}" + "".join(f"{value:10.1f}" for value in parts.values()))
    for name in ("forward", "pass", "seven", "usual"):
        if name in times:
            print(f"  {name:24}{times[name]:10.1f}")
    numbers = times["pass"] + sum(each["numbers"] for each in costs(times).values())
    print(f"  pass and numbers by forward   {numbers / times['forward']:.2f}x")
    print(f"  seven by forward and drawing  {ratio(times):.2f}x   (goal {GOAL}x)")
    if "usual" in times:
        files = times["seven"] + sum(each["file"] for each in costs(times).values())
        print(f"  usual by seven with files     {times['usual'] / files:.1f}x", flush=True)


def main() -> None:
    """Print the figures; ``--json`` also writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of vit_small, for the tests"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--model", action="append", choices=list(MODELS))
    parser.add_argument("--threads", type=int, action="append", help="default: 1, and all")
    parser.add_argument("--peak", action="store_true", help="peak memory too")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.model or (["vit_small"] if options.quick else list(MODELS))
    if options.peak_of:
        print(_peak_here(options.peak_of, names[0], options.side))
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = [1] if options.quick else options.threads or sorted({1, cores or 1})
    report: dict[str, Any] = {}
    for name in names:
        for count in threads:
            label = f"{name}, {count} {'thread' if count == 1 else 'threads'}"
            times = measure(name, 1 if options.quick else options.rounds, count)
            _report(label, times)
            report[label] = {"ms": times, "ratio": ratio(times)}
        if options.peak:
            for side in (224, _LARGE):
                peaks = {w: peak_mib(w, name, side) for w in ("forward", "numbers", "matrices")}
                peak_texts = ", ".join(f"{way} {mib:.0f} MiB" for way, mib in peaks.items())
                print(f"{name}, {side} pixels, peak: {peak_texts}", flush=True)
                report[f"{name}, {side} pixels"] = {"MiB": peaks}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Methods with gradients and many passes beside the passes that they are made of, and their peers.

ViT-S/16 of the package, 197 tokens, one image, random weights:

- ``forward``           the plain pass without a graph
- ``backward``          the pass with a graph, and the gradient at the input; weights frozen
- ``legrad``            LeGrad of all layers (``RelevanceEngine``), and so ``chefer``
- ``eager``             the usual way: attention written out, autograd by every matrix

ResNet-50, 224 pixels:

- ``integrated loop``   as many forward and backward passes as there are steps
- ``integrated``        fastcam's, Gauss-Legendre; ``captum integrated`` captum's with as many steps
- ``masked loop``       forward passes of a batch, as many images as there are masks
- ``rise``              fastcam's RISE with these masks
- ``window loop``       forward passes of a batch, as many images as the window has places
- ``occlusion``         fastcam's; ``captum occlusion`` captum's with as many images in a pass

MONAI's 3-D UNet, a volume of 96³ in windows of 48³, half overlapping, HiResCAM of its bottleneck:

- ``inferer and maps``  MONAI's inferer, then a pass with a graph over the same windows
- ``windowed``          fastcam's; ``monai inferer``: MONAI's alone, without maps

Rounds alternate; a ratio is the median of those to the first way of its group within each round.
With one thread it is the process's own time, which other processes disturb little. Memory is the
peak above model and image of one pass in a process of its own, of the transformer at 1025 tokens
(``--quick``: 197).

Run: python -m benchmarks.bench_methods [--quick] [--rounds N] [--threads N] [--steps N] [--masks N]
     [--group TEXT] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.bench_attention import unfused
from benchmarks.window_ways import window_ways
from fastcam.attribution.gradients.engine import GradientEngine
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.modules import frozen_eval
from fastcam.attribution.perturbations.engine import PerturbationEngine
from fastcam.attribution.relevance.engine import RelevanceEngine
from fastcam.models.resnet import ResNet
from fastcam.models.vit import VisionTransformer, VitSettings

Way = Callable[[], Any]
SIDES = {197: 224, 1025: 512}
MEMORY_WAYS = ("backward", "legrad", "chefer", "eager")
# Of the other groups, each beside the first of its group; few passes have the memory of many.
LOOP_MEMORY_WAYS = (
    ("integrated loop", "integrated", "captum integrated"),
    ("masked loop", "rise"),
    ("window loop", "occlusion", "captum occlusion"),
    ("inferer and maps", "windowed", "monai inferer"),
)
_ALL_MEMORY_WAYS = (*MEMORY_WAYS, *(way for group in LOOP_MEMORY_WAYS for way in group))
PASS = 16
VIT_S = VitSettings(dim=384, depth=12, heads=6)
SMALL = VitSettings(dim=48, depth=2, heads=2)


def vit_ways(tokens: int, settings: VitSettings = VIT_S) -> dict[str, Way]:
    """Ways to explain one image by a vision transformer."""
    torch.manual_seed(0)
    side = SIDES[tokens]
    model = VisionTransformer(replace(settings, image_size=(side, side))).eval()
    image = torch.randn(1, 3, side, side)
    legrad = RelevanceEngine(model, ["legrad"], targets=0)
    chefer = RelevanceEngine(model, ["chefer"], targets=0)
    return {
        "forward": torch.no_grad()(lambda: model(image)),
        "backward": lambda: gradient(model, image),
        "legrad": lambda: legrad(image).maps["legrad"],
        "chefer": lambda: chefer(image).maps["chefer"],
        "eager": lambda: eager_gradients(model, image),
    }


def gradient(model: nn.Module, image: Tensor) -> Tensor:
    """∂y/∂x by one pass there and back, weights frozen."""
    with frozen_eval(model):
        leaf = image.clone().requires_grad_()
        (result,) = torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)
    return result


def eager_gradients(model: nn.Module, image: Tensor) -> list[Tensor]:
    """Attention as timm writes it with fused attention off, and ReLU(∇A) by autograd."""
    with frozen_eval(model), unfused() as matrices:
        score = model(image.clone().requires_grad_())[:, 0].sum()
        gradients = torch.autograd.grad(score, matrices)
    return [gradient.relu().mean((1, 2)) for gradient in gradients]


def loop_ways(
    steps: int, masks: int, side: int, name: str = "resnet50"
) -> dict[str, dict[str, Way]]:
    """By group the ways of methods with many passes, on a ResNet; the first is the reference."""
    import captum.attr as captum

    torch.manual_seed(0)
    model = ResNet(name, 1000, 3).eval()
    image = torch.randn(1, 3, side, side)
    batch = image.expand(PASS, -1, -1, -1).contiguous()
    window, stride = side // 7, side // 7
    settings = MethodSettings(
        baseline="zero",
        steps=steps,
        masks=masks,
        occlusion_size=window,
        occlusion_stride=stride,
        pass_size=PASS,
    )
    integrated = GradientEngine(model, ["integrated-gradients"], targets=0, settings=settings)
    rise = PerturbationEngine(model, ["rise"], targets=0, settings=settings)
    occlusion = PerturbationEngine(model, ["occlusion"], targets=0, settings=settings)
    places = 49

    @torch.no_grad()
    def forwards(count: int) -> None:
        for start in range(0, count, PASS):
            model(batch[: min(PASS, count - start)])

    return {
        f"integrated gradients, {steps} steps": {
            "integrated loop": lambda: [gradient(model, image) for _ in range(steps)],
            "integrated": lambda: integrated(image),
            "captum integrated": lambda: captum.IntegratedGradients(model).attribute(
                image, target=0, n_steps=steps, internal_batch_size=1
            ),
        },
        f"RISE, {masks} masks": {
            "masked loop": lambda: forwards(masks),
            "rise": lambda: rise(image),
        },
        f"occlusion, {places} places": {
            "window loop": lambda: forwards(places),
            "occlusion": lambda: occlusion(image),
            "captum occlusion": lambda: captum.Occlusion(model).attribute(
                image, (3, window, window), (3, stride, stride), target=0,
                perturbations_per_eval=PASS,
            ),
        },
    }  # fmt: skip


def measure(ways: dict[str, Way], rounds: int, threads: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of each way and its ratio to the first; ways take turns in each round."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for turn in range(rounds):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            start = clock()
            ways[name]()
            times[name].append((clock() - start) * 1000)
    first = times[next(iter(ways))]
    return {
        name: (
            statistics.median(own),
            statistics.median(t / f for t, f in zip(own, first, strict=True)),
        )
        for name, own in times.items()
    }


def peak_mib(way: str, tokens: int) -> float:
    """Peak memory above model and image of one pass in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_methods", "--peak", way]
    command += ["--tokens", str(tokens)]
    root = Path(__file__).parents[1]
    process = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    return float(process.stdout)


def print_peak(way: str, tokens: int) -> None:
    """The peak of one pass of ``way``, in MiB, after a small pass of the same libraries."""
    torch.set_num_threads(1)
    # What is imported and packed in the first pass is no part of a method.
    quick = tokens == min(SIDES)
    if way in MEMORY_WAYS:
        small = VisionTransformer(replace(SMALL, image_size=(32, 32))).eval()
        image = torch.randn(1, 3, 32, 32)
        RelevanceEngine(small, ["legrad", "chefer"], targets=0)(image)
        eager_gradients(small, image)
        ways = vit_ways(tokens)
        ways["forward"]()
    else:
        for warm in (*loop_ways(2, 4, 32, "resnet18").values(), window_ways(16, 8, (4, 8, 8))):
            if way in warm:
                warm[way]()
        side, name = (64, "resnet18") if quick else (224, "resnet50")
        groups = [*loop_ways(2 * PASS, 2 * PASS, side, name).values(), volume_ways(quick)]
        ways = next(group for group in groups if way in group)
    before = highest_kib()
    ways[way]()
    print((highest_kib() - before) / 1024)


def highest_kib() -> int:
    """The most memory that this process has had; what getrusage says is at least what the process
    had that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def volume_ways(quick: bool) -> dict[str, Way]:
    """Those of sliding windows."""
    return window_ways(16, 8, (4, 8, 8)) if quick else window_ways(96, 48)


def print_memory(tokens: int, quick: bool) -> dict[str, dict[str, float]]:
    """The peaks of the ways of each group, printed beside that of the first; by group."""
    groups = {f"MiB at {tokens} tokens": MEMORY_WAYS[: 2 if quick else None]}
    if not quick:
        groups |= {f"MiB of {group[1]}": group for group in LOOP_MEMORY_WAYS}
    reports = {}
    for title, ways in groups.items():
        memory = {way: peak_mib(way, tokens) for way in ways}
        reports[title] = memory
        print(f"\n{title}")
        base = memory[ways[0]]  # a small pass may need no more than is there already
        for name, size in memory.items():
            print(f"  {name:18} {size:10.1f} MiB" + (f"  x{size / base:.2f}" if base else ""))
    return reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=32, help="of integrated gradients")
    parser.add_argument("--masks", type=int, default=160, help="of RISE")
    parser.add_argument("--group", default="", help="only groups with this in their title")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", choices=_ALL_MEMORY_WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, default=1025, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(options.peak, options.tokens)
        return
    rounds = 1 if options.quick else options.rounds
    steps, masks, side = (2, 4, 64) if options.quick else (options.steps, options.masks, 224)
    reports: dict[str, Any] = {}
    settings, name = (SMALL, "resnet18") if options.quick else (VIT_S, "resnet50")
    vit = vit_ways(197, settings)
    groups = {"ViT-S/16, 197 tokens": vit, **loop_ways(steps, masks, side, name)}
    groups["sliding windows"] = volume_ways(options.quick)
    for title, ways in groups.items():
        if options.group not in title:
            continue
        reports[title] = measure(ways, rounds, options.threads)
        print(f"\n{title}, {options.threads} threads")
        for name, (milliseconds, ratio) in reports[title].items():
            print(f"  {name:18} {milliseconds:10.1f} ms   x{ratio:.2f}")
    tokens = 197 if options.quick else 1025
    if options.group not in "memory":
        return
    reports |= print_memory(tokens, options.quick)
    if options.json:
        options.json.write_text(json.dumps(reports, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

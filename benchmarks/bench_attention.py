"""Attention and rollout beside the plain forward pass: ViT-S/16, float32, one image or a batch.

- ``forward``       the plain pass through fused attention
- ``attention``     the same with the CLS row of every layer and head (``AttentionEngine``)
- ``materialised``  the usual way: softmax(QK^T)V written out, every matrix kept
- ``rollout``       fastcam's rollout, mean of heads (``RolloutEngine``)
- ``naive``         the usual rollout: ``materialised``, then the product of all layers' matrices

Images of 224, 512 and 1024 pixels: 197, 1025 and 4097 tokens. Rounds alternate; a ratio is the
median of those within each round, since the machine's speed changes between them.
With one thread it is the process's own time, which other processes disturb little; with all
threads and on CUDA it is the clock's. Memory is the peak above the model and the image, of one
pass in a process of its own.

Run: python -m benchmarks.bench_attention [--quick] [--tokens N] [--threads N] [--batch N]
     [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import Tensor

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.models.vit import VisionTransformer, VitSettings

SIDES = {197: 224, 1025: 512, 4097: 1024}
ROUNDS = {197: 31, 1025: 9, 4097: 3}
Way = Callable[[], Any]


@contextmanager
def unfused() -> Iterator[list[Tensor]]:
    """Attention the way timm writes it with fused attention off; every matrix is kept."""
    matrices: list[Tensor] = []

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        matrices.append(weights)
        mixed: Tensor = weights @ v
        return mixed

    with mock.patch.object(F, "scaled_dot_product_attention", attention):
        yield matrices


def naive(attentions: list[Tensor]) -> Tensor:
    """Abnar & Zuidema's product, as the scripts in use write it."""
    result = torch.eye(attentions[0].shape[-1], device=attentions[0].device)
    for weights in attentions:
        a = (weights.mean(1) + torch.eye(weights.shape[-1], device=weights.device)) / 2
        result = a / a.sum(-1, keepdim=True) @ result
    row: Tensor = result[:, 0, 1:]
    return row


def make_ways(tokens: int, device: str, batch: int = 1) -> dict[str, Way]:
    """All ways on the same images and one model with random weights."""
    torch.manual_seed(0)
    side = SIDES[tokens]
    settings = VitSettings(dim=384, depth=12, heads=6, image_size=(side, side))
    model = VisionTransformer(settings).eval().to(device)
    image = torch.randn(batch, 3, side, side, device=device)
    attend, roll = AttentionEngine(model), RolloutEngine(model)

    def materialised() -> Any:
        with unfused() as matrices, torch.no_grad():
            return model(image), [weights[:, :, 0] for weights in matrices]

    def product() -> Any:
        with unfused() as matrices, torch.no_grad():
            return model(image), naive(matrices)

    return {
        "forward": torch.no_grad()(lambda: model(image)),
        "attention": lambda: attend(image).maps["attention"],
        "materialised": materialised,
        "rollout": lambda: roll(image).maps["rollout"],
        "naive": product,
    }


def measure(
    tokens: int,
    rounds: int,
    threads: int,
    device: str,
    names: list[str] | None = None,
    batch: int = 1,
) -> dict[str, tuple[float, float]]:
    """Median milliseconds of each way and its ratio to the plain forward pass; ways take turns in
    every round."""
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 and device == "cpu" else time.perf_counter
    ways = make_ways(tokens, device, batch)
    if names:
        ways = {name: ways[name] for name in ("forward", *names)}
    times_by_way: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for turn in range(rounds):
        # Back and forth: what a way leaves in the caches and on the heap helps or hinders the next.
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            _wait(device)
            start = clock()
            ways[name]()
            _wait(device)
            times_by_way[name].append((clock() - start) * 1000)
    return {
        name: (
            statistics.median(times),
            statistics.median(t / f for t, f in zip(times, times_by_way["forward"], strict=True)),
        )
        for name, times in times_by_way.items()
    }


def peak_mib(way: str, tokens: int, device: str) -> float:
    """Peak memory above model and image of one pass in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_attention", "--peak", way]
    command += ["--tokens", str(tokens), "--device", device]
    root = Path(__file__).parents[1]
    process = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    return float(process.stdout)


def _peak_here(way: str, tokens: int, device: str) -> float:
    torch.set_num_threads(1)
    run = make_ways(tokens, device)[way]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before / 2**20


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _report(
    tokens: int, label: str, times: dict[str, tuple[float, float]], peaks: dict[str, float]
) -> None:
    print(f"{tokens} tokens, {label}")
    for name, (milliseconds, ratio) in times.items():
        memory = f"   {peaks[name]:7.0f} MiB" if name in peaks else ""
        print(f"{name:>14}: {milliseconds:9.1f} ms   {ratio:5.2f}x{memory}", flush=True)


def main() -> None:
    """Print the figures; ``--json`` also writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round at 197, for the tests")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--tokens", type=int, action="append", choices=list(SIDES))
    parser.add_argument("--threads", type=int, action="append", help="default: 1, and all")
    parser.add_argument("--batch", type=int, default=1, help="images at once; memory is of one")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: both, if there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", action="append", help="these and the forward pass only")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [197] if options.quick else options.tokens or list(SIDES)
    if options.peak:
        print(_peak_here(options.peak, sizes[0], options.device or "cpu"))
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = [1] if options.quick else options.threads or sorted({1, cores or 1})
    devices = [options.device] if options.device else ["cpu", "cuda"]
    report: dict[str, Any] = {}
    for device in devices:
        if device == "cuda" and not torch.cuda.is_available():
            continue
        for tokens in sizes:
            measured = ["forward", *(options.way or ["rollout", "naive"])]
            peaks = {way: peak_mib(way, tokens, device) for way in measured}
            for count in threads if device == "cpu" else [1]:
                label = f"cpu, {count} threads" if device == "cpu" else device
                rounds = 1 if options.quick else options.rounds or ROUNDS[tokens]
                label += f", batch {options.batch}"
                times = measure(tokens, rounds, count, device, options.way, options.batch)
                _report(tokens, label, times, peaks)
                report[f"{tokens} tokens, {label}"] = {"ms": times, "MiB": peaks}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

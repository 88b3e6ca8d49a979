"""Class activation maps of a ResNet-50 beside the plain forward pass and what people use today.

Random weights, fp32, 224x224, class 1 explained for every image. All maps of all ways are Grad-CAM:

- ``forward``   the model under no_grad, what everything is compared with
- ``fastcam``   CamEngine: on the last stage, on four stages, for fourteen classes, with bf16
- ``captum``    LayerGradCam · ``torchcam`` GradCAM · ``grad-cam`` the package pytorch-grad-cam

Ways take turns in every round and the median counts; ratios are of process time (the machine may
be shared), wall time stands beside them, and with several threads wall time is the one to look at.
Memory: each way once in a process of its own, after one image to warm up: the highest resident set
during the batch (VmHWM, reset before it) above that before it.

Run: python -m benchmarks.bench_cam [--quick] [--rounds N] [--batch N]... [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.cam.engine import CamEngine
from fastcam.models.resnet import ResNet

Way = Callable[[], Any]
STAGES = ("layer1", "layer2", "layer3", "layer4")
CLASSES = list(range(14))
LAST = ("fastcam", "captum", "torchcam", "grad-cam")


def bf16_in_hardware() -> bool:
    """Whether the CPU multiplies bf16 itself; elsewhere bf16 is slower than fp32."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def forward_way(model: nn.Module, batch: Tensor) -> Way:
    """The plain forward pass."""

    def run() -> Tensor:
        with torch.no_grad():
            logits: Tensor = model(batch)
            return logits

    return run


def fastcam_way(model: nn.Module, batch: Tensor, **options: Any) -> Way:
    """Ours."""
    engine = CamEngine(model, **{"layers": ["layer4"], "targets": 1, **options})
    return lambda: engine(batch)


def bf16_ways(model: nn.Module, batch: Tensor) -> dict[str, Way]:
    """Forward and Grad-CAM with autocast to bf16, channels last; the weights stay fp32."""
    import copy

    model = copy.deepcopy(model)
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    batch = batch.to(memory_format=torch.channels_last)

    def cast(way: Way) -> Way:
        def run() -> Any:
            with torch.autocast(batch.device.type, torch.bfloat16):
                return way()

        return run

    ways = {"forward bf16": forward_way(model, batch), "fastcam bf16": fastcam_way(model, batch)}
    return {name: cast(way) for name, way in ways.items()}


def captum_way(model: nn.Module, batch: Tensor, layers: tuple[str, ...]) -> Way:
    """captum; it takes one layer at a time."""
    from captum.attr import LayerGradCam

    engines = [LayerGradCam(model, model.get_submodule(name)) for name in layers]
    return lambda: [engine.attribute(batch, target=1) for engine in engines]


def torchcam_way(model: nn.Module, batch: Tensor, layers: tuple[str, ...]) -> Way:
    """torch-cam; its hooks stay only while it runs, so that the others are not slowed down."""
    from torchcam.methods import GradCAM

    def run() -> Any:
        with GradCAM(model, list(layers)) as engine:
            return engine([1] * len(batch), model(batch))

    return run


def grad_cam_way(model: nn.Module, batch: Tensor, layers: tuple[str, ...]) -> Way:
    """pytorch-grad-cam."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def run() -> Any:
        with GradCAM(model, [model.get_submodule(name) for name in layers]) as engine:
            return engine(batch, [ClassifierOutputTarget(1)] * len(batch))

    return run


OTHERS = {"captum": captum_way, "torchcam": torchcam_way, "grad-cam": grad_cam_way}


def other_ways(model: nn.Module, batch: Tensor) -> dict[str, Way]:
    """The other packages that are installed; the rest are named."""
    results: dict[str, Way] = {}
    for name, make in OTHERS.items():
        try:
            results[name] = make(model, batch, ("layer4",))
            results[name]()
        except (ImportError, RuntimeError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            results.pop(name, None)
            continue
        if name != "captum":
            results[f"{name} 4 layers"] = make(model, batch, STAGES)
    return results


def ways_of(model: nn.Module, batch: Tensor, quick: bool) -> dict[str, Way]:
    """Everything that is timed on one batch."""
    cpu = batch.device.type == "cpu"
    return {
        "forward": forward_way(model, batch),
        "fastcam": fastcam_way(model, batch),
        "fastcam 4 layers": fastcam_way(model, batch, layers=STAGES),
        "fastcam 14 classes": fastcam_way(model, batch, targets=[CLASSES]),
        **(bf16_ways(model, batch) if bf16_in_hardware() or not cpu else {}),
        **({} if quick else other_ways(model, batch)),
    }


def time_ways(ways: dict[str, Way], rounds: int, cuda: bool) -> dict[str, dict[str, float]]:
    """Median seconds of every way, process and wall; ways take turns."""
    times_by_way: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            wall, process = time.perf_counter(), time.process_time()
            way()
            if cuda:
                torch.cuda.synchronize()
            if turn:
                used = time.process_time() - process
                times_by_way[name].append((used, time.perf_counter() - wall))
    return {
        name: {
            "process": statistics.median(p for p, _ in pairs),
            "wall": statistics.median(w for _, w in pairs),
        }
        for name, pairs in times_by_way.items()
    }


def peak_above(way: Way, warm: Way) -> float:
    """MiB by which ``way`` raises the resident set of this process, at its highest."""
    warm()
    status = Path("/proc/self/status")

    def field(name: str) -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1])

    before = field("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    way()
    return (field("VmHWM") - before) / 1024


def memory(name: str, count: int, side: int) -> float:
    """MiB above the model of one way, in a process of its own."""
    options = ["--memory", name, "--batch", str(count), "--side", str(side)]
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_cam", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    return float(process.stdout.splitlines()[-1]) if process.returncode == 0 else float("nan")


def _measure_memory(name: str, count: int, side: int) -> None:
    model = ResNet("resnet50", 1000, 3).eval()
    torch.set_num_threads(1)

    def way(batch: Tensor) -> Way:
        if name == "forward":
            return forward_way(model, batch)
        if name == "fastcam":
            return fastcam_way(model, batch)
        return OTHERS[name](model, batch, ("layer4",))

    _declare_torchvision(name)
    batch = torch.randn(count, 3, side, side)
    print(peak_above(way(batch), way(batch[:1])))


def _declare_torchvision(name: str) -> None:
    """pytorch-grad-cam imports torchvision, which a CPU build of torch can't load as it is."""
    if name != "grad-cam":
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        import tests.torchvision_import  # noqa: F401


def report(name: str, results: dict[str, dict[str, float]]) -> None:
    """Print ratios to the plain forward pass."""
    base = results["forward"]
    print(f"\n{name}")
    for way, spent in results.items():
        ratios = " ".join(f"{spent[k] / base[k]:6.3f}x {k}" for k in ("process", "wall"))
        print(f"{way:>20}: {spent['process']:8.3f} s   {ratios}", flush=True)


def main() -> None:
    """Print the figures; ``--json`` also writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round, small, ours alone, for the tests"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, action="append", help="images (default 8 and 16)")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    batches = options.batch or ([2] if options.quick else [8, 16])
    side, rounds = (64, 1) if options.quick else (options.side, options.rounds)
    name_of_model = "resnet18" if options.quick else "resnet50"
    if options.memory:
        _measure_memory(options.memory, batches[0], options.side)
        return
    torch.manual_seed(0)
    results: dict[str, Any] = {"time": {}, "memory MiB": {}}
    threads = torch.get_num_threads()
    if not options.quick:
        _declare_torchvision("grad-cam")
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        model = ResNet(name_of_model, 1000, 3).eval().to(device)
        for count in batches:
            batch = torch.randn(count, 3, side, side, device=device)
            ways = ways_of(model, batch, options.quick)
            both = {1} if options.quick else {1, threads}
            for number in sorted(both) if device == "cpu" else [threads]:
                torch.set_num_threads(number)
                name = f"{device}, batch {count}, {number} threads"
                results["time"][name] = time_ways(ways, rounds, device == "cuda")
                report(name, results["time"][name])
    for count in batches[-1:]:
        print(f"\nmemory above the model, batch {count}, MiB")
        for name in ("forward", *(LAST[:1] if options.quick else LAST)):
            results["memory MiB"][name] = memory(name, count, side)
            ratio = results["memory MiB"][name] / results["memory MiB"]["forward"]
            print(f"{name:>20}: {results['memory MiB'][name]:8.0f}   {ratio:6.2f}x", flush=True)
    if not bf16_in_hardware():
        print("\nbf16 is left out: this CPU has no AVX-512-BF16")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

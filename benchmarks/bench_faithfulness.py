"""What a ranking of methods by deletion and insertion needs: how many passes an image.

The age example, trained here; maps of seven methods on the same faces, and the two baselines. The
reference are the curves of ``fastcam evaluate --faithfulness``, 50 steps, 493 passes for a method
alone. Fewer steps are compared with it:

- ``passes``    for a method alone, and for all of them together, which share the baselines
- ``tau``       Kendall's rank correlation of the methods' mean areas with the reference's
- ``verdicts``  the share of pairs, methods and baselines, in which paired bootstrap and Holm's
                rule say the same as in the reference
- ``order``     the share of pairs whose means are in the reference's order, of those that differ
                by more than noise there

Run: python -m benchmarks.bench_faithfulness [--quick] [--images N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from scipy.stats import kendalltau

from fastcam.attribution.engines import build_shown_engine
from fastcam.attribution.faithfulness.perturbation_curves import (
    Curves,
    FaithfulnessSettings,
    faithfulness_of_methods,
)
from fastcam.attribution.request import MapRequest
from fastcam.demo.age_net import AgeNet
from fastcam.demo.age_set import make_ages
from fastcam.demo.train_age import TrainSettings, train
from fastcam.jobs.evaluate.metrics.method_comparison import (
    Difference,
    MethodValues,
    differences_of,
)
from fastcam.models.training import normalize

METHODS = (
    "gradcam", "layercam", "eigencam", "saliency", "inputxgradient", "smoothgrad",
    "integrated-gradients",
)  # fmt: skip
GAMES = ("deletion", "insertion")
REFERENCE = 50
STEPS = (25, 15, 10, 7, 5)
_HELD_OUT = 1


def _maps(model: AgeNet, images: torch.Tensor, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """(n, h, w) of each method, at its own resolution."""
    engine = build_shown_engine(model, MapRequest(names))
    maps = {name.partition("/")[0]: v for name, v in engine(images).maps.items()}
    return {name: values.abs() for name, values in maps.items()}


def _methods(curves: dict[str, Curves]) -> list[MethodValues]:
    first = next(iter(curves.values()))
    methods = [
        MethodValues(name, {game: own.auc(game) for game in GAMES}) for name, own in curves.items()
    ]
    for prefix in ("random", "centre"):
        areas = {game: first.auc(f"{prefix}_{game}") for game in GAMES}
        methods.append(MethodValues(prefix, areas, baseline=True))
    return methods


def _verdicts(methods: list[MethodValues]) -> dict[tuple[str, ...], Difference]:
    return {
        (d.measure, *sorted((d.better, d.worse))): d for d in differences_of(methods)
    }  # fmt: skip


def measure(
    model: AgeNet, images: int, steps: tuple[int, ...], names: tuple[str, ...] = METHODS
) -> dict[str, Any]:
    """By number of steps what the ranking is like beside the reference's."""
    batch = normalize(make_ages(images, _HELD_OUT).images)
    maps = _maps(model, batch, names)
    results = {}
    for count in (REFERENCE, *steps):
        settings = FaithfulnessSettings(steps=count)
        results[count] = _methods(faithfulness_of_methods(model, batch, maps, settings=settings))
    reference = results[REFERENCE]
    wanted = _verdicts(reference)
    report: dict[str, Any] = {}
    for count, methods in results.items():
        baselines = FaithfulnessSettings().random_maps + 1
        own: dict[str, Any] = {
            "passes": 2 * (count - 1) * (1 + baselines) + 3,
            "passes of all": 2 * (count - 1) * (len(names) + baselines) + 3,
        }
        for game in GAMES:
            means = [[m.values[game].mean() for m in group] for group in (methods, reference)]
            own[f"tau {game}"] = float(kendalltau(*means).statistic)
        verdicts = _verdicts(methods)
        same = [
            d.is_shown == wanted[pair].is_shown
            and (not d.is_shown or d.better == wanted[pair].better)
            for pair, d in verdicts.items()
        ]
        order = [d.better == verdicts[pair].better for pair, d in wanted.items() if d.is_shown]
        own["verdicts"] = sum(same) / max(len(same), 1)
        own["order"] = sum(order) / max(len(order), 1)
        own["areas"] = {
            m.name: {game: round(float(m.values[game].mean()), 4) for game in GAMES}
            for m in methods
        }
        report[str(count)] = own
    return report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two images, random weights")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        torch.manual_seed(0)
        report = measure(AgeNet().eval(), 2, (5,), ("saliency", "inputxgradient"))
    else:
        report = measure(train(TrainSettings())[0], options.images, STEPS)
    for steps, own in report.items():
        texts = [f"{name} {v:.3g}" for name, v in own.items() if name != "areas"]
        print(f"{steps} steps: {', '.join(texts)}")
    print(json.dumps(report[str(REFERENCE)]["areas"]))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""``--compare-methods``: all methods' maps of one test set, measured on the same images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.augmented import STABILITY, AugmentedEngine
from fastcam.attribution.batch_maps import Engine
from fastcam.attribution.engines import build_shown_engine
from fastcam.attribution.faithfulness.parameter_randomization import (
    RandomizationSettings,
    randomize_layers,
)
from fastcam.attribution.faithfulness.perturbation_curves import (
    Curves,
    FaithfulnessSettings,
    faithfulness_of_methods,
)
from fastcam.attribution.model_call import called_as
from fastcam.attribution.modules import eager_module
from fastcam.attribution.request import CAM_METHODS, SLOW_METHODS, MapRequest
from fastcam.errors import InputError
from fastcam.jobs.evaluate.cases import localizations_of
from fastcam.jobs.evaluate.faithfulness_check import Sample, sample_of, targets_of
from fastcam.jobs.evaluate.method_files import write_methods
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation
from fastcam.jobs.evaluate.metrics.localization import Localization
from fastcam.jobs.evaluate.metrics.method_comparison import (
    MethodValues,
    differences_of,
    statements,
)
from fastcam.jobs.evaluate.request import EvaluateRequest
from fastcam.options import MapChoice
from fastcam.run.progress import Progress
from fastcam.run.records import Failure
from fastcam.store.map_rows import MapRow, choose_rows, method_of
from fastcam.store.maps import MapStore

RANDOM, CENTER = "random map", "centered blob"
# 93 passes for one method's curves in place of 493; docs/explanation/faithfulness.md has what the
# ranking of methods is with either.
CURVES = FaithfulnessSettings(steps=10)
# Only the end counts here, all weights random.
_LAYERS = RandomizationSettings(steps=4)
# Standard deviation of the centered blob, as a share of each side.
_BLOB = 0.25
# On so many images the passes of a method are counted.
_COUNTED = 4


def compare_methods(
    request: EvaluateRequest,
    store: MapStore,
    evaluation: Evaluation,
    failures: list[Failure],
    progress: Progress,
) -> tuple[list[str], list[str]]:
    """Measure every map of the store: where all of them lie, and on some images chosen at random
    deletion, insertion, randomization and stability.

    Writes ``methods.csv``, ``method_differences.csv``, ``methods.png`` and ``methods.html``. The
    names of the files, and the statements in words.
    """
    rows = [row for row in choose_rows(store, MapChoice()) if row.target in (None, 0)]
    indices = [case.place - 1 for case in evaluation.cases]
    numbers = {index: number for number, index in enumerate(indices)}
    tables: list[dict[str, NDArray[np.float64]]] = [
        _localization(request, store, row, indices, failures) for row in rows
    ]
    random_values, center_values = _baseline_localization(request, store, rows[0], indices)
    costs = [(0.0, 0.0)] * len(rows)
    sample = sample_of(request, store, evaluation, request.options.compared_images)
    if sample is not None:
        places = [numbers[index] for index in sample.indices]
        measured, costs, curves = _on_sample(request, store, rows, sample, progress)
        for table, own in zip(tables, measured, strict=True):
            table |= {name: _spread_out(v, places, len(indices)) for name, v in own.items()}
        for game in ("deletion", "insertion"):
            random_values[game] = _spread_out(curves.auc(f"random_{game}"), places, len(indices))
            center_values[game] = _spread_out(curves.auc(f"centre_{game}"), places, len(indices))
    methods = [
        MethodValues(row.caption, table, passes, seconds)
        for row, table, (passes, seconds) in zip(rows, tables, costs, strict=True)
    ]
    methods.append(MethodValues(RANDOM, random_values, baseline=True))
    methods.append(MethodValues(CENTER, center_values, baseline=True))
    differences = differences_of(methods)
    lines = statements(methods, differences)
    title = f"{len(rows)} maps of {len(indices)} images"
    title += f"   {evaluation.remark}" if evaluation.remark else ""
    style = request.options.style
    files = write_methods(request.output_dir, methods, differences, lines, title, style)
    return files, lines


def check_comparison(maps: MapRequest, several_inputs: bool, sliced: bool, many: bool) -> None:
    """InputError where methods can't be compared."""
    for wrong, what in (
        (several_inputs, "models of one image"),
        (sliced, "images and whole volumes, not for slices"),
        (many, "one answer an image, not for many findings, pixels or boxes"),
        (maps.windows is not None, "images that the model sees whole, not window by window"),
    ):
        if wrong:
            raise InputError(f"--compare-methods is for {what}: leave it out")
    if len(maps.methods) < 2:
        raise InputError("--compare-methods: give two methods or more, with commas between")


def _localization(
    request: EvaluateRequest,
    store: MapStore,
    row: MapRow,
    indices: Sequence[int],
    failures: list[Failure],
) -> dict[str, NDArray[np.float64]]:
    """Where a method's maps lie: by measure (n,)."""
    headers = {index: store.headers[index] for index in indices}
    if not any(header.mask_source for header in headers.values()):
        return {}
    found = localizations_of(store, row, headers, request.inference.inputs.axes, failures)
    return _numbers([found[index] for index in indices])


def _numbers(localizations: Sequence[Localization]) -> dict[str, NDArray[np.float64]]:
    return {
        "inside": np.array([_number(entry.share) for entry in localizations]),
        "pointing": np.array([_number(entry.hit) for entry in localizations]),
    }


def _number(value: float | bool | None) -> float:
    return float("nan") if value is None else float(value)


class _CenteredBlob(MapRow):
    """A row of which every image has the same map, a Gaussian in the middle."""

    def read(self, store: MapStore, index: int) -> NDArray[np.float32]:
        """(h, w) or (d, h, w) float32."""
        size = super().read(store, index).shape
        sides = [((np.arange(n) + 0.5) / n - 0.5) / _BLOB for n in size]
        squares = np.sum(np.meshgrid(*[side**2 for side in sides], indexing="ij"), axis=0)
        blob: NDArray[np.float32] = np.exp(-squares / 2).astype(np.float32)
        return blob


def _baseline_localization(
    request: EvaluateRequest, store: MapStore, row: MapRow, indices: Sequence[int]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """By measure (n,): what a random map would have, each mask's share of the image and the chance
    of a hit; and what the centered blob has."""
    headers = {index: store.headers[index] for index in indices}
    if not any(header.mask_source for header in headers.values()):
        return {}, {}
    blob = _CenteredBlob(array=row.array, caption=CENTER, layer=row.layer, target=row.target)
    # What is odd about masks has been said of the methods.
    found = localizations_of(store, blob, headers, request.inference.inputs.axes, [])
    localizations = [found[index] for index in indices]
    areas = np.array([_number(entry.area) for entry in localizations])
    chances = np.array([_number(entry.chance_hit) for entry in localizations])
    return {"inside": areas, "pointing": chances}, _numbers(localizations)


def _on_sample(
    request: EvaluateRequest,
    store: MapStore,
    rows: Sequence[MapRow],
    sample: Sample,
    progress: Progress,
) -> tuple[list[dict[str, NDArray[np.float64]]], list[tuple[float, float]], Curves]:
    """By row what is measured on the sample, by measure (m,); passes and seconds of a map; and
    curves that have the baselines."""
    images, model = sample.images, request.model
    task = request.inference.options.task
    assert task != "segmentation"
    assert task != "detection"
    values = [np.stack([row.read(store, index) for index in sample.indices]) for row in rows]
    maps = [np.abs(v) if row.signed else v for v, row in zip(values, rows, strict=True)]
    targets = targets_of(store, sample.indices, images.device)
    measured: list[dict[str, NDArray[np.float64]]] = []
    costs: list[tuple[float, float]] = []
    with called_as(model, sample.call):
        progress.begin("images of all methods", len(images))
        try:
            curves = faithfulness_of_methods(
                model,
                images,
                {str(n): torch.from_numpy(v).to(images.device) for n, v in enumerate(maps)},
                targets,
                task=task,
                settings=CURVES,
                on_progress=progress.advance,
            )
        finally:
            progress.end()
        for number, row in enumerate(rows):
            progress.note(f"randomization and stability of {row.caption}")
            own = {game: curves[str(number)].auc(game) for game in ("deletion", "insertion")}
            maps_of_row = _request_of(request.inference.maps, store, row)
            if method_of(row.array) not in SLOW_METHODS:
                own |= _weights_and_flips(model, maps_of_row, row, images, values[number], targets)
            measured.append(own)
            costs.append(_cost(model, build_shown_engine(model, maps_of_row), images, targets))
    return measured, costs, curves["0"]


def _request_of(maps: MapRequest, store: MapStore, row: MapRow) -> MapRequest:
    """What makes the maps of a row alone."""
    method, _, layer = row.array.partition("/")
    layers = (layer,) if method in CAM_METHODS and layer else maps.layers
    return replace(maps, methods=(method,), layers=layers, augmentation=None)


def _weights_and_flips(
    model: nn.Module,
    maps: MapRequest,
    row: MapRow,
    images: Tensor,
    values: NDArray[np.float32],
    targets: Tensor | None,
) -> dict[str, NDArray[np.float64]]:
    """Size of the rank correlation with maps of random weights, and stability under flips: (m,)
    each."""
    flat = values.reshape(len(values), -1)
    usable = np.isfinite(flat).all(1) & (np.ptp(flat, axis=1) > 0)
    alike = np.full(len(images), np.nan)
    if usable.any():
        randomization = randomize_layers(
            model,
            lambda other: build_shown_engine(other, maps),
            images,
            map_name=row.array,
            targets=targets,
            settings=_LAYERS,
        )
        if randomization.spearman.shape[1] == usable.sum():
            alike[usable] = np.abs(randomization.spearman[-1])
    engine = AugmentedEngine(build_shown_engine(model, maps), "flips")
    stable = []
    for start in range(0, len(images), maps.settings.pass_size):
        part = slice(start, start + maps.settings.pass_size)
        result = engine(images[part], None if targets is None else targets[part])
        assert result.measures is not None
        column = result.measure_names.index(f"{row.array}: {STABILITY}")
        stable.append(result.measures[:, column].double().cpu().numpy())
    return {"randomized": alike, "stability": np.concatenate(stable)}


def _cost(
    model: nn.Module, engine: Engine, images: Tensor, targets: Tensor | None
) -> tuple[float, float]:
    """Forward passes and seconds for a map, after a first call that finds layers and sizes."""
    few = images[:_COUNTED]
    of_few = None if targets is None else targets[: len(few)]
    engine(few[:1], None if of_few is None else of_few[:1])
    with _counted(model) as count:
        start = time.perf_counter()
        engine(few, of_few)
        seconds = time.perf_counter() - start
    return count[0] / len(few), seconds / len(few)


@contextmanager
def _counted(model: nn.Module) -> Iterator[list[int]]:
    """While it is open, the images that ``model`` sees are counted in its only entry."""
    count = [0]

    def before(_module: nn.Module, inputs: Any) -> None:
        count[0] += len(inputs[0])

    handle = eager_module(model).register_forward_pre_hook(before)
    try:
        yield count
    finally:
        handle.remove()


def _spread_out(
    values: NDArray[np.float64], places: Sequence[int], count: int
) -> NDArray[np.float64]:
    """(count,) with ``values`` at ``places`` and NaN elsewhere."""
    spread = np.full(count, np.nan)
    spread[list(places)] = values
    return spread

"""The faithfulness of an evaluation's maps, measured by running the model on some of its images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastcam.attribution.engines import build_shown_engine
from fastcam.attribution.faithfulness.parameter_randomization import randomize_layers
from fastcam.attribution.faithfulness.perturbation_curves import faithfulness
from fastcam.attribution.model_call import ModelCall, called_as
from fastcam.attribution.modules import device_of
from fastcam.attribution.packed_inputs import image_channels
from fastcam.inference.device import choose_precision
from fastcam.inference.loader import Inputs, stack_inputs
from fastcam.jobs.evaluate.metrics.evaluation import Evaluation
from fastcam.jobs.evaluate.metrics.faithfulness import faithfulness_summary
from fastcam.jobs.evaluate.plots.faithfulness_page import faithfulness_page
from fastcam.jobs.evaluate.request import EvaluateRequest
from fastcam.jobs.infer.preparation import call_of
from fastcam.options import MapChoice
from fastcam.read.inputs.inputs import Item
from fastcam.report.json_text import json_text
from fastcam.report.plot_files import write_plot_page
from fastcam.run.files import write_text
from fastcam.run.progress import Progress
from fastcam.store.map_rows import MapRow, choose_rows, method_of
from fastcam.store.maps import MapStore

JSON, PAGE = "faithfulness.json", "faithfulness.png"
# Of the random choice of images: the same set gives the same ones.
_SEED = 0


def measure_faithfulness(
    request: EvaluateRequest, store: MapStore, evaluation: Evaluation, progress: Progress
) -> tuple[list[str], list[str]]:
    """Deletion, insertion and the randomization check of the first map, on images chosen at random.

    Writes ``faithfulness.json`` and ``faithfulness.png``. The names of the files, and the verdicts
    in words.
    """
    model, inference = request.model, request.inference
    row = choose_rows(store, MapChoice())[0]
    sample = sample_of(request, store, evaluation, request.options.faithfulness_images)
    if sample is None:
        return [], ["faithfulness: none of the images can be read any more"]
    images, indices, call = sample.images, sample.indices, sample.call
    device = images.device
    values = np.stack([row.read(store, index) for index in indices])
    # Evidence against the output changes it as well when it is deleted.
    maps = torch.from_numpy(np.abs(values) if row.signed else values).to(device)
    targets = targets_of(store, indices, device)
    task, layer = inference.options.task, _layer(store, row)
    assert task != "segmentation"
    assert task != "detection"
    own_maps = inference.maps
    if call.packed is not None and layer and row.layer is None:
        # Of several images the run chose layers that an engine by itself would not.
        own_maps = replace(own_maps, methods=(method_of(row.array),), layers=(layer,))
    with called_as(model, call):
        curves = _with_progress(
            progress,
            "faithfulness",
            len(indices),
            lambda on_progress: faithfulness(
                model,
                images,
                maps,
                targets,
                task=task,
                channels=image_channels(model, layer),
                on_progress=on_progress,
            ),
        )
        progress.note("measuring randomised layers")
        randomization = randomize_layers(
            model,
            lambda other: build_shown_engine(other, own_maps),
            images,
            map_name=row.array,
            targets=targets,
        )
    summary = faithfulness_summary(curves, randomization)
    ids = [store.headers[index].id for index in indices]
    content = {"map": row.caption, **summary, "ids": ids}
    write_text(request.output_dir / JSON, json_text(content, indent=1))
    title = f"{row.caption}, {len(indices)} images"
    title += f"   {evaluation.remark}" if evaluation.remark else ""
    page = faithfulness_page(curves, randomization, title)
    pages = write_plot_page(request.output_dir / PAGE, page, request.options.style)
    verdicts: list[str] = summary["verdicts"]
    return [JSON, *(path.name for path in pages)], verdicts


@dataclass(frozen=True, eq=False)
class Sample:
    """Some images of a test set.

    - ``images`` (n, c, *size) float32, as the model takes them, on its device
    - ``indices``: their 0-based places in the store
    - ``call``: how the model is called
    """

    images: Tensor
    indices: list[int]
    call: ModelCall


def sample_of(
    request: EvaluateRequest, store: MapStore, evaluation: Evaluation, count: int
) -> Sample | None:
    """``count`` of the evaluated images, chosen at random; None where none can be read any more."""
    model, inference = request.model, request.inference
    candidates = [case.place - 1 for case in evaluation.cases]
    sample = sorted(np.random.default_rng(_SEED).permutation(candidates)[:count].tolist())
    headers = [store.headers[index] for index in sample]
    items = [Item(h.id, h.group, h.source, inputs=h.inputs) for h in headers]
    device = device_of(model)
    dtype = choose_precision(inference.options.precision, device)
    call = call_of(model, inference, inference.inputs.model_inputs, device, dtype)
    dataset = Inputs(
        items,
        inference.preprocessing,
        inference.inputs.axes,
        call.packed,
        inference.inputs.volume,
    )
    inputs = [dataset[number] for number in range(len(items))]
    readable = [number for number, entry in enumerate(inputs) if entry.tensor is not None]
    if not readable:
        return None
    return Sample(stack_inputs(inputs, device), [sample[number] for number in readable], call)


def _layer(store: MapStore, row: MapRow) -> str:
    """The layer that a row's map is of; "" for a map of the whole model."""
    if row.layer is not None:
        return store.layer_names(row.array)[row.layer]
    return row.array.partition("/")[2]


def targets_of(store: MapStore, indices: list[int], device: torch.device) -> Tensor | None:
    """The outputs that the maps explain (n,); None for maps of no output."""
    targets = [store.headers[index].targets for index in indices]
    if any(len(of_image) == 0 for of_image in targets):
        return None
    return torch.tensor([int(of_image[0]) for of_image in targets], device=device)


def _with_progress(
    progress: Progress, unit: str, total: int, run: Callable[[Callable[[int], None]], Any]
) -> Any:
    progress.begin(unit, total)
    try:
        return run(progress.advance)
    finally:
        progress.end()

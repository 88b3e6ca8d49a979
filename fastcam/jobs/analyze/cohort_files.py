"""What an analysis writes about many images together: figures, curves, and tables of numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import BatchMaps, Engine, Targets, answers_of
from fastcam.attribution.cam.layers import layer_modules
from fastcam.attribution.cam.reshape import require_layout, to_maps
from fastcam.attribution.cam.split import run_split
from fastcam.attribution.model_call import called_as
from fastcam.attribution.modules import device_of
from fastcam.attribution.request import MapRequest
from fastcam.attribution.windowed import WindowedEngine
from fastcam.errors import CaseError
from fastcam.figures.map_figure import Heading
from fastcam.figures.view_panels import titled
from fastcam.jobs.analyze.class_comparison import ClassComparison, class_groups
from fastcam.jobs.analyze.display_names import FEATURES
from fastcam.jobs.analyze.figures.activation_plots import activation_page, shares_page
from fastcam.jobs.analyze.figures.channels import Channel, channels_figure
from fastcam.jobs.analyze.figures.classes import write_class_figures
from fastcam.jobs.analyze.image_store import ImageStore
from fastcam.jobs.analyze.item import subject_of
from fastcam.jobs.analyze.request import AnalyzeRequest
from fastcam.jobs.analyze.results import ActivationStatistics, ImageResult
from fastcam.jobs.analyze.task import AnalysisTask
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.model_input import prepare
from fastcam.report.statistics import spread
from fastcam.run.csv_cells import csv_row
from fastcam.run.files import write_text
from fastcam.storage.locations import is_path

# Channels are drawn of one image of each class, of so many classes.
_EXAMPLES = 4
# Channels beside each other on a page with the image.
_CHANNELS = 6
_MEASURES = tuple(ActivationStatistics.__dataclass_fields__)


def write_cohort_files(
    request: AnalyzeRequest,
    task: AnalysisTask,
    comparison: ClassComparison,
    images: Sequence[ImageResult],
    indices: Sequence[int],
) -> list[str]:
    """Everything that is drawn or listed of many images together; the files, relative.

    ``indices``: the 0-based rows of ``images`` in the store.
    """
    if not images:
        return []
    style, output_dir = task.style, task.output_dir
    _, groups = class_groups(images)
    files = write_class_figures(task, comparison, images, indices)
    files += _write_statistics(images, task.layers, output_dir)
    plots = {
        f"{FEATURES}/activation_statistics.{style.format}": activation_page(
            images, groups, task.layers, style, task.random_weights
        )
    }
    if task.halves != "no":
        plots[f"left_right_shares.{style.format}"] = shares_page(
            images, groups, style, task.random_weights
        )
    for path, figure in plots.items():
        figure.save(output_dir / path)
    examples = [indices[members[0]] for members in groups.values()][:_EXAMPLES]
    return [*files, *plots, *_write_channel_figures(request, task, examples)]


def _write_statistics(
    images: Sequence[ImageResult], layers: Sequence[str], output_dir: Path
) -> list[str]:
    """A CSV file with a row for each image and layer, and a JSON file with the layers' means and
    quartiles; the paths, relative."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class", "layer", *_MEASURES])
    of_layers: dict[str, list[ActivationStatistics]] = {layer: [] for layer in layers}
    for image in images:
        for layer in layers:
            statistics = image.layers[layer].activations
            if statistics is not None:
                name = image.class_folder or image.predicted_name
                writer.writerow(csv_row([image.id, name, layer, *asdict(statistics).values()]))
                of_layers[layer].append(statistics)
    summary = {
        layer: {
            measure: asdict(
                spread(np.array([getattr(entry, measure) for entry in of_layer], float))
            )
            for measure in _MEASURES
        }
        for layer, of_layer in of_layers.items()
    }
    contents = {
        f"{FEATURES}/activation_statistics.csv": text.getvalue(),
        f"{FEATURES}/activation_statistics.json": json.dumps(summary, indent=2) + "\n",
    }
    for path, content in contents.items():
        write_text(output_dir / path, content)
    return list(contents)


def _write_channel_figures(
    request: AnalyzeRequest, task: AnalysisTask, indices: Sequence[int]
) -> list[str]:
    """``feature_maps/<image>_channels.png``, in the figures' format, of the images at ``indices``
    in the store; the paths, relative. One forward pass an image, or window."""
    store, paths = task.store, []
    for index in indices:
        try:
            image = _model_input(request, store, index)
            with called_as(request.models.model, request.call):
                channels = _strongest_channels(request.models.model, request.maps, image)
            title = titled(store.headers[index].id, task.random_weights)
            subject = subject_of(task, index, Heading(title, ""))
        except CaseError:
            continue  # a failure where the image's own figures are drawn
        path = f"{FEATURES}/{task.naming.images[index]}_channels.{task.style.format}"
        channels_figure(subject, channels, task.style).save(task.output_dir / path)
        paths.append(path)
    return paths


def _model_input(request: AnalyzeRequest, store: ImageStore, index: int) -> Tensor:
    """(c, h, w) float32: an image as the model takes it, with all that goes in with it."""
    preprocessing, packed = request.preprocessing, request.call.packed
    if packed is None:
        return torch.from_numpy(store.model_input(index, preprocessing))
    values = store.headers[index].inputs
    images = [
        torch.from_numpy(prepare(read_image(path, preprocessing.grey), preprocessing))
        for path in values
        if is_path(path)
    ]
    return packed.pack(images, [value for value in values if isinstance(value, float)])


def _strongest_channels(
    model: nn.Module, request: MapRequest, image: Tensor
) -> dict[str, list[Channel]]:
    """By layer: its channels of the highest mean square over an ``image`` (c, h, w) as the model
    takes it, strongest first."""
    batch = image[None].to(device_of(model))
    channels = {}
    for layer, values in _activation_engine(model, request)(batch).maps.items():
        maps = values[0]
        order = maps.square().mean((1, 2)).argsort(descending=True)[:_CHANNELS].tolist()
        channels[layer] = [Channel(number, maps[number].cpu().numpy()) for number in order]
    return {layer: channels[layer] for layer in request.layers}


def _activation_engine(model: nn.Module, request: MapRequest) -> Engine:
    """By layer its activations (b, k, h, w) in place of maps; those of windows are stitched."""
    modules = layer_modules(model, request.layers)

    def activations(batch: Tensor, targets: Targets = None) -> BatchMaps:
        split = run_split(model, modules, batch, gradients=False)
        size, maps = tuple(batch.shape[2:]), {}
        for layer, values in split.activations.items():
            layout = require_layout(
                layer, model, modules[layer], values, size, prefix_tokens=request.prefix_tokens
            )
            maps[layer] = to_maps(values, layout).float()
        return BatchMaps(maps, answers_of(split.output, len(batch)))

    if request.windows is None:
        return activations
    pass_size = request.settings.pass_size
    return WindowedEngine(model, activations, request.windows, targeted=False, batch_size=pass_size)

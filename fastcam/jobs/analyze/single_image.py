"""One image analyzed in memory, without a store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fastcam.attribution.baselines import black_of
from fastcam.attribution.batch_maps import BatchMaps
from fastcam.attribution.box_target import NO_BOX
from fastcam.attribution.cam.features import FeatureEngine
from fastcam.attribution.engines import shown_maps
from fastcam.attribution.model_call import ModelCall, called_as
from fastcam.attribution.request import GRADIENT_X_INPUT, MapRequest
from fastcam.errors import CaseError, InputError
from fastcam.figures import fonts, glyph_atlas
from fastcam.figures.box_outlines import box_text
from fastcam.figures.map_figure import Heading
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.render_style import render_style_of
from fastcam.figures.slice_facts import SliceFacts
from fastcam.figures.slice_geometry import pixel_aspect
from fastcam.figures.view_panels import figure_of_sheet
from fastcam.inference.device import arithmetic, choose_device, choose_precision
from fastcam.inference.predictions import predictions_of
from fastcam.jobs.analyze.display_names import NO_BOX_NAME, output_name
from fastcam.jobs.analyze.figures.sheets import LayerMaps, layers_sheet
from fastcam.jobs.analyze.figures.subject import Subject, found_boxes
from fastcam.jobs.analyze.image_results import activation_statistics
from fastcam.jobs.analyze.map_statistics import feature_statistics
from fastcam.jobs.analyze.results import ImageResult, LayerResult
from fastcam.jobs.infer.box_targets import image_corners
from fastcam.jobs.infer.request import InferenceOptions
from fastcam.options import Style
from fastcam.read.inputs.images import pixels_of, read_image
from fastcam.read.inputs.model_input import prepare
from fastcam.read.inputs.preprocessing import Preprocessing, input_picture, input_region
from fastcam.read.inputs.slice_images import slice_grid
from fastcam.read.volumes.orientation import IDENTITY, for_display, left_side
from fastcam.storage.locations import as_path
from fastcam.storage.object_path import ObjectPath
from fastcam.store.map_fields import over_input


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A model and all that decides the analysis of an image.

    Attributes:
        model: the module, on any device.
        preprocessing: how it sees images.
        maps: which maps of which layers.
        inference: how it runs.
        class_names: names of its outputs; empty where they have none.
        style: how the figure looks.
        output: the name of the model's answer among what it returns; empty: it is found.
    """

    model: nn.Module
    preprocessing: Preprocessing
    maps: MapRequest
    inference: InferenceOptions
    class_names: tuple[str, ...]
    style: Style
    output: str = ""


def analyze_image(request: ImageRequest, image: Any) -> tuple[ImageResult, LayerMaps, Figure]:
    """The numbers of an image, its maps, and the figure of all layers.

    ``image``: a path, a PIL image, or an array (h, w[, c]) uint8. InputError where it can't be
    read, or isn't what the model takes.
    """
    path = as_path(image) if isinstance(image, str | Path | ObjectPath) else None
    try:
        pixels = (
            pixels_of(image, 0) if path is None else read_image(path, request.preprocessing.grey)
        )
        prepared = prepare(pixels, request.preprocessing)
    except CaseError as error:
        raise InputError(str(error)) from error
    batch = _run(request, prepared)
    maps = _layer_maps(request, batch, pixels.shape[:2])
    result = _result(request, batch, maps, path, pixels.shape[:2])
    boxes = None if batch.boxes is None else batch.boxes[0].float().cpu().numpy()
    return result, maps, _figure(request, result, maps, pixels, boxes)


def _run(request: ImageRequest, prepared: NDArray[np.float32]) -> BatchMaps:
    preprocessing, inference = request.preprocessing, request.inference
    device = choose_device(inference.device)
    engine = FeatureEngine(
        request.model,
        request.maps,
        preprocessing.halves,
        compiled=False,
        black=black_of(preprocessing),
    )
    dtype = choose_precision(inference.precision, device)
    with called_as(request.model, ModelCall(request.output)), arithmetic(device, dtype):
        result = engine(torch.from_numpy(prepared)[None].to(device))
    return shown_maps(result, request.maps.sign)


def _layer_maps(request: ImageRequest, batch: BatchMaps, size: tuple[int, int]) -> LayerMaps:
    maps = {
        name: over_input(values[0].cpu().numpy(), batch.fields.get(name))
        for name, values in batch.maps.items()
    }
    if not all(np.isfinite(values).all() for values in maps.values()):
        raise InputError("the map has values that are no finite numbers; look at the weights")
    at_input = maps.pop(GRADIENT_X_INPUT, None)
    values = {name.partition("/")[2]: of_layer for name, of_layer in maps.items()}
    region = input_region(*size, request.preprocessing)
    statistics = {
        layer: feature_statistics(of_layer, region, request.preprocessing.halves)
        for layer, of_layer in values.items()
    }
    return LayerMaps(values=values, statistics=statistics, region=region, at_input=at_input)


def _result(
    request: ImageRequest,
    batch: BatchMaps,
    maps: LayerMaps,
    path: Path | None,
    size: tuple[int, int],
) -> ImageResult:
    assert batch.measures is not None
    measures = batch.measures[0].float().cpu().numpy()
    answer = _answer(request, batch)
    share = float(measures[-1]) if request.preprocessing.halves != "no" else None
    activations = activation_statistics(measures, len(maps.values))
    return ImageResult(
        id="image" if path is None else path.name,
        source=path or Path(),
        size=size,
        class_folder="",
        predicted=answer.predicted,
        predicted_name=answer.predicted_name,
        confidence=answer.confidence,
        right=None,
        explained=answer.explained,
        output=tuple(batch.output[0].float().tolist()),
        layers={
            layer: LayerResult(maps.statistics[layer], of_layer)
            for layer, of_layer in zip(maps.values, activations, strict=True)
        },
        left_share=share,
        right_share=None if share is None else 1.0 - share,
        box=None
        if answer.box is None
        else image_corners(answer.box[:4].tolist(), size, request.preprocessing.settings),
        without_box=batch.boxes is not None and answer.box is None,
    )


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What the model says of the image: predicted class, its name and probability, what the maps
    explain, and of a detector the box (6,), if there is one."""

    predicted: int | None
    predicted_name: str
    confidence: float | None
    explained: str
    box: NDArray[np.float32] | None = None


def _answer(request: ImageRequest, batch: BatchMaps) -> _Answer:
    names = request.class_names
    if batch.boxes is not None:
        box = batch.boxes[0, 0].float().cpu().numpy()
        if box[4] == NO_BOX:
            return _Answer(
                predicted=None, predicted_name=NO_BOX_NAME, confidence=None, explained=NO_BOX_NAME
            )
        name = output_name(names, int(box[4]))
        return _Answer(
            predicted=int(box[4]),
            predicted_name=name,
            confidence=float(box[5]),
            explained=name,
            box=box,
        )
    output = batch.output.float().cpu().numpy()
    predictions = predictions_of(output, request.inference.task)
    predicted = None if predictions.prediction is None else int(predictions.prediction[0])
    target = None if batch.targets is None else int(batch.targets[0])
    explained = None if predicted is None and output.shape[1] == 1 else target
    return _Answer(
        predicted=predicted,
        predicted_name=output_name(names, predicted),
        confidence=None if predictions.confidence is None else float(predictions.confidence[0]),
        explained=output_name(names, explained),
    )


def _figure(
    request: ImageRequest,
    result: ImageResult,
    maps: LayerMaps,
    pixels: NDArray[np.uint8],
    boxes: NDArray[np.float32] | None,
) -> Figure:
    preprocessing, style = request.preprocessing, request.style
    affine = None
    if result.source.name:
        affine = slice_grid(result.source, (1, *pixels.shape[:2])).affine
    # Halves stay where the model had them.
    display = IDENTITY if preprocessing.halves != "no" else for_display(affine)
    heading = _heading(request, result, boxes)
    boxes = np.empty((0, 6), np.float32) if boxes is None else boxes
    subject = Subject(
        heading=heading,
        picture=np.ascontiguousarray(display.apply(input_picture(pixels, preprocessing))),
        halves=preprocessing.halves,
        left_share=result.left_share,
        display=display,
        left_side=left_side(affine, display),
        facts=SliceFacts(pixel_aspect=pixel_aspect(affine, display)),
        boxes=found_boxes(boxes, preprocessing.size),
    )
    characters = glyph_atlas.alphabet([result.id, heading.verdict, *maps.values])
    render_style = render_style_of(
        style, characters, fonts.chain(characters, style.font), style.panel_size
    )
    sheet = layers_sheet(subject, maps, render_style)
    return figure_of_sheet(sheet, render_style)


def _heading(
    request: ImageRequest, result: ImageResult, boxes: NDArray[np.float32] | None
) -> Heading:
    title = f"{result.id}  ·  {request.maps.methods[0]}"
    if boxes is not None:
        return Heading(title, box_text(boxes[0], partial(output_name, request.class_names)))
    if result.predicted is None:
        values = ", ".join(f"{value:.4g}" for value in result.output[:4])
        return Heading(title, f"predicted {values}")
    confidence = result.confidence
    note = "" if confidence is None else f"  ·  confidence {confidence:.4f}"
    return Heading(title, f"predicted {result.predicted_name}{note}")

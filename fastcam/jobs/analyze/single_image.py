"""One image analysed in memory, without a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.figures import fonts, lettering
from fastcam.figures.drawing import draw
from fastcam.figures.figure import Figure
from fastcam.figures.map_sheets import Heading
from fastcam.figures.patch_sheets import render_style_of
from fastcam.inference.images import pixels_of
from fastcam.jobs.analyze.figures.sheets import Subject, layers_sheet
from fastcam.jobs.analyze.file_names import output_name
from fastcam.jobs.analyze.image_results import activation_statistics
from fastcam.jobs.analyze.map_statistics import feature_statistics
from fastcam.jobs.analyze.request import AnalysisChoice
from fastcam.jobs.analyze.results import ImageResult, LayerResult
from fastcam.jobs.infer.request import InferenceOptions
from fastcam.options import Style
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.preprocess import Preprocessing, prepare, region, seen

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import MapRequest

Maps = dict[str, NDArray[np.float32]]


def analyse_one(
    model: nn.Module,
    spec: Preprocessing,
    wanted: MapRequest,
    running: InferenceOptions,
    how: AnalysisChoice,
    style: Style,
    image: Any,
) -> tuple[ImageResult, Maps, NDArray[np.float32] | None, Figure]:
    """The numbers, the maps by layer, that at the input of halves, and the figure of all layers.

    ``image``: a path, a PIL image, or an array (h, w[, c]) uint8. InputError where it can't be
    read, or isn't what the model takes.
    """
    import torch

    from fastcam.attribution.cam.features import AT_INPUT, FeatureEngine
    from fastcam.attribution.faithfulness.perturbation_curves import black_of
    from fastcam.inference.device import arithmetic, choose_device, choose_precision
    from fastcam.inference.predictions import predictions_of

    is_path = isinstance(image, str | Path)
    try:
        pixels = read_image(Path(image)) if is_path else pixels_of(image, 0)
        prepared = prepare(pixels, spec)
    except CaseError as error:
        raise InputError(str(error)) from error
    device = choose_device(running.device)
    engine = FeatureEngine(model, wanted, spec.halves, compiled=False, black=black_of(spec))
    with arithmetic(device, choose_precision(running.precision, device)):
        made = engine(torch.from_numpy(prepared)[None].to(device))
    maps = {name: values[0].cpu().numpy() for name, values in made.maps.items()}
    if not all(np.isfinite(values).all() for values in maps.values()):
        raise InputError("the map has values that are no finite numbers; look at the weights")
    at_input = maps.pop(AT_INPUT, None)
    layers = {name.partition("/")[2]: values for name, values in maps.items()}
    assert made.measures is not None
    measures = made.measures[0].float().cpu().numpy()
    output = made.output.float().cpu().numpy()
    said = predictions_of(output, running.task)
    height, width = pixels.shape[:2]
    field = region(height, width, spec)
    numbers = {
        name: feature_statistics(cells, field, spec.halves) for name, cells in layers.items()
    }
    found = activation_statistics(measures, len(layers))
    predicted = None if said.prediction is None else int(said.prediction[0])
    target = None if made.targets is None else int(made.targets[0])
    share = float(measures[-1]) if spec.halves != "no" else None
    result = ImageResult(
        id=Path(image).name if is_path else "image",
        source=Path(image) if is_path else Path(),
        size=(height, width),
        class_folder="",
        predicted=predicted,
        predicted_name=output_name(how.class_names, predicted),
        confidence=None if said.confidence is None else float(said.confidence[0]),
        right=None,
        explained=output_name(
            how.class_names, None if predicted is None and output.shape[1] == 1 else target
        ),
        output=tuple(float(value) for value in output[0]),
        layers={
            name: LayerResult(numbers[name], activations)
            for name, activations in zip(layers, found, strict=True)
        },
        left_share=share,
        right_share=None if share is None else 1.0 - share,
    )
    subject = Subject(_heading(result, wanted), seen(pixels, spec), spec.halves, share)
    characters = lettering.alphabet([result.id, subject.heading.verdict, *layers])
    render_style = render_style_of(
        style, characters, fonts.chain(characters, style.font), style.panel_size
    )
    sheet = layers_sheet(subject, layers, numbers, field, at_input, render_style)
    return (
        result,
        layers,
        at_input,
        Figure(draw(sheet, render_style.lettering, render_style.palette)),
    )


def _heading(result: ImageResult, wanted: MapRequest) -> Heading:
    title = f"{result.id}  ·  {wanted.methods[0]}"
    if result.predicted is None:
        values = ", ".join(f"{value:.4g}" for value in result.output[:4])
        return Heading(title, f"predicted {values}")
    told = "" if result.confidence is None else f"  ·  confidence {result.confidence:.4f}"
    return Heading(title, f"predicted {result.predicted_name}{told}")

"""``fastcam.Analyzer``: images looked at through several layers of a model, in Python."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.api.models import load_with_info
from fastcam.api.paths import path_list
from fastcam.attribution.model_call import ModelCall, called_as, check_arguments
from fastcam.errors import InputError
from fastcam.inference.device import choose_device
from fastcam.jobs.analyze.job import analyze_images
from fastcam.jobs.analyze.preparation import map_request, preprocessing_of
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.request import AnalyzeOptions, AnalyzeRequest, ModelPair
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.analyze.single_image import ImageRequest, analyze_image
from fastcam.jobs.explain.request import distinct_labels
from fastcam.jobs.infer.request import InferenceOptions, InputChoice
from fastcam.options import PathLike
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.run.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Sign
    from fastcam.figures.figure import Figure
    from fastcam.inference.predictions import Task
    from fastcam.read.inputs.preprocessing import Fit


@dataclass(frozen=True, eq=False)
class ImageAnalysis:
    """One image: its numbers, its maps, and a figure that shows itself in a notebook.

    ``maps``: layer to the raw CAM (h, w) float32 at the layer's resolution. ``at_input`` (h, w):
    |gradient × input| over the whole image, of models that see halves.
    """

    result: ImageResult
    maps: Mapping[str, NDArray[np.float32]]
    at_input: NDArray[np.float32] | None
    figure: Figure = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.figure._repr_png_()


class Analyzer:
    """A model and how it is looked at; the keywords are the options of ``fastcam analyze``.

    ``model``: a name as ``--model`` takes it, or a module of your own. ``layers``: dotted names, or
    "auto" for the last convolution of each stage. ``target``: the output to explain, None for the
    predicted one; ``output``: which of the tensors that the model returns is its answer.
    ``asymmetry`` None: by the model's input channels. ``output_dir`` is where
    :meth:`analyze_batch` writes, unless it is given another folder.

    Raises :class:`~fastcam.errors.InputError` for what doesn't exist or doesn't go together.
    """

    def __init__(
        self,
        model: str | nn.Module,
        checkpoint: PathLike | None = None,
        *,
        layers: Sequence[str] | str = "auto",
        method: str = "gradcam",
        target: int | None = None,
        output: str | int | None = None,
        sign: Sign = "positive",
        prefix_tokens: int | None = None,
        asymmetry: bool | None = None,
        mirror: bool = False,
        image_size: int | Sequence[int] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        fit: Fit | None = None,
        window_level: Sequence[float] | None = None,
        percentiles: Sequence[float] | None = None,
        num_classes: int | None = None,
        in_channels: int | None = None,
        allow_partial: bool = False,
        compare: PathLike | None = None,
        task: Task = "auto",
        device: str = "auto",
        precision: str = "auto",
        batch_size: int = 16,
        readers: int | None = None,
        output_dir: PathLike = "fastcam-analyze",
        how: AnalyzeOptions | None = None,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"--batch-size {batch_size} is too small: it must be at least 1")
        options = {
            "image_size": image_size,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "allow_partial": allow_partial,
        }
        chosen_device = choose_device(device)
        loaded, model_info = load_with_info(model, checkpoint, **options)
        loaded = loaded.to(chosen_device)
        models = ModelPair(model=loaded, model_info=model_info)
        analyze_options = how or AnalyzeOptions()
        if compare is not None:
            # Other weights of a module of your own are loaded into a copy.
            other, other_info = load_with_info(copy.deepcopy(model), compare, **options)
            models = replace(models, other=other.to(chosen_device), other_info=other_info)
            labels = _model_labels(checkpoint, compare)
            analyze_options = replace(analyze_options, models=labels)
        preprocessing = preprocessing_of(
            loaded, image_size, mean, std, fit, asymmetry=asymmetry, mirror=mirror
        ).with_grey(GreyLevels.of(window_level, percentiles))
        names = (layers,) if isinstance(layers, str) else tuple(layers)
        answer = "" if output is None else str(output)
        check_arguments(loaded, several=False)
        with called_as(loaded, ModelCall(answer)):
            maps = map_request(
                loaded,
                preprocessing,
                names,
                method=method,
                target=target,
                sign=sign,
                prefix_tokens=prefix_tokens,
            )
        self.request = AnalyzeRequest(
            models=models,
            preprocessing=preprocessing,
            inputs=InputChoice(()),
            maps=maps,
            inference=InferenceOptions(
                device=device,
                precision=precision,
                batch_size=batch_size,
                readers=readers,
                task=task,
            ),
            options=analyze_options,
            output_dir=Path(output_dir),
            output=answer,
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are looked at, from shallow to deep."""
        return self.request.maps.layers

    def analyze(self, image: Any, **style: Any) -> ImageAnalysis:
        """Look at one image: a path, a PIL image, or an array (h, w[, c]) uint8. Writes nothing.

        ``style``: fields of :class:`fastcam.options.Style` for the figure. InputError for an image
        that can't be read.
        """
        options = self.request.options
        request = ImageRequest(
            model=self.request.models.model,
            preprocessing=self.request.preprocessing,
            maps=self.request.maps,
            inference=self.request.inference,
            class_names=options.class_names,
            style=replace(options.style, **style),
            output=self.request.output,
        )
        result, maps, figure = analyze_image(request, image)
        return ImageAnalysis(result, maps.values, maps.at_input, figure)

    def analyze_batch(
        self,
        folder: PathLike | Sequence[PathLike],
        pattern: str | None = None,
        *,
        output_dir: PathLike | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Analysis:
        """Look at all images of a folder, whose own folders name their classes, and write maps,
        numbers, comparisons and the report; as ``fastcam analyze``. ``pattern``: which files, as
        in ``"*/*.jpg"``. What an earlier run has finished is kept.

        Images that fail are in ``.failures``, and the others are done. InputError for wrong
        settings and no images, OutputError when a file can't be written.
        """
        request = replace(
            self.request,
            inputs=InputChoice(path_list(folder), pattern),
            output_dir=Path(output_dir or self.request.output_dir),
            overwrite=overwrite,
        )
        return analyze_images(request, progress)


def _model_labels(checkpoint: PathLike | None, compare: PathLike) -> tuple[str, str]:
    """What two models are called: their files, with the folder where these are called alike."""
    first = None if checkpoint is None else Path(checkpoint)
    second = Path(compare)
    if first is None:
        return "random weights", second.name
    namings = (lambda path: path.name, lambda path: f"{path.parent.name}/{path.name}")
    labels = distinct_labels((first, second), namings)
    return labels[0], labels[1]

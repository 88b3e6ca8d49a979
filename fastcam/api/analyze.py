"""``fastcam.Analyzer``: images looked at through several layers of a model, in Python."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fastcam.api.arguments import (
    check_at_least,
    name_list,
    optional_path,
    output_name,
    path_list,
    volume_text,
)
from fastcam.api.keyword_messages import keyword_messages
from fastcam.api.models import load_with_info
from fastcam.api.workers import choose_workers
from fastcam.attribution.model_call import ModelCall, called_as, check_arguments
from fastcam.attribution.modules import device_of
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError
from fastcam.inference.device import choose_device
from fastcam.inference.dry_run import resolve_call
from fastcam.jobs.analyze.job import analyze_images
from fastcam.jobs.analyze.preparation import map_request, one_target, preprocessing_of
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.request import AnalyzeOptions, AnalyzeRequest, ModelPair
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.analyze.single_image import ImageRequest, analyze_image
from fastcam.jobs.explain.request import distinct_labels
from fastcam.jobs.infer.request import InferenceOptions, InputChoice
from fastcam.jobs.infer.workers import WorkerChoice
from fastcam.options import PathLike
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.slice_inputs import choose_slicing
from fastcam.read.inputs.volume_input import check_shown
from fastcam.read.volumes.memory_limit import limited
from fastcam.run.cgroups import cores
from fastcam.run.memory_share import memory_limit
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.run_status import RunStatus
from fastcam.storage.locations import as_path

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.window_plan import WindowPlan
    from fastcam.figures.notebook_figure import Figure
    from fastcam.inference.predictions import Task
    from fastcam.options import Axes, Sign
    from fastcam.read.inputs.preprocessing import Fit
    from fastcam.read.volumes.slice_axis import Plane


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
    "auto" for the last convolution of each stage; of a model with several inputs they are found
    when it runs. ``inputs``: of such a model the column of a table that goes into each argument of
    its ``forward``. ``target``: the output to explain, None for the predicted one, of a detector
    "box:best", "box:2" or "box:label:3"; ``output``: which of the tensors that the model returns is
    its answer. ``windows``: the model sees an image
    window by window, maps are stitched, and numbers of activations are of all windows together.
    ``asymmetry`` None: by the model's input channels. ``options``: how the report looks.
    ``output_dir`` is where :meth:`analyze_batch` writes, unless it is given another folder.

    Raises :class:`~fastcam.errors.InputError` for what doesn't exist or doesn't go together.
    """

    @keyword_messages
    def __init__(
        self,
        model: str | nn.Module,
        checkpoint: PathLike | None = None,
        *,
        layers: Sequence[str] | str = "auto",
        method: str = "gradcam",
        target: int | str | None = None,
        output: str | int | None = None,
        inputs: Mapping[str, str] | None = None,
        sign: Sign = "positive",
        prefix_tokens: int | None = None,
        windows: WindowPlan | None = None,
        asymmetry: bool | None = None,
        mirror: bool = False,
        image_size: int | Sequence[int] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
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
        options: AnalyzeOptions | None = None,
    ) -> None:
        check_at_least("batch-size", batch_size, 1)
        load_options = {
            "image_size": image_size,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "allow_partial": allow_partial,
        }
        self._sources = [(model, checkpoint), *([(model, compare)] if compare else [])]
        self._load_options = load_options
        torch_device = choose_device(device)
        loaded, model_info = load_with_info(model, checkpoint, **load_options)
        loaded = loaded.to(torch_device)
        models = ModelPair(model=loaded, model_info=model_info)
        options = options or AnalyzeOptions()
        if compare is not None:
            # Other weights of a module of your own are loaded into a copy.
            other, other_info = load_with_info(copy.deepcopy(model), compare, **load_options)
            models = replace(models, other=other.to(torch_device), other_info=other_info)
            labels = _model_labels(checkpoint, compare)
            options = replace(options, models=labels)
        preprocessing = preprocessing_of(
            loaded, image_size, mean, std, fit, asymmetry=asymmetry, mirror=mirror
        ).with_grey(GreyLevels.of(window_level, percentiles))
        answer = output_name(output)
        self._columns = dict(inputs or {})
        self._find_maps = partial(
            map_request,
            loaded,
            preprocessing,
            name_list(layers),
            method=method,
            target=one_target(target),
            sign=sign,
            prefix_tokens=prefix_tokens,
            windows=windows,
            batch_size=batch_size,
        )
        if self._columns:
            # What the columns hold, and so the layers, is known with the table.
            maps = MapRequest((method,), name_list(layers), windows=windows)
        else:
            check_arguments(loaded)
            with called_as(loaded, ModelCall(answer)):
                maps = self._find_maps()
        self.request = AnalyzeRequest(
            models=models,
            preprocessing=preprocessing,
            inputs=InputChoice(paths=()),
            maps=maps,
            inference=InferenceOptions(
                device=device,
                precision=precision,
                batch_size=batch_size,
                readers=readers,
                task=task,
            ),
            options=options,
            output_dir=as_path(output_dir),
            call=ModelCall(answer),
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are looked at, from shallow to deep; of a model with several inputs as
        they were given."""
        return self.request.maps.layers

    @keyword_messages
    def analyze(self, image: Any, **style: Any) -> ImageAnalysis:
        """Look at one image: a path, a PIL image, or an array (h, w[, c]) uint8. Writes nothing.

        ``style``: fields of :class:`fastcam.options.Style` for the figure. InputError for an image
        that can't be read.
        """
        if self._columns:
            raise InputError("the model takes several inputs: give their table to analyze_batch")
        options = self.request.options
        request = ImageRequest(
            model=self.request.models.model,
            preprocessing=self.request.preprocessing,
            maps=self.request.maps,
            inference=self.request.inference,
            class_names=options.class_names,
            style=replace(options.style, **style),
            output=self.request.call.output,
        )
        result, maps, figure = analyze_image(request, image)
        return ImageAnalysis(result, maps.values, maps.at_input, figure)

    @keyword_messages
    def analyze_batch(
        self,
        folder: PathLike | Sequence[PathLike],
        pattern: str | None = None,
        *,
        table: PathLike | None = None,
        axes: Axes = "zyx",
        volume: str | int | None = None,
        axis: Plane | None = None,
        slices: str | None = None,
        context: int | None = None,
        output_dir: PathLike | None = None,
        devices: str | int | None = None,
        scheduler: str | None = None,
        overwrite: bool = False,
        trust_inputs: bool = False,
        max_memory: int | str | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        """Look at all images of a folder, whose own folders name their classes, and write maps,
        numbers, comparisons and the report; as ``fastcam analyze``. ``pattern``: which files, as
        in ``"*/*.jpg"``. What an earlier run has finished is kept.

        Of volumes every slice is an image of its own, ``<id>_slice042``: ``axis``, ``slices`` and
        ``context`` say which and how, ``volume`` which one of a series or 4-D file, ``axes`` in
        what order those of NumPy files are. Of a model with several inputs ``folder`` is the table
        with their columns, or with ``table`` the folder that its paths are relative to. ``devices``
        and ``scheduler``: the model runs in worker processes, as in :func:`fastcam.infer`.

        Images that fail are in ``.failures``, and the others are done. InputError for wrong
        settings and no images, OutputError when a file can't be written.
        """
        preprocessing = self.request.preprocessing
        choice = InputChoice(
            paths=path_list(folder),
            pattern=pattern,
            table=optional_path(table),
            axes=axes,
            columns=self._columns,
            volume=volume_text(volume),
        )
        maps, call = self.request.maps, self.request.call
        if self._columns:
            maps, call = self._several_inputs(choice)
        slicing = choose_slicing(
            lambda dims: [] if self._columns else choice.find(dims, preprocessing.channels)[1],
            len(preprocessing.size),
            axis=axis,
            slices=slices,
            context=context,
        )
        check_shown(
            self.request.options.show_channel,
            preprocessing,
            None if slicing is None else slicing.context,
        )
        request = replace(
            self.request,
            inputs=replace(choice, slicing=slicing),
            maps=maps,
            call=call,
            output_dir=as_path(output_dir or self.request.output_dir),
            overwrite=overwrite,
            inference=replace(self.request.inference, trust_inputs=trust_inputs),
            choices=self._worker_choices(devices, scheduler),
        )
        workers = request.options.workers or cores()
        status = RunStatus(request.output_dir, "analyze", progress or NoProgress())
        with status, limited(memory_limit(max_memory, workers)):
            return analyze_images(request, status)

    def _worker_choices(
        self, devices: str | int | None, scheduler: str | None
    ) -> tuple[WorkerChoice, ...]:
        """The processes that run each model; empty where that is this one."""
        choices = [
            choose_workers(
                model,
                checkpoint,
                self._load_options,
                devices=devices,
                scheduler=scheduler,
                draws=True,
            )
            for model, checkpoint in self._sources
        ]
        return tuple(choice for choice in choices if choice is not None)

    def _several_inputs(self, choice: InputChoice) -> tuple[MapRequest, ModelCall]:
        """The maps of a model with several inputs, and how it is called."""
        preprocessing, model = self.request.preprocessing, self.request.models.model
        inputs, _ = choice.find(len(preprocessing.size))
        if preprocessing.halves != "no":
            raise InputError("--asymmetry is for models of one image: leave it, or --input, out")
        call = resolve_call(
            model,
            preprocessing,
            device_of(model),
            torch.float32,
            output=self.request.call.output,
            inputs=inputs,
            windows=self.request.maps.windows,
        )
        with called_as(model, call):
            return self._find_maps(packed=call.packed), call


def _model_labels(checkpoint: PathLike | None, compare: PathLike) -> tuple[str, str]:
    """What two models are called: their files, with the folder where these are called alike."""
    first = None if checkpoint is None else as_path(checkpoint)
    second = as_path(compare)
    if first is None:
        return "random weights", second.name
    namings = (lambda path: path.name, lambda path: f"{path.parent.name}/{path.name}")
    labels = distinct_labels((first, second), namings)
    return labels[0], labels[1]

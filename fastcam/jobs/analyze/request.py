"""What an analysis is asked for: models, images, maps, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.attribution.model_call import ModelCall
from fastcam.jobs.infer.request import InferenceOptions, InputChoice
from fastcam.jobs.infer.workers import WorkerChoice
from fastcam.options import Language, Style
from fastcam.read.inputs.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import MapRequest


@dataclass(frozen=True)
class AnalyzeOptions:
    """How an analysis looks.

    Attributes:
        style: how figures look.
        language: of the report's text.
        class_names: names of the classes, in the order of the model's outputs; empty to take those
            of the class folders.
        models: what two models are called on figures.
        workers: processes that draw; None for all cores.
        show_channel: of volumes of several channels the one that figures show, from 1; None: the
            first.
    """

    style: Style = field(default_factory=lambda: Style(heat_alpha=0.7))
    language: Language = "en"
    class_names: tuple[str, ...] = ()
    models: tuple[str, str] = ("first", "second")
    workers: int | None = None
    show_channel: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """The model that is analyzed, and one that it is compared with.

    Attributes:
        model: the module, on any device.
        model_info: ``model`` and ``checkpoint`` as the user named them.
        other: the module to compare with; None for none.
        other_info: ``model`` and ``checkpoint`` of that; empty for none.
    """

    model: nn.Module
    model_info: dict[str, Any]
    other: nn.Module | None = None
    other_info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AnalyzeRequest:
    """All that decides an analysis.

    Attributes:
        models: the model, and one to compare it with.
        preprocessing: how the models see images.
        inputs: which images.
        maps: which maps of which layers.
        inference: how the models run.
        options: how the analysis looks.
        output_dir: the folder for everything.
        overwrite: replace what was made with other settings.
        call: how the models are called: several inputs, and the name of their answer; empty: it
            is found.
        choices: the processes that run each of the models over the images; empty: this one.
    """

    models: ModelPair
    preprocessing: Preprocessing
    inputs: InputChoice
    maps: MapRequest
    inference: InferenceOptions
    options: AnalyzeOptions
    output_dir: Path
    overwrite: bool = False
    call: ModelCall = field(default_factory=ModelCall)
    choices: tuple[WorkerChoice, ...] = ()

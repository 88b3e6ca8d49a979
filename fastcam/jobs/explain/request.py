"""What ``fastcam explain`` is asked for: models, methods, their layers, and how figures look."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from torch import nn

from fastcam.attribution.box_target import BoxTarget
from fastcam.attribution.engines import default_method
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.request import (
    CAM_METHODS,
    INPUT_METHODS,
    METHODS,
    SLOW_METHODS,
    Augmentation,
    Fusion,
    MapRequest,
    Reshape,
)
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.attribution.window_plan import WindowPlan
from fastcam.errors import InputError
from fastcam.inference.predictions import Task
from fastcam.jobs.explain.results import Head
from fastcam.jobs.explain.rows import RECONSTRUCTION
from fastcam.jobs.explain.scales import Scale, check_scale
from fastcam.options import Sign, Style
from fastcam.read.inputs.named_inputs import ModelInput

ALL = "all"
_NUMBER = re.compile(r"-?\d+")
Model = TypeVar("Model")


@dataclass(frozen=True)
class ModelChoice:
    """A model to explain by.

    - ``name``: what it is called while it is loaded
    - ``label``: what figures call it, "" for one alone
    - ``load``: gives the model
    """

    name: str
    label: str
    load: Callable[[], nn.Module]


@dataclass(frozen=True)
class FigureOptions:
    """How figures look: see :meth:`fastcam.jobs.explain.comparison.Comparison.figure`.

    ``show_channel``: of volumes of several channels the one that is shown, from 1.
    """

    scale: Scale = "auto"
    head: Head = "mean"
    style: Style = field(default_factory=Style)
    show_channel: int | None = None

    def __post_init__(self) -> None:
        check_scale(self.scale)


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    """Which methods are run, and how.

    - ``methods``: empty for the model's own, or ``("all",)``
    - ``layers``: by method the dotted names or numbers of its layers; those under "" are for every
      method that knows such layers
    - ``sign``, ``fusion``, ``discard_ratio``, ``start_layer``, ``prefix_tokens`` and ``reshape``:
      as in :class:`fastcam.attribution.request.MapRequest`
    - ``method_settings``: of the methods with many passes
    - ``task``: what the output is
    - ``batch_size``: images in a forward pass
    - ``device``: None is where the model is
    - ``precision``: of the arithmetic
    - ``query``: the picture's pixel (x, y) whose place reconstruction asks from; None for all
    - ``output``: the name of the model's answer among what it returns; empty: it is found
    - ``segments``: what is explained of a segmentation
    - ``boxes``: of a detector the boxes whose scores are explained
    - ``windows``: where models see their input window by window
    - ``tta``: how images are changed for maps that are averaged
    - ``inputs``: what goes into a model with several inputs; empty for one of one image
    """

    methods: tuple[str, ...] = ()
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sign: Sign = "positive"
    fusion: Fusion = "mean"
    discard_ratio: float = 0.0
    start_layer: int = 0
    prefix_tokens: int | None = None
    reshape: Reshape = "auto"
    task: Task = "auto"
    batch_size: int = 16
    device: str | None = None
    precision: str = "fp32"
    query: tuple[int, int] | None = None
    output: str = ""
    method_settings: MethodSettings = field(default_factory=MethodSettings)
    inputs: tuple[ModelInput, ...] = ()
    segments: tuple[SegmentTarget, ...] = ()
    boxes: tuple[BoxTarget, ...] = ()
    windows: WindowPlan | None = None
    tta: Augmentation | None = None

    @property
    def every(self) -> bool:
        """Whether all methods are asked for, those left out that the model has nothing for."""
        return ALL in self.methods


@dataclass(frozen=True)
class Step:
    """Methods that one engine runs together, at the same ``layers``; none: at those it finds."""

    methods: tuple[str, ...]
    layers: tuple[str, ...]

    def __str__(self) -> str:
        at = f" at {', '.join(self.layers)}" if self.layers else ""
        return ", ".join(self.methods) + at

    def map_request(self, request: ExplainRequest) -> MapRequest:
        """The same for an engine."""
        return MapRequest(
            methods=self.methods,
            layers=self.layers,
            sign=request.sign,
            prefix_tokens=request.prefix_tokens,
            reshape=request.reshape,
            fusion=request.fusion,
            discard_ratio=request.discard_ratio,
            start_layer=request.start_layer,
            settings=request.method_settings,
            segments=request.segments,
            boxes=request.boxes,
            windows=request.windows,
            augmentation=request.tta,
        )


def layers_of(texts: Sequence[str | int], methods: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``METHOD=LAYER``, or a layer alone, as layers by method.

    InputError for a method that is not among ``methods``.
    """
    layers: dict[str, list[str]] = {}
    for text in map(str, texts):
        method, sign, layer = text.partition("=")
        if not sign:
            method, layer = "", text
        elif method not in methods and ALL not in methods:
            raise InputError(f"--layer {text}: {method!r} is not among the methods; add --method")
        if not layer.strip():
            raise InputError(f"--layer {text!r}: names no layer")
        layers.setdefault(method, []).append(layer.strip())
    return {method: tuple(names) for method, names in layers.items()}


def steps_of(request: ExplainRequest, support: bool) -> list[Step]:
    """What is run, in order; ``request`` names its methods. ``support``: there are support images.

    InputError for methods that don't exist or are given twice, and where support images and
    reconstruction don't come together.
    """
    methods = request.methods
    if request.every:
        if len(methods) > 1:
            raise InputError(f"--method {ALL} stands alone; leave out {_all_but_all(methods)}")
        methods = tuple(m for m in METHODS if m not in SLOW_METHODS)
        methods += (RECONSTRUCTION,) * support
    if methods.count(RECONSTRUCTION) > 1:
        raise InputError(f"--method {RECONSTRUCTION} is given twice")
    of_engines = tuple(m for m in methods if m != RECONSTRUCTION)
    if of_engines or not methods:
        # Checks them.
        MapRequest(of_engines)
    if RECONSTRUCTION in methods and not support:
        raise InputError(
            f"--method {RECONSTRUCTION} compares with support images: give one at least, "
            "--support IMAGE or --support CLASS=IMAGE"
        )
    if support and RECONSTRUCTION not in methods:
        raise InputError(f"--support is for --method {RECONSTRUCTION}: add it, or leave it out")
    if request.query is not None and RECONSTRUCTION not in methods:
        raise InputError(f"--query is for --method {RECONSTRUCTION}: add it, or leave --query out")
    of_layers = [m for m in methods if m not in INPUT_METHODS]
    mixed = 0 < sum(m in CAM_METHODS for m in of_layers) < len(of_layers)
    steps: list[Step] = []
    for method in methods:
        cam = method in CAM_METHODS
        step = Step((method,), _layers(method, cam, mixed, request))
        same = next(
            (
                number
                for number, other in enumerate(steps)
                if cam and other.methods[0] in CAM_METHODS and other.layers == step.layers
            ),
            None,
        )
        if same is None:
            steps.append(step)
        else:
            steps[same] = replace(steps[same], methods=(*steps[same].methods, method))
    return steps


def _layers(method: str, cam: bool, mixed: bool, request: ExplainRequest) -> tuple[str, ...]:
    """Of CAMs and other methods together, CAMs take the dotted names and the others the numbers."""
    own = request.layers.get(method, ())
    if own and method in INPUT_METHODS:
        raise InputError(
            f"--layer {method}={own[0]}: {method} is a map of the input, and has no layers; leave "
            "it out"
        )
    if own or method in ("rollout", "chefer", *INPUT_METHODS):
        return own
    free = request.layers.get("", ())
    if not mixed:
        return free
    return tuple(layer for layer in free if bool(_NUMBER.fullmatch(layer)) != cam)


def _all_but_all(methods: Sequence[str]) -> str:
    return ", ".join(method for method in methods if method != ALL)


def with_methods(
    request: ExplainRequest, models: Sequence[nn.Module], support: bool
) -> ExplainRequest:
    """``request`` with the methods that are taken where none is named: reconstruction with support
    images, else the models' own, Grad-CAM where these differ."""
    if request.methods:
        return request
    if support:
        return replace(request, methods=(RECONSTRUCTION,))
    own = {default_method(model) for model in models}
    return replace(request, methods=(own.pop() if len(own) == 1 else "gradcam",))


def cell_of(pixel: tuple[int, int], size: Sequence[int], grid: tuple[int, int]) -> tuple[int, int]:
    """The (row, column) of a ``grid`` (rows, columns) that a pixel (x, y) of a picture of ``size``
    (height, width) lies in. InputError where it lies outside."""
    (x, y), (height, width) = pixel, size
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"--query {x},{y} lies outside the image: x is 0 to {width - 1}, y is 0 to {height - 1}"
        )
    return y * grid[0] // height, x * grid[1] // width


def distinct_labels(
    models: Sequence[Model], namings: Sequence[Callable[[Model], str]]
) -> list[str]:
    """What several models are called: by the first of ``namings`` that tells them all apart, or by
    the last."""
    labels: list[str] = []
    for naming in namings:
        labels = [naming(model) for model in models]
        if len(set(labels)) == len(labels):
            break
    return labels


def model_labels(models: Sequence[tuple[str, Path | None]]) -> list[str]:
    """What models with their checkpoints are called on figures, "" for one alone.

    The model, or its checkpoint where models are alike, with the folder where these are called
    alike.
    """
    if len(models) == 1:
        return [""]

    def file(choice: tuple[str, Path | None]) -> str:
        model, checkpoint = choice
        return checkpoint.stem if checkpoint else model

    def file_in_folder(choice: tuple[str, Path | None]) -> str:
        model, checkpoint = choice
        return _in_folder(checkpoint) if checkpoint else model

    def path(choice: tuple[str, Path | None]) -> str:
        model, checkpoint = choice
        return str(checkpoint or model)

    return distinct_labels(models, (lambda choice: choice[0], file, file_in_folder, path))


def checkpoint_labels(checkpoint: Path | None, compare: Path | None) -> tuple[str, str]:
    """What two checkpoints of one model are called: their files, with as much of the path as tells
    them apart."""
    if checkpoint is None or compare is None:
        first, second = (path.stem if path else "" for path in (checkpoint, compare))
        return first or "random weights", second
    if checkpoint == compare:
        return checkpoint.stem, compare.stem
    first, second = distinct_labels(
        (checkpoint, compare), (lambda path: path.stem, lambda path: path.name, _in_folder, str)
    )
    return first, second


def _in_folder(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"

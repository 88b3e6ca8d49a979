"""What is asked of a few images: which methods, at which layers, run how."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fastcam.errors import InputError
from fastcam.jobs.explain.rows import RECONSTRUCTION

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Fusion, Reshape, Sign, MapRequest
    from fastcam.inference.predictions import Task

ALL = "all"
# Hundreds of forward passes an image: only where it is asked for by name.
_SLOW = ("scorecam",)
_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class ExplainRequest:
    """``methods``: empty for the model's own, or ``("all",)``. ``layers``: by method the dotted
    names or numbers of its layers; those under "" are for every method that knows such layers. The
    other fields are options of ``fastcam explain``; ``query`` (x, y): the picture's pixel whose
    place reconstruction asks from; ``device`` None is where the model is."""

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

    def wanted(self, asked: ExplainRequest) -> MapRequest:
        """The same for an engine."""
        from fastcam.attribution.request import MapRequest

        return MapRequest(
            self.methods, self.layers, (), asked.sign, asked.prefix_tokens, asked.reshape,
            asked.fusion, asked.discard_ratio, asked.start_layer,
        )  # fmt: skip


def layers_of(texts: Sequence[str | int], methods: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``METHOD=LAYER``, or a layer alone, as layers by method. InputError for a method that is not
    among ``methods``."""
    found: dict[str, list[str]] = {}
    for text in map(str, texts):
        method, sign, layer = text.partition("=")
        if not sign:
            method, layer = "", text
        elif method not in methods and ALL not in methods:
            raise InputError(f"--layer {text}: {method!r} is not among the methods; add --method")
        if not layer.strip():
            raise InputError(f"--layer {text!r}: names no layer")
        found.setdefault(method, []).append(layer.strip())
    return {method: tuple(layers) for method, layers in found.items()}


def steps_of(asked: ExplainRequest, support: bool) -> list[Step]:
    """What is run, in order; ``asked`` names its methods. ``support``: there are support images.

    InputError for methods that don't exist or are given twice, and where support images and
    reconstruction don't come together.
    """
    from fastcam.attribution.request import CAM_METHODS, METHODS, MapRequest

    methods = asked.methods
    if asked.every:
        if len(methods) > 1:
            raise InputError(f"--method {ALL} stands alone; leave out {_others(methods)}")
        methods = tuple(m for m in METHODS if m not in _SLOW)
        methods += (RECONSTRUCTION,) * support
    if methods.count(RECONSTRUCTION) > 1:
        raise InputError(f"--method {RECONSTRUCTION} is given twice")
    ordinary = tuple(m for m in methods if m != RECONSTRUCTION)
    if ordinary or not methods:
        MapRequest(ordinary)
    if RECONSTRUCTION in methods and not support:
        raise InputError(
            f"--method {RECONSTRUCTION} compares with support images: give one at least, "
            "--support IMAGE or --support CLASS=IMAGE"
        )
    if support and RECONSTRUCTION not in methods:
        raise InputError(f"--support is for --method {RECONSTRUCTION}: add it, or leave it out")
    if asked.query is not None and RECONSTRUCTION not in methods:
        raise InputError(f"--query is for --method {RECONSTRUCTION}: add it, or leave --query out")
    mixed = any(m in CAM_METHODS for m in methods) and any(m not in CAM_METHODS for m in methods)
    steps: list[Step] = []
    for method in methods:
        cam = method in CAM_METHODS
        step = Step((method,), _layers(method, cam, mixed, asked))
        same = next((s for s in steps if cam and s.methods[0] in CAM_METHODS
                     and s.layers == step.layers), None)  # fmt: skip
        if same is None:
            steps.append(step)
        else:
            steps[steps.index(same)] = replace(same, methods=(*same.methods, method))
    return steps


def _layers(method: str, cam: bool, mixed: bool, asked: ExplainRequest) -> tuple[str, ...]:
    """Of CAMs and other methods together, CAMs take the dotted names and the others the numbers."""
    own = asked.layers.get(method, ())
    if own or method == "rollout":
        return own
    free = asked.layers.get("", ())
    if not mixed:
        return free
    return tuple(layer for layer in free if bool(_NUMBER.fullmatch(layer)) != cam)


def _others(methods: Sequence[str]) -> str:
    return ", ".join(method for method in methods if method != ALL)


def with_methods(
    asked: ExplainRequest, models: Sequence[nn.Module], support: bool
) -> ExplainRequest:
    """``asked`` with the methods that are taken where none is named: reconstruction with support
    images, else the models' own, Grad-CAM where these differ."""
    if asked.methods:
        return asked
    if support:
        return replace(asked, methods=(RECONSTRUCTION,))
    from fastcam.attribution.engines import default_method

    own = {default_method(model) for model in models}
    return replace(asked, methods=(own.pop() if len(own) == 1 else "gradcam",))

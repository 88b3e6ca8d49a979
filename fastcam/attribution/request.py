"""Which maps to make of a model, as one frozen dataclass, checked when it is made."""

from __future__ import annotations

import difflib
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any, Literal, get_args

from fastcam.attribution.box_target import BoxTarget
from fastcam.attribution.method_settings import MethodSettings
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.attribution.window_plan import WindowPlan
from fastcam.errors import InputError
from fastcam.options import Sign

CAM_METHODS = (
    "gradcam", "hirescam", "layercam", "gradcam++", "eigencam", "scorecam", "ablationcam",
)  # fmt: skip
# Of the pixels of the input: gradients, and what is lost where they are covered.
GRADIENT_METHODS = ("saliency", "inputxgradient", "smoothgrad", "integrated-gradients")
PERTURBATION_METHODS = ("occlusion", "rise")
INPUT_METHODS = (*GRADIENT_METHODS, *PERTURBATION_METHODS)
TOKEN_METHODS = ("attention", "rollout")
# Of attention and its gradient.
RELEVANCE_METHODS = ("legrad", "chefer", "gradattention")
# Of parts that a mixed-attention network has: windows, channel gates, overlapping windows.
MIXED_METHODS = ("window", "channel", "overlap")
METHODS = (*CAM_METHODS, *INPUT_METHODS, *TOKEN_METHODS, *RELEVANCE_METHODS, *MIXED_METHODS)
# Those that explain an output, and of these the ones with evidence for it and against it.
TARGET_METHODS = (*CAM_METHODS, *INPUT_METHODS, *RELEVANCE_METHODS)
SIGNED_METHODS = tuple(
    method
    for method in TARGET_METHODS
    if method not in ("eigencam", "saliency", "smoothgrad", "legrad", "chefer")
)


def is_signed(name: str) -> bool:
    """Whether the map METHOD or METHOD/LAYER is evidence for an output and against it."""
    return name.partition("/")[0] in SIGNED_METHODS


# Hundreds of forward passes an image.
SLOW_METHODS = ("scorecam", "ablationcam", *PERTURBATION_METHODS)

# Name of the map at the input that an analysis of bilateral halves has:
# Σ over channels of |∂y/∂x · (x - black)| (gradient × input, Shrikumar et al. 2016).
GRADIENT_X_INPUT = "gradient_x_input"

# What decides the maps of a method besides the options of all.
_BASELINE = ("baseline", "black")
_SETTINGS = {
    "smoothgrad": ("samples", "noise", "seed"),
    "integrated-gradients": ("steps", *_BASELINE),
    "occlusion": ("occlusion_size", "occlusion_stride", *_BASELINE),
    "rise": ("masks", "cells", "keep", "seed", "multilabel", *_BASELINE),
}

Fusion = Literal["mean", "max", "min"]
Reshape = Literal["auto", "none"]
Augmentation = Literal["flips", "rotations", "shifts"]


@dataclass(frozen=True)
class MapRequest:
    """The maps to make.

    - ``methods``: one or more of METHODS
    - ``layers``: dotted module names for the CAM methods, numbers or names of modules for
      attention, window, channel and overlap; empty: the last spatial layer, or all
    - ``classes``: outputs that CAMs explain, several for several maps an image; empty: the
      predicted one
    - ``texts``: what the outputs are similarities to, of a model that compares images with texts
    - ``segments``: of a segmentation what is explained, in place of ``classes``
    - ``boxes``: of a detector the boxes whose scores are explained, in place of ``classes``
    - ``sign``: which evidence is shown, for the output, against it, or both; engines give both
    - ``prefix_tokens``: tokens before the patches; None: counted from the model
    - ``reshape``: how a layer's output becomes a grid; "auto" finds it, "none" takes (b, k, h, w)
    - ``fusion``: how rollout joins the heads of a layer
    - ``discard_ratio``: share of each layer's attention that rollout sets to zero, 0 to below 1
    - ``start_layer``: the first layer of rollout, 0-based
    - ``windows``: where the model sees its input window by window
    - ``augmentation``: how images are changed for maps that are averaged; None: not at all
    - ``settings``: of the methods that run a model many times

    Raises InputError for names that are not known, are given twice, and numbers out of range.
    """

    methods: tuple[str, ...] = ("gradcam",)
    layers: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    segments: tuple[SegmentTarget, ...] = ()
    texts: tuple[str, ...] = ()
    _: KW_ONLY
    boxes: tuple[BoxTarget, ...] = ()
    sign: Sign = "positive"
    prefix_tokens: int | None = None
    reshape: Reshape = "auto"
    fusion: Fusion = "mean"
    discard_ratio: float = 0.0
    start_layer: int = 0
    windows: WindowPlan | None = None
    augmentation: Augmentation | None = None
    settings: MethodSettings = field(default_factory=MethodSettings)

    def __post_init__(self) -> None:
        if not self.methods:
            raise InputError(f"no --method: give one or more of {', '.join(METHODS)}")
        for method in self.methods:
            if method not in METHODS:
                near = difflib.get_close_matches(method, METHODS, n=2)
                hint = f"did you mean {' or '.join(near)}?" if near else "use one of "
                rest = "" if near else ", ".join(METHODS)
                raise InputError(f"--method {method!r} is not known: {hint}{rest}")
        if self.classes and self.segments:
            raise InputError(
                f"--target {self.classes[0]} and {self.segments[0]}: an output is one number for "
                "an image, or a class for every pixel; give one kind"
            )
        self._check_boxes()
        for name in ("methods", "layers", "classes", "segments", "boxes"):
            values = getattr(self, name)
            twice = next((v for v in values if values.count(v) > 1), None)
            if twice is not None:
                raise InputError(f"--{_OPTION[name]} {twice} is given twice")
        for option, value, choices in (
            ("sign", self.sign, get_args(Sign)),
            ("fusion", self.fusion, get_args(Fusion)),
            ("reshape", self.reshape, get_args(Reshape)),
            ("tta", self.augmentation, (None, *get_args(Augmentation))),
        ):
            if value not in choices:
                raise InputError(
                    f"--{option} {value!r} is not known: use one of "
                    f"{', '.join(filter(None, choices))}"
                )
        if not 0.0 <= self.discard_ratio < 1.0:
            raise InputError(f"--discard-ratio {self.discard_ratio}: must be 0 or more, below 1")
        for option, number in (
            ("prefix-tokens", self.prefix_tokens),
            ("start-layer", self.start_layer),
            *(("target", c) for c in self.classes),
        ):
            if number is not None and number < 0:
                raise InputError(f"--{option} {number}: must be 0 or more")

    def _check_boxes(self) -> None:
        """InputError where boxes are wanted beside something that they don't go with."""
        others = (*self.classes, *self.segments)
        if self.boxes and others:
            raise InputError(
                f"--target {others[0]} and {self.boxes[0]}: a map explains the score of a box, or "
                "another output; give one kind"
            )
        for option, value in (("tta", self.augmentation), ("window", self.windows)):
            if self.boxes and value is not None:
                raise InputError(
                    f"--{option} and --target {self.boxes[0]}: the boxes of a changed image, or of "
                    "a part of it, are others; leave one of them out"
                )

    def plain(self) -> dict[str, Any]:
        """As plain values by name: what decides the maps, of ``settings`` only what the methods
        use."""
        values = asdict(self)
        own = values.pop("settings")
        for name in ("segments", "boxes"):
            values[name] = [str(target) for target in getattr(self, name)]
        for name in ("windows", "augmentation"):
            if values[name] is None:
                del values[name]
        for name in ("texts", "segments", "boxes"):
            if not values[name]:
                del values[name]  # as in stores from before there were any
        used = {name for method in self.methods for name in _SETTINGS.get(method, ())}
        return values | {name: own[name] for name in own if name in used}

    @property
    def cam_methods(self) -> tuple[str, ...]:
        """Those of the methods that explain an output by a layer's activations."""
        return tuple(method for method in self.methods if method in CAM_METHODS)

    @property
    def gradient_methods(self) -> tuple[str, ...]:
        """Those that are gradients at the input."""
        return tuple(method for method in self.methods if method in GRADIENT_METHODS)

    @property
    def perturbation_methods(self) -> tuple[str, ...]:
        """Those that cover parts of the input."""
        return tuple(method for method in self.methods if method in PERTURBATION_METHODS)

    @property
    def relevance_methods(self) -> tuple[str, ...]:
        """Those of attention and its gradient."""
        return tuple(method for method in self.methods if method in RELEVANCE_METHODS)

    @property
    def is_targeted(self) -> bool:
        """Whether one of them explains an output."""
        return any(method in TARGET_METHODS for method in self.methods)

    @property
    def is_slow(self) -> bool:
        """Whether an image takes hundreds of forward passes."""
        return any(method in SLOW_METHODS for method in self.methods)

    @property
    def mixed_methods(self) -> tuple[str, ...]:
        """Those that show windows, channel gates or overlapping windows."""
        return tuple(method for method in self.methods if method in MIXED_METHODS)


_OPTION = {
    "methods": "method",
    "layers": "layer",
    "classes": "target",
    "segments": "target",
    "boxes": "target",
}

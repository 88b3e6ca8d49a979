"""Which maps to make of a model, as one frozen dataclass, checked when it is made."""

from __future__ import annotations

import difflib
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

from fastcam.errors import InputError

CAM_METHODS = ("gradcam", "hirescam", "layercam", "gradcam++", "eigencam", "scorecam")
TOKEN_METHODS = ("attention", "rollout")
# Of parts that a mixed-attention network has: windows, channel gates, overlapping windows.
MIXED_METHODS = ("window", "channel", "overlap")
METHODS = (*CAM_METHODS, *TOKEN_METHODS, *MIXED_METHODS)

# Name of the map at the input that an analysis of bilateral halves has:
# Σ over channels of |∂y/∂x · (x - black)| (gradient × input, Shrikumar et al. 2016).
GRADIENT_X_INPUT = "gradient_x_input"

Sign = Literal["positive", "negative", "both"]
Fusion = Literal["mean", "max", "min"]
Reshape = Literal["auto", "none"]


@dataclass(frozen=True)
class MapRequest:
    """The maps to make.

    - ``methods``: one or more of METHODS
    - ``layers``: dotted module names for the CAM methods, numbers or names of modules for
      attention, window, channel and overlap; empty: the last spatial layer, or all
    - ``classes``: outputs that CAMs explain, several for several maps an image; empty: the
      predicted one
    - ``sign``: evidence for the output, against it, or both
    - ``prefix_tokens``: tokens before the patches; None: counted from the model
    - ``reshape``: how a layer's output becomes a grid; "auto" finds it, "none" takes (b, k, h, w)
    - ``fusion``: how rollout joins the heads of a layer
    - ``discard_ratio``: share of each layer's attention that rollout sets to zero, 0 to below 1
    - ``start_layer``: the first layer of rollout, 0-based

    Raises InputError for names that are not known, are given twice, and numbers out of range.
    """

    methods: tuple[str, ...] = ("gradcam",)
    layers: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    _: KW_ONLY
    sign: Sign = "positive"
    prefix_tokens: int | None = None
    reshape: Reshape = "auto"
    fusion: Fusion = "mean"
    discard_ratio: float = 0.0
    start_layer: int = 0

    def __post_init__(self) -> None:
        if not self.methods:
            raise InputError(f"no --method: give one or more of {', '.join(METHODS)}")
        for method in self.methods:
            if method not in METHODS:
                near = difflib.get_close_matches(method, METHODS, n=2)
                hint = f"did you mean {' or '.join(near)}?" if near else "use one of "
                rest = "" if near else ", ".join(METHODS)
                raise InputError(f"--method {method!r} is not known: {hint}{rest}")
        for name in ("methods", "layers", "classes"):
            values = getattr(self, name)
            twice = next((v for v in values if values.count(v) > 1), None)
            if twice is not None:
                raise InputError(f"--{_OPTION[name]} {twice} is given twice")
        for option, value, choices in (
            ("sign", self.sign, get_args(Sign)),
            ("fusion", self.fusion, get_args(Fusion)),
            ("reshape", self.reshape, get_args(Reshape)),
        ):
            if value not in choices:
                raise InputError(
                    f"--{option} {value!r} is not known: use one of {', '.join(choices)}"
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

    @property
    def cam_methods(self) -> tuple[str, ...]:
        """Those of the methods that explain an output by a layer's activations."""
        return tuple(method for method in self.methods if method in CAM_METHODS)

    @property
    def mixed_methods(self) -> tuple[str, ...]:
        """Those that show windows, channel gates or overlapping windows."""
        return tuple(method for method in self.methods if method in MIXED_METHODS)


_OPTION = {"methods": "method", "layers": "layer", "classes": "target"}

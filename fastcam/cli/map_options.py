"""Options that commands with maps share: which maps of a model, and how they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from fastcam.attribution.method_settings import MethodSettings
    from fastcam.attribution.window_plan import WindowPlan

Option = typer.Option
MAPS = "The maps"
PASSES = "Methods with many passes"
Method = Annotated[
    list[str] | None,
    Option(
        help="Of layers: gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, ablationcam; "
        "of pixels: saliency, inputxgradient, smoothgrad, integrated-gradients, occlusion, rise; "
        "of attention: attention, rollout, legrad, chefer, gradattention, window, channel, "
        "overlap; repeatable, or with commas. Default: gradcam, for a Vision Transformer "
        "attention.",
        rich_help_panel=MAPS,
    ),
]
Layer = Annotated[
    list[str] | None,
    Option(
        "--layer",
        "--layers",
        help="Module by its dotted name, or by its number for attention, window, channel, overlap; "
        "repeatable, or with commas. Default: the last spatial layer; for those: all. Of a module "
        "that runs more than once every call has a map; NAME#0 is its first call alone. "
        "`fastcam inspect --model` lists them.",
        rich_help_panel=MAPS,
    ),
]
# Which maps of a store: the same in `export` and `render`.
METHOD_FILTER_HELP = "Only maps of this method; repeatable, or with commas. Default: all."
LAYER_FILTER_HELP = (
    "Only maps of this layer; repeatable, or with commas. Default: all; of attention, the last."
)
Target = Annotated[
    list[str] | None,
    Option(
        help="Output that maps explain: a class number, or label for that of the table; of a "
        "segmentation seg:CLASS, the sum of the class's logits where it is predicted, "
        "seg:CLASS@mask inside the image's mask, seg:CLASS@all, or seg:CLASS@x,y[,z] at a pixel of "
        "the model's input; of a detector the score of a box, box:best, box:N by falling score, or "
        "box:label:CLASS, the best of a class; of CLIP and SigLIP 'text:WORDS', how similar the "
        "image is to them; "
        "repeatable. Default: the predicted class, or the value of a regression.",
        rich_help_panel=MAPS,
    ),
]
Sign = Annotated[
    Literal["positive", "negative", "both"],
    Option(
        help="Evidence for the output, against it, or both: of every map L that explains an output "
        "ReLU(L), ReLU(-L), or L itself is shown and measured, and L is stored; EigenCAM explains "
        "none, and saliency and smoothgrad are magnitudes.",
        rich_help_panel=MAPS,
    ),
]
SIGN_OF_STORE_HELP = (
    "Evidence for the output, against it, or both, of maps that explain one. Default: as infer was "
    "told; the store has both, so the model isn't run again."
)
PrefixTokens = Annotated[
    int | None,
    Option(
        min=0,
        help="CLS and register tokens; default: counted from the model.",
        rich_help_panel=MAPS,
    ),
]
Reshape = Annotated[
    Literal["auto", "none"],
    Option(
        help="How a layer's tokens become a grid: found from the model, or taken as it is.",
        rich_help_panel=MAPS,
    ),
]


@dataclass(frozen=True, kw_only=True)
class AttentionOptions:
    """How attention becomes a map."""

    fusion: Annotated[
        Literal["mean", "max", "min"],
        Option(help="rollout: how heads are fused.", rich_help_panel=MAPS),
    ] = "mean"
    discard_ratio: Annotated[
        float,
        Option(
            min=0.0,
            max=1.0,
            help="rollout: share of the lowest weights set to zero.",
            rich_help_panel=MAPS,
        ),
    ] = 0.0
    start_layer: Annotated[
        int, Option(min=0, help="rollout: first block that counts.", rich_help_panel=MAPS)
    ] = 0
    prefix_tokens: PrefixTokens = None


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How methods with many passes make a map."""

    baseline: Annotated[
        Literal["auto", "black", "zero", "mean", "blur"],
        Option(
            help="integrated-gradients, occlusion, rise: what an image without content is: black, "
            "0 in the model's input, the image's mean of each channel, the image blurred; auto: "
            "black for integrated-gradients, zero for the others.",
            rich_help_panel=PASSES,
        ),
    ] = "auto"
    steps: Annotated[
        int,
        Option(min=1, help="integrated-gradients: steps of the path.", rich_help_panel=PASSES),
    ] = 32
    samples: Annotated[
        int, Option(min=1, help="smoothgrad: noisy images.", rich_help_panel=PASSES)
    ] = 25
    noise: Annotated[
        float,
        Option(
            help="smoothgrad: standard deviation of the noise, as a share of the image's range.",
            rich_help_panel=PASSES,
        ),
    ] = 0.15
    masks: Annotated[
        int, Option(min=2, help="rise: random masks an image.", rich_help_panel=PASSES)
    ] = 1000
    mask_cells: Annotated[
        int, Option(min=1, help="rise: cells of a mask along each side.", rich_help_panel=PASSES)
    ] = 7
    mask_keep: Annotated[
        float, Option(help="rise: share of the cells left visible.", rich_help_panel=PASSES)
    ] = 0.5
    occlusion_size: Annotated[
        int,
        Option(
            metavar="PIXELS",
            min=0,
            help="occlusion: side of the window that covers a part; 0: a seventh of each side.",
            rich_help_panel=PASSES,
        ),
    ] = 0
    occlusion_stride: Annotated[
        int,
        Option(
            metavar="PIXELS",
            min=0,
            help="occlusion: step of the window; 0: half of it, in volumes all of it.",
            rich_help_panel=PASSES,
        ),
    ] = 0

    def keywords(self) -> dict[str, MethodSettings]:
        """As :func:`fastcam.infer` takes them. InputError for numbers out of range."""
        from fastcam.attribution.method_settings import MethodSettings

        values = {**vars(self)}
        values["cells"], values["keep"] = values.pop("mask_cells"), values.pop("mask_keep")
        return {"method_settings": MethodSettings(**values)}


Augmentation = Annotated[
    Literal["flips", "rotations", "shifts"] | None,
    Option(
        help="Average each map over changed images, whose maps are changed back, and store their "
        "deviation as a map of its own, METHOD-deviation.",
        rich_help_panel=MAPS,
    ),
]


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """Whether a model sees its input window by window."""

    window: Annotated[
        str | None,
        Option(
            metavar="N|H,W|D,H,W",
            help="Let the model see windows of this size, in pixels of --image-size, and stitch "
            "their maps: for inputs larger than one pass. The output is the mean of the windows', "
            "or the stitched segmentation.",
            rich_help_panel=MAPS,
        ),
    ] = None
    overlap: Annotated[
        float,
        Option(
            help="--window: share of a window that the next one covers, too.", rich_help_panel=MAPS
        ),
    ] = 0.5
    window_blend: Annotated[
        Literal["gaussian", "constant"],
        Option(
            help="--window: whether the middle of a window counts more than its edges.",
            rich_help_panel=MAPS,
        ),
    ] = "gaussian"

    def keywords(self) -> dict[str, WindowPlan | None]:
        """As :func:`fastcam.infer` takes them. InputError for what is no size."""
        if self.window is None:
            return {"windows": None}
        from fastcam.attribution.window_plan import WindowPlan
        from fastcam.errors import InputError

        parts = self.window.replace("x", ",").split(",")
        if not all(part.strip().isdecimal() for part in parts):
            raise InputError(f"--window {self.window!r}: give a number, or H,W or D,H,W")
        return {"windows": WindowPlan(tuple(map(int, parts)), self.overlap, self.window_blend)}


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """What maps are of: evidence or attention, and on which grid."""

    sign: Sign = "positive"
    methods: MethodOptions = field(default_factory=MethodOptions)
    windows: WindowOptions = field(default_factory=WindowOptions)
    attention: AttentionOptions = field(default_factory=AttentionOptions)
    reshape: Reshape = "auto"
    tta: Augmentation = None

"""Options of how a command runs, what it prints, and how its figures look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import typer

from fastcam.cli.model_options import MODEL, LoadOptions, PixelOptions
from fastcam.cli.slice_options import GreyOptions, SliceOptions
from fastcam.options import COLORMAPS, WINDOWS, Blend, PictureFormat, StyleName
from fastcam.options import Aspect as AspectName
from fastcam.options import Scale as ScaleName
from fastcam.options import Theme as ThemeName

Option = typer.Option
RUN, STYLE = "Running", "How they look"
MAX_MEMORY_HELP = (
    "Memory of all processes together, as in 12GB or 80%; a volume that can't be decoded within it "
    "fails before it is tried. Default: three quarters of the machine's or its cgroup's."
)
_JSON_HELP = "Print one JSON result to stdout."

Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=RUN)]
BatchSize = Annotated[int, Option(min=1, help="Images at once.", rich_help_panel=RUN)]
Readers = Annotated[
    int | None,
    Option(
        min=0,
        help="Processes that read images; default: one a core, up to 8; 1 for volumes on a CPU.",
        rich_help_panel=RUN,
    ),
]
Devices = Annotated[
    str | None,
    Option(
        metavar="all|N|0,2,5",
        help="Run the model in a process for each of these GPUs; without a GPU in N processes on "
        "the CPU, which share its cores.",
        rich_help_panel=RUN,
    ),
]
ModelScheduler = Annotated[
    str | None,
    Option(
        metavar="ADDRESS|FILE",
        help="Run the model on the workers of this Dask cluster, each with its own device: address "
        "or scheduler file.",
        rich_help_panel=RUN,
    ),
]
ReplaceStore = Annotated[
    bool,
    Option(
        "--overwrite",
        help="Replace a store made otherwise; default: resume.",
        rich_help_panel=RUN,
    ),
]
TRUST_SEEN_HELP = (
    "Don't look whether images or volumes changed since the model saw them; default: those that "
    "did are failures."
)
TrustInputs = Annotated[
    bool,
    Option(
        "--trust-inputs",
        help="Don't look whether images or volumes changed since they were used; default: what "
        "changed is redone.",
        rich_help_panel=RUN,
    ),
]
TrustShown = Annotated[
    bool,
    Option(
        "--trust-inputs",
        help="Don't look whether images or volumes changed since they were used; default: what "
        "changed is redrawn, or fails where the model saw something else.",
        rich_help_panel=RUN,
    ),
]
MaxMemory = Annotated[
    str | None,
    Option(
        metavar="SIZE",
        help=MAX_MEMORY_HELP,
        rich_help_panel=RUN,
    ),
]
Scale = Annotated[
    ScaleName,
    Option(help="Within what the heat of figures can be compared.", rich_help_panel=STYLE),
]
PanelSize = Annotated[
    int,
    Option(
        help="Smaller pictures are enlarged until the longer side has as many pixels.",
        rich_help_panel=STYLE,
    ),
]
Aspect = Annotated[
    AspectName | None,
    Option(
        help="Of slices whose pixels aren't square in millimeters, such as sagittal ones of thick "
        "axial slices: mm draws them in their true shape, pixels every pixel as a square. Default: "
        "mm; of --style classic pixels.",
        show_default=False,
        rich_help_panel=STYLE,
    ),
]
Theme = Annotated[ThemeName, Option(help="Figure background.", rich_help_panel=STYLE)]
Format = Annotated[
    PictureFormat,
    Option(
        help="File format of figures; pdf and svg have the pixels inside and texts as text.",
        rich_help_panel=STYLE,
    ),
]
Panels = Annotated[
    str | None,
    Option(
        metavar="NAME,...",
        help="Panels of a row and their order: image, mask, heat, overlay. Default: all.",
        rich_help_panel=STYLE,
    ),
]
Window = Annotated[
    str | None,
    Option(
        "--window",
        "--window-level",
        metavar="NAME|C,W",
        help="Gray levels of volumes that are shown: center and width in the unit of the file, "
        f"such as HU, or one of {', '.join(WINDOWS)}. Default: the file's own, else "
        "percentiles 0.5 and 99.5; of maps those that the model saw.",
        rich_help_panel=STYLE,
    ),
]
ClassNames = Annotated[
    str | None,
    Option(
        metavar="A,B,...",
        help="Names of the classes, in the order of the model's outputs. Default: their numbers.",
        rich_help_panel=STYLE,
    ),
]
Json = Annotated[bool, Option("--json", help=_JSON_HELP, rich_help_panel=RUN)]
# For commands whose options are in one panel.
PlainJson = Annotated[bool, Option("--json", help=_JSON_HELP)]


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """What is computed, and on which device at which precision."""

    task: Annotated[
        Literal["auto", "classification", "multilabel", "regression", "segmentation", "detection"],
        Option(
            help="What the outputs are; auto: classes, or a regression where there is one output, "
            "or what their kind says: an answer for every pixel, or boxes.",
            rich_help_panel=MODEL,
        ),
    ] = "auto"
    device: Device = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Option(
            help="Of the model; maps are fp32 always. auto: bf16 on CUDA, fp32 on a CPU.",
            rich_help_panel=RUN,
        ),
    ] = "auto"


@dataclass(frozen=True, kw_only=True)
class BatchOptions(ComputeOptions):
    """What is computed, where and at which precision, and how batches run through the model."""

    compile: Annotated[
        bool | None,
        Option(
            "--compile/--no-compile",
            help="torch.compile; default: only on CUDA.",
            rich_help_panel=RUN,
        ),
    ] = None
    batch_size: BatchSize = 16


@dataclass(frozen=True, kw_only=True)
class CohortOptions:
    """How a model runs over a set of images or volumes, of these slice by slice."""

    pixels: PixelOptions = field(default_factory=PixelOptions)
    slicing: SliceOptions = field(default_factory=SliceOptions)
    grey: GreyOptions = field(default_factory=GreyOptions)
    loading: LoadOptions = field(default_factory=LoadOptions)
    batches: BatchOptions = field(default_factory=BatchOptions)


@dataclass(frozen=True, kw_only=True)
class PaperOptions:
    """The size of figures and their letters on paper, and the pixels an inch that files say."""

    width_mm: Annotated[
        float | None,
        Option(
            help="Width of figures on paper; letters grow to 7 points at least. Default: that of "
            "300 pixels an inch, of pdf and svg 180.",
            show_default=False,
            rich_help_panel=STYLE,
        ),
    ] = None
    font_scale: Annotated[
        float, Option(help="How much larger letters are.", rich_help_panel=STYLE)
    ] = 1.0
    dpi: Annotated[
        float | None,
        Option(
            help="Pixels an inch that raster files say, where no --width-mm decides it. Default: "
            "300, in --style classic none.",
            show_default=False,
            rich_help_panel=STYLE,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class HeatOptions:
    """How maps are laid over images."""

    style: Annotated[
        StyleName,
        Option(
            help="standard says where a slice lies, marks zero and shows attention as multiples of "
            "uniform; classic: flat JET and raw values, the pictures of older scripts; paper: as "
            "standard, with a perceptually uniform table and larger letters.",
            rich_help_panel=STYLE,
        ),
    ] = "standard"
    colormap: Annotated[
        str,
        Option(
            help=f"One of {', '.join(COLORMAPS)}. Default: jet; of --style paper viridis.",
            show_default=False,
            rich_help_panel=STYLE,
        ),
    ] = ""
    heat_alpha: Annotated[
        float, Option(help="Weight of the heat in the overlay, 0 to 1.", rich_help_panel=STYLE)
    ] = 0.5
    blend: Annotated[
        Blend,
        Option(
            help="flat: the same weight everywhere; heat: growing with the heat, so that what has "
            "none stays gray; auto: heat for attention of patches, flat for maps and in --style "
            "classic.",
            rich_help_panel=STYLE,
        ),
    ] = "auto"

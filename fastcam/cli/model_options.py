"""Options that commands with a model share: which model, on which images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fastcam.cli.parsing import parse_numbers, parse_size
from fastcam.options import Axes

if TYPE_CHECKING:
    from fastcam.models.fewshot.build import FewshotOptions

Option = typer.Option
VOLUME_HELP = (
    "Where a DICOM series or a 4-D NIfTI file has several volumes (echoes, phases, time points): "
    "the number, from 1, or name of one; `fastcam inspect` lists them."
)
MODEL, INPUT = "The model", "The images"
FEWSHOT = "Mixed attention and few-shot"
_OWN = "Default: from the checkpoint; of a file.py:factory, what its function has."
Model = Annotated[
    str,
    Option(
        help="Built-in name (vit_small, resnet50, patch_attention, fewshot_vit, ...), timm:NAME, "
        "torchvision:NAME, hf:FOLDER, monai:CLASS?key=value, or file.py:factory.",
        rich_help_panel=MODEL,
    ),
]
Checkpoint = Annotated[
    Path | None,
    Option(
        help="Weights: .safetensors, .pth, .pt or .ckpt; nothing in them is run. Without them "
        "the weights are random.",
        rich_help_panel=MODEL,
    ),
]
Support = Annotated[
    list[str] | None,
    Option(
        metavar="[CLASS=]IMAGE",
        help="Example of a class, or a folder of examples, that "
        "reconstruction compares with; repeatable. Without CLASS= the class is the folder that "
        "a file lies in, if they lie in several.",
        rich_help_panel=FEWSHOT,
    ),
]
Fit = Annotated[
    Literal["stretch", "crop"] | None,
    Option(
        help="Stretch the whole image to the model's size, or cut its middle out.",
        rich_help_panel=INPUT,
    ),
]
Output = Annotated[
    str | None,
    Option(
        metavar="NAME|INDEX",
        help="Which of the tensors that the model returns is its answer, where several could be: "
        "a key, a field or a place from 0, with dots between for what is nested, as in heads.0.",
        rich_help_panel=MODEL,
    ),
]
Input = Annotated[
    list[str] | None,
    Option(
        "--input",
        metavar="NAME=COLUMN",
        help="Of a model with several inputs: the column of the table that goes into the argument "
        "NAME of its forward; repeatable. Paths are images, all preprocessed alike; numbers are a "
        "float tensor (n,), as they stand there. The table is given as IMAGES, or by --table with "
        "the folder that its paths are relative to.",
        rich_help_panel=INPUT,
    ),
]
AxesOrder = Annotated[
    Axes,
    Option(
        help="Order of the axes of NumPy arrays: SimpleITK's or nibabel's. A model sees all "
        "volumes as (z, y, x).",
        rich_help_panel=INPUT,
    ),
]
Volume = Annotated[str | None, Option(metavar="N|NAME", help=VOLUME_HELP, rich_help_panel=INPUT)]
Pattern = Annotated[
    str | None,
    Option(help="Which files of a folder, as in '*/*.jpg'.", rich_help_panel=INPUT),
]
ShowChannel = Annotated[
    int | None,
    Option(
        metavar="N",
        min=1,
        help="The channel, from 1, that figures show of volumes of several. Default: the first.",
        rich_help_panel=INPUT,
    ),
]
ChannelNumbers = Annotated[
    str | None,
    Option(
        metavar="A,B,C",
        help="By channel, for pixels from 0 to 1; default: the model's own.",
        rich_help_panel=INPUT,
    ),
]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is loaded."""

    num_classes: Annotated[
        int | None, Option(min=1, help=f"Outputs of the model. {_OWN}", rich_help_panel=MODEL)
    ] = None
    in_channels: Annotated[
        int | None, Option(min=1, help=f"Channels of an image. {_OWN}", rich_help_panel=MODEL)
    ] = None
    image_size: Annotated[
        str | None,
        Option(
            metavar="N|HxW|DxHxW",
            help="Size at which the model sees images; default: the model's own.",
            rich_help_panel=MODEL,
        ),
    ] = None
    allow_partial: Annotated[
        bool,
        Option(
            "--allow-partial",
            help="Load a checkpoint although keys are missing or left over.",
            rich_help_panel=MODEL,
        ),
    ] = False

    def keywords(self) -> dict[str, Any]:
        """As :func:`fastcam.load_model` takes them. InputError for a size that is none."""
        return {**vars(self), "image_size": parse_size(self.image_size)}


@dataclass(frozen=True, kw_only=True)
class FewshotParts:
    """Which parts ``fewshot_vit`` has."""

    use_mab: Annotated[
        bool,
        Option(
            "--use-mab",
            help="fewshot_vit: mixed attention, by windows and channels. The --use flags are taken "
            "from the checkpoint where none is given.",
            rich_help_panel=FEWSHOT,
        ),
    ] = False
    use_ocab: Annotated[
        bool,
        Option(
            "--use-ocab",
            help="fewshot_vit: overlapping cross-attention.",
            rich_help_panel=FEWSHOT,
        ),
    ] = False
    use_drff: Annotated[
        bool,
        Option(
            "--use-drff",
            help="fewshot_vit: fusion of depthwise convolutions.",
            rich_help_panel=FEWSHOT,
        ),
    ] = False
    arch: Annotated[
        Literal["vit_tiny", "vit_small"] | None,
        Option(
            help="fewshot_vit: its trunk; default: from the checkpoint, else vit_small.",
            rich_help_panel=FEWSHOT,
        ),
    ] = None
    patch_size: Annotated[
        int | None,
        Option(
            min=1,
            help="fewshot_vit: side of a patch in pixels; default: from the checkpoint, else 16.",
            rich_help_panel=FEWSHOT,
        ),
    ] = None

    def keywords(self) -> dict[str, FewshotOptions | None]:
        """As :func:`fastcam.load_model` takes them; None where none of them is given."""
        if self == FewshotParts():
            return {"fewshot": None}
        from fastcam.models.fewshot.build import FewshotOptions

        return {"fewshot": FewshotOptions(**vars(self))}


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """Mean and standard deviation of the pixels that a model was trained with."""

    mean: ChannelNumbers = None
    std: ChannelNumbers = None

    def keywords(self) -> dict[str, Any]:
        """As :func:`fastcam.infer` takes them. InputError for what are no numbers."""
        return {name: parse_numbers(name, text) for name, text in vars(self).items()}


@dataclass(frozen=True, kw_only=True)
class PixelOptions:
    """How an image becomes the model's input."""

    fit: Fit = None
    normalization: Normalization = field(default_factory=Normalization)

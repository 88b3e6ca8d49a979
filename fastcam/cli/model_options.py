"""Options that every command with a model shares: which model, which maps, where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Option = typer.Option
MODEL, MAPS, INPUT, RUN = "The model", "The maps", "The images", "Running"
FEWSHOT = "Mixed attention and few-shot"

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
NumClasses = Annotated[
    int | None, Option(min=1, help="Default: from the checkpoint.", rich_help_panel=MODEL)
]
InChannels = Annotated[
    int | None, Option(min=1, help="Default: from the checkpoint.", rich_help_panel=MODEL)
]
ImageSize = Annotated[
    str | None,
    Option(
        metavar="N|HxW|DxHxW",
        help="Size at which the model sees images; default: the model's own.",
        rich_help_panel=MODEL,
    ),
]
AllowPartial = Annotated[
    bool,
    Option(
        "--allow-partial",
        help="Load a checkpoint although keys are missing or left over.",
        rich_help_panel=MODEL,
    ),
]
UseMab = Annotated[
    bool,
    Option("--use-mab", help="fewshot_vit: mixed attention, by windows and channels. The --use "
           "flags are taken from the checkpoint where none is given.", rich_help_panel=FEWSHOT),
]  # fmt: skip
UseOcab = Annotated[
    bool,
    Option("--use-ocab", help="fewshot_vit: overlapping cross-attention.",
           rich_help_panel=FEWSHOT),
]  # fmt: skip
UseDrff = Annotated[
    bool,
    Option("--use-drff", help="fewshot_vit: fusion of depthwise convolutions.",
           rich_help_panel=FEWSHOT),
]  # fmt: skip
Arch = Annotated[
    Literal["vit_tiny", "vit_small"] | None,
    Option(help="fewshot_vit: its trunk; default: from the checkpoint, else vit_small.",
           rich_help_panel=FEWSHOT),
]  # fmt: skip
PatchSize = Annotated[
    int | None,
    Option(min=1, help="fewshot_vit: side of a patch in pixels; default: from the checkpoint, "
           "else 16.", rich_help_panel=FEWSHOT),
]  # fmt: skip
Support = Annotated[
    list[str] | None,
    Option(metavar="[CLASS=]IMAGE", help="Example of a class, or a folder of examples, that "
           "reconstruction compares with; repeatable. Without CLASS= the class is the folder that "
           "a file lies in, if they lie in several.", rich_help_panel=FEWSHOT),
]  # fmt: skip
Fit = Annotated[
    Literal["stretch", "crop"] | None,
    Option(
        help="Stretch the whole image to the model's size, or cut its middle out.",
        rich_help_panel=INPUT,
    ),
]
Numbers = Annotated[
    str | None,
    Option(
        metavar="A,B,C",
        help="By channel, for pixels from 0 to 1; default: the model's own.",
        rich_help_panel=INPUT,
    ),
]
Method = Annotated[
    list[str] | None,
    Option(
        help="gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, attention, rollout, "
        "window, channel, overlap; repeatable. Default: gradcam, for a Vision Transformer "
        "attention.",
        rich_help_panel=MAPS,
    ),
]
Layer = Annotated[
    list[str] | None,
    Option(
        help="Module by its dotted name, or by its number for attention, window, channel, overlap; "
        "repeatable. Default: the last spatial layer; for those: all. `fastcam inspect --model` "
        "lists them.",
        rich_help_panel=MAPS,
    ),
]
Target = Annotated[
    list[str] | None,
    Option(
        help="Output that a CAM explains: a class number, or label for that of the table; "
        "repeatable. Default: the predicted class, or the value of a regression.",
        rich_help_panel=MAPS,
    ),
]
Sign = Annotated[
    Literal["positive", "negative", "both"],
    Option(help="Evidence for the output, against it, or both.", rich_help_panel=MAPS),
]
PrefixTokens = Annotated[
    int | None,
    Option(min=0, help="CLS and register tokens; default: counted from the model.",
           rich_help_panel=MAPS),
]  # fmt: skip
Reshape = Annotated[
    Literal["auto", "none"],
    Option(help="How a layer's tokens become a grid: found from the model, or taken as it is.",
           rich_help_panel=MAPS),
]  # fmt: skip
Fusion = Annotated[
    Literal["mean", "max", "min"],
    Option(help="rollout: how heads are fused.", rich_help_panel=MAPS),
]
DiscardRatio = Annotated[
    float,
    Option(min=0.0, max=1.0, help="rollout: share of the lowest weights set to zero.",
           rich_help_panel=MAPS),
]  # fmt: skip
StartLayer = Annotated[
    int, Option(min=0, help="rollout: first block that counts.", rich_help_panel=MAPS)
]
Task = Annotated[
    Literal["auto", "classification", "multilabel", "regression"],
    Option(
        help="What the outputs are; auto: classes, or a regression where there is one output.",
        rich_help_panel=MODEL,
    ),
]
Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=RUN)]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    Option(help="Of the model; maps are fp32 always. auto: bf16 on CUDA, fp32 on a CPU.",
           rich_help_panel=RUN),
]  # fmt: skip
Compile = Annotated[
    bool | None,
    Option("--compile/--no-compile", help="torch.compile; default: only on CUDA.",
           rich_help_panel=RUN),
]  # fmt: skip
BatchSize = Annotated[int, Option(min=1, help="Images at once.", rich_help_panel=RUN)]
Json = Annotated[
    bool, Option("--json", help="Print one JSON result to stdout.", rich_help_panel=RUN)
]

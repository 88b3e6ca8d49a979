"""Options of how a command runs: where, how fast, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from fastcam.cli.model_options import MODEL

Option = typer.Option
RUN = "Running"
_JSON_HELP = "Print one JSON result to stdout."

Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=RUN)]
Compile = Annotated[
    bool | None,
    Option(
        "--compile/--no-compile", help="torch.compile; default: only on CUDA.", rich_help_panel=RUN
    ),
]
BatchSize = Annotated[int, Option(min=1, help="Images at once.", rich_help_panel=RUN)]
Readers = Annotated[
    int | None,
    Option(
        min=0,
        help="Processes that read images; default: 1 on a CPU, up to 8 on CUDA.",
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
Json = Annotated[bool, Option("--json", help=_JSON_HELP, rich_help_panel=RUN)]
# For commands whose options are in one panel.
PlainJson = Annotated[bool, Option("--json", help=_JSON_HELP)]


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """What is computed, and on which device at which precision."""

    task: Annotated[
        Literal["auto", "classification", "multilabel", "regression"],
        Option(
            help="What the outputs are; auto: classes, or a regression where there is one output.",
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

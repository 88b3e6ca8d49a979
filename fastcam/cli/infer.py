"""``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.map_options import (
    Layer,
    MapOptions,
    Method,
    Target,
)
from fastcam.cli.model_options import (
    INPUT,
    AxesOrder,
    Checkpoint,
    FewshotParts,
    Input,
    Model,
    Output,
    Pattern,
    Volume,
)
from fastcam.cli.option_groups import expand_groups, keywords
from fastcam.cli.run_options import (
    RUN,
    CohortOptions,
    Devices,
    Json,
    MaxMemory,
    ModelScheduler,
    Readers,
    ReplaceStore,
    TrustInputs,
)
from fastcam.cli.terminal import end_command, stderr_progress

Option = typer.Option


@expand_groups
def infer(
    *,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...",
            help="Folders, images, volumes, or a list of paths (.txt) or table (.csv).",
        ),
    ],
    model: Model,
    output_dir: Annotated[
        Path, Option(help="Folder for run.zarr; made if need be.", rich_help_panel=RUN)
    ],
    checkpoint: Checkpoint = None,
    output: Output = None,
    method: Method = None,
    layer: Layer = None,
    target: Target = None,
    maps: MapOptions,
    pattern: Pattern = None,
    table: Annotated[
        Path | None,
        Option(help="CSV with a column image, and maybe mask, label, id.", rich_help_panel=INPUT),
    ] = None,
    input_: Input = None,
    mask_dir: Annotated[
        Path | None, Option(help="Folder with masks, for the figures.", rich_help_panel=INPUT)
    ] = None,
    axes: AxesOrder = "zyx",
    volume: Volume = None,
    run: CohortOptions,
    parts: FewshotParts,
    workers: Readers = None,
    devices: Devices = None,
    scheduler: ModelScheduler = None,
    render: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Meanwhile draw what is finished into DIR, as `fastcam render --follow` does.",
            rich_help_panel=RUN,
        ),
    ] = None,
    overwrite: ReplaceStore = False,
    trust_inputs: TrustInputs = False,
    max_memory: MaxMemory = None,
    as_json: Json = False,
) -> None:
    """Run a model over IMAGES and store its attention or CAM maps in OUTPUT_DIR/run.zarr.

    A 2-D model runs over volumes slice by slice: each is a case, whose answer is pooled of its
    slices'. A folder with pictures holds images, unless an option of slices says that it holds
    volumes; NIfTI files of one slice, and DICOM files alone in their folder, are images where
    no volume is beside them.

    `fastcam render OUTPUT_DIR/run.zarr` draws them. A run that was stopped goes on with its first
    unfinished batch. Exit code 3: finished, but some images failed, which are in failures.csv, or
    figures of --render.
    """
    from fastcam.api.infer import infer as run_infer
    from fastcam.cli.parsing import parse_classes, split_layers, split_methods
    from fastcam.jobs.infer.report import as_dict, summary_text
    from fastcam.read.inputs.named_inputs import parse_inputs

    report = run_infer(
        model,
        images,
        output_dir,
        checkpoint=checkpoint,
        method=split_methods(method) or None,
        layers=split_layers(layer),
        target=parse_classes(target),
        pattern=pattern,
        table=table,
        mask_dir=mask_dir,
        axes=axes,
        volume=volume,
        inputs=parse_inputs(input_ or ()),
        output=output,
        workers=workers,
        devices=devices,
        scheduler=scheduler,
        render=render,
        overwrite=overwrite,
        trust_inputs=trust_inputs,
        max_memory=max_memory,
        progress=stderr_progress(),
        **keywords(maps, run, parts),
    )
    end_command(report, as_dict, summary_text, as_json)

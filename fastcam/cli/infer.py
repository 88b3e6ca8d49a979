"""``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.model_options import (
    INPUT,
    AttentionOptions,
    Checkpoint,
    FewshotParts,
    Fit,
    Input,
    Layer,
    LoadOptions,
    Method,
    Model,
    Normalization,
    Output,
    Pattern,
    Reshape,
    Sign,
    Target,
    Volume,
)
from fastcam.cli.option_groups import expand_groups
from fastcam.cli.report_output import print_report
from fastcam.cli.run_options import (
    RUN,
    BatchSize,
    Compile,
    ComputeOptions,
    Json,
    Readers,
    ReplaceStore,
)
from fastcam.cli.slice_options import GreyOptions, SliceOptions
from fastcam.options import Axes

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
    sign: Sign = "positive",
    attention: AttentionOptions,
    reshape: Reshape = "auto",
    pattern: Pattern = None,
    table: Annotated[
        Path | None,
        Option(help="CSV with a column image, and maybe mask, label, id.", rich_help_panel=INPUT),
    ] = None,
    input_: Input = None,
    mask_dir: Annotated[
        Path | None, Option(help="Folder with masks, for the figures.", rich_help_panel=INPUT)
    ] = None,
    axes: Annotated[
        Axes,
        Option(help="Order of a volume's axes: SimpleITK's or nibabel's.", rich_help_panel=INPUT),
    ] = "zyx",
    volume: Volume = None,
    fit: Fit = None,
    normalization: Normalization,
    slicing: SliceOptions,
    grey: GreyOptions,
    loading: LoadOptions,
    parts: FewshotParts,
    compute: ComputeOptions,
    compile: Compile = None,
    batch_size: BatchSize = 16,
    workers: Readers = None,
    overwrite: ReplaceStore = False,
    as_json: Json = False,
) -> None:
    """Run a model over IMAGES and store its attention or CAM maps in OUTPUT_DIR/run.zarr.

    A 2-D model runs over volumes slice by slice: each is a case, whose answer is pooled of its
    slices'. A folder with pictures and no volumes holds images, unless an option of slices says
    that its folders are volumes.

    `fastcam render OUTPUT_DIR/run.zarr` draws them. A run that was stopped goes on with its first
    unfinished batch. Exit code 3: finished, but some images failed; they are in failures.csv.
    """
    from fastcam.api.infer import infer as run_infer
    from fastcam.cli import progress
    from fastcam.cli.parsing import parse_classes
    from fastcam.jobs.infer.report import as_dict, summary_text
    from fastcam.read.inputs.model_inputs import parse_inputs

    report = run_infer(
        model,
        images,
        output_dir,
        checkpoint=checkpoint,
        method=method,
        layers=layer or (),
        classes=parse_classes(target),
        fewshot=parts.build_options(),
        fit=fit,
        pattern=pattern,
        table=table,
        mask_dir=mask_dir,
        axes=axes,
        volume=volume,
        inputs=parse_inputs(input_ or ()),
        output=output,
        sign=sign,
        reshape=reshape,
        compile=compile,
        batch_size=batch_size,
        workers=workers,
        overwrite=overwrite,
        progress=progress.for_stderr(),
        **loading.keywords(),
        **normalization.keywords(),
        **grey.keywords(),
        **vars(slicing),
        **vars(attention),
        **vars(compute),
    )
    print_report(as_dict(report) if as_json else None, summary_text(report))
    raise typer.Exit(report.exit_code)

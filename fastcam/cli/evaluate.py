"""``fastcam evaluate``: test-set metrics, plots, best and worst CAMs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastcam.cli.map_options import (
    MAPS,
    Augmentation,
    Layer,
    MethodOptions,
    PrefixTokens,
    Reshape,
    Sign,
    WindowOptions,
)
from fastcam.cli.model_options import (
    VOLUME_HELP,
    Checkpoint,
    Input,
    Model,
    Output,
    ShowChannel,
)
from fastcam.cli.option_groups import expand_groups, keywords
from fastcam.cli.run_options import (
    RUN,
    Aspect,
    CohortOptions,
    Devices,
    Format,
    HeatOptions,
    Json,
    MaxMemory,
    ModelScheduler,
    Panels,
    PanelSize,
    PaperOptions,
    Readers,
    ReplaceStore,
    Scale,
    Theme,
    TrustInputs,
)
from fastcam.cli.terminal import end_command, stderr_progress
from fastcam.options import Axes

Option = typer.Option
_SET, _REPORT = "The test set", "What is reported"


@expand_groups
def evaluate(
    *,
    model: Model,
    image_dir: Annotated[
        Path,
        Option(
            help="Folder with the images, searched with all folders below.", rich_help_panel=_SET
        ),
    ],
    output_dir: Annotated[
        Path, Option(help="Folder for the results; made if need be.", rich_help_panel=RUN)
    ],
    table: Annotated[
        Path | None,
        Option(
            help="True values: .csv, .xlsx, .xls, .ods or .parquet. Not of a segmentation, whose "
            "truth are masks, nor of a detector, which needs none.",
            show_default=False,
            rich_help_panel=_SET,
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    output: Output = None,
    input_: Input = None,
    target: Annotated[
        str | None,
        Option(
            metavar="COLUMN",
            help="Column of the true values. Default: target, "
            "label, class, age, y or diagnosis, or the only one beside the ids. Of a segmentation "
            "what is explained, as seg:1,seg:2@mask; default: every class but 0. Of a detector the "
            "boxes that are explained, as box:best,box:label:3; default: box:best.",
            rich_help_panel=_SET,
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        Option(
            metavar="COLUMN",
            help="Column that names the images, with or without "
            "folders and suffix. Default: the one that fits most images.",
            rich_help_panel=_SET,
        ),
    ] = None,
    class_names: Annotated[
        str | None,
        Option(
            metavar="A,B,...",
            help="Classes in the order of the model's outputs, "
            "whether the table has them or numbers. Default: names in sorted order.",
            rich_help_panel=_SET,
        ),
    ] = None,
    mask_dir: Annotated[
        Path | None,
        Option(
            help="Folder with masks. Default: Masks/ beside Images/, if there is one.",
            rich_help_panel=_SET,
        ),
    ] = None,
    pattern: Annotated[
        str | None, Option(help="Which files of the folder, as in '*/*.jpg'.", rich_help_panel=_SET)
    ] = None,
    axes: Annotated[
        Axes,
        Option(
            help="Order of the axes of NumPy arrays: SimpleITK's or nibabel's. A model sees all "
            "volumes as (z, y, x).",
            rich_help_panel=_SET,
        ),
    ] = "zyx",
    volume: Annotated[
        str | None, Option(metavar="N|NAME", help=VOLUME_HELP, rich_help_panel=_SET)
    ] = None,
    good_below: Annotated[
        float,
        Option(help="Regression: errors below it are good, and green.", rich_help_panel=_REPORT),
    ] = 5.0,
    unit: Annotated[
        str,
        Option(
            help="Regression: unit of the true values, as in years or mm, for plots and figures.",
            show_default=False,
            rich_help_panel=_REPORT,
        ),
    ] = "",
    group_width: Annotated[
        float,
        Option(help="Regression: width of the groups of true values.", rich_help_panel=_REPORT),
    ] = 10.0,
    explain: Annotated[
        list[str] | None,
        Option(
            metavar="all|errors|N|ID",
            help="Figures besides the best and the worst, in "
            "explained/: of all, of errors above mean + 2 SD (or wrong classes, or maps that are "
            "highest outside of their box), of the N worst, or of an image; repeatable.",
            rich_help_panel=_REPORT,
        ),
    ] = None,
    faithfulness: Annotated[
        bool,
        Option(
            "--faithfulness",
            help="Also deletion and insertion curves, and the model-randomization check.",
            rich_help_panel=_REPORT,
        ),
    ] = False,
    faithfulness_images: Annotated[
        int,
        Option(
            min=1,
            help="Images that these are measured on, chosen at random; each costs "
            "some 500 forward passes.",
            rich_help_panel=_REPORT,
        ),
    ] = 20,
    compare_methods: Annotated[
        str | None,
        Option(
            metavar="A,B,...",
            help="Methods whose maps are compared: inside the mask, pointing game, deletion, "
            "insertion, randomization, stability and cost, beside random maps and a centered blob, "
            "and which differences are within noise; in methods.html.",
            show_default=False,
            rich_help_panel=_REPORT,
        ),
    ] = None,
    compare_images: Annotated[
        int,
        Option(
            min=1,
            help="Images, chosen at random, that --compare-methods measures deletion, insertion, "
            "randomization and stability on; some 100 forward passes for each method and image.",
            rich_help_panel=_REPORT,
        ),
    ] = 20,
    method: Annotated[
        list[str] | None,
        Option(
            help="gradcam, hirescam, layercam, gradcam++, eigencam, scorecam, ablationcam, "
            "saliency, inputxgradient, smoothgrad, integrated-gradients, occlusion, rise, "
            "attention, rollout, legrad, chefer, gradattention; repeatable, or with commas. "
            "Default: gradcam.",
            rich_help_panel=MAPS,
        ),
    ] = None,
    layer: Layer = None,
    sign: Sign = "positive",
    methods: MethodOptions,
    windows: WindowOptions,
    tta: Augmentation = None,
    prefix_tokens: PrefixTokens = None,
    reshape: Reshape = "auto",
    run: CohortOptions,
    readers: Readers = None,
    workers: Annotated[
        int | None,
        Option(help="Workers that draw --explain; default: all cores.", rich_help_panel=RUN),
    ] = None,
    devices: Devices = None,
    scheduler: ModelScheduler = None,
    show_channel: ShowChannel = None,
    scale: Scale = "patient",
    heat: HeatOptions,
    panel_size: PanelSize = 512,
    aspect: Aspect = None,
    theme: Theme = "light",
    format: Format = "png",
    paper: PaperOptions,
    panels: Panels = None,
    overwrite: ReplaceStore = False,
    trust_inputs: TrustInputs = False,
    max_memory: MaxMemory = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model on a test set: metrics with intervals, plots, best and worst CAMs.

    Of detectors, whose maps explain a box, it says how much of them lies inside the box and masks.

    The model runs once, into OUTPUT_DIR/run.zarr; run again, only the report is made again. Exit
    code 3: finished, but some images failed; they are in failures.csv.
    """
    from fastcam.api.evaluate import evaluate as run_evaluate
    from fastcam.cli.parsing import parse_names, parse_panels, split_layers, split_methods
    from fastcam.jobs.evaluate.report import as_dict, summary_text
    from fastcam.read.inputs.named_inputs import parse_inputs

    report = run_evaluate(
        model,
        image_dir,
        table,
        output_dir,
        checkpoint=checkpoint,
        target=target,
        id_column=id_column,
        class_names=parse_names(class_names),
        mask_dir=mask_dir,
        pattern=pattern,
        axes=axes,
        volume=volume,
        inputs=parse_inputs(input_ or ()),
        output=output,
        method=split_methods(method) or None,
        tta=tta,
        layers=split_layers(layer),
        sign=sign,
        prefix_tokens=prefix_tokens,
        reshape=reshape,
        good_below=good_below,
        unit=unit,
        group_width=group_width,
        explain=explain or (),
        faithfulness=faithfulness_images if faithfulness else 0,
        compare_methods=parse_names(compare_methods, "compare-methods"),
        compare_images=compare_images,
        readers=readers,
        workers=workers,
        devices=devices,
        scheduler=scheduler,
        show_channel=show_channel,
        scale=scale,
        panel_size=panel_size,
        aspect=aspect,
        theme=theme,
        format=format,
        overwrite=overwrite,
        trust_inputs=trust_inputs,
        max_memory=max_memory,
        progress=stderr_progress(),
        panels=parse_panels(panels),
        **keywords(methods, windows, run, heat, paper),
    )
    end_command(report, as_dict, summary_text, as_json)

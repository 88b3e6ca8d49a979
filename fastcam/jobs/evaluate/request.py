"""What an evaluation is asked for: a test set, maps, what is good, and what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastcam.errors import InputError
from fastcam.jobs.evaluate.scoring import Scoring
from fastcam.jobs.evaluate.test_set import EvaluationSet
from fastcam.jobs.infer.request import InferRequest
from fastcam.jobs.infer.workers import WorkerChoice
from fastcam.options import Style
from fastcam.read.inputs.inputs import Item, stem_of

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FigureChoice:
    """Which images are drawn besides the best and the worst.

    Attributes:
        every: all images.
        errors: those with errors above mean + 2 SD, or predicted wrong.
        worst: how many of the worst.
        ids: these images, by their ids.
    """

    every: bool = False
    errors: bool = False
    worst: int = 0
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is reported of a test set.

    Attributes:
        classes: number of classes; 0 for a regression.
        group_width: width of the groups of true values, in their unit; of a regression.
        figures: which images are drawn besides the best and the worst.
        style: how figures look.
        workers: processes that draw.
        faithfulness_images: number of images on which faithfulness is measured; 0 for none.
        compared_images: number of images on which deletion, insertion, randomization and stability
            of several methods are compared; 0: methods are not compared.
        show_channel: of volumes of several channels the one that figures show, from 1; None: the
            first.
        finding_masks: of a multilabel test set the folder with a folder of masks for each finding.
    """

    classes: int = 0
    group_width: float = 10.0
    figures: FigureChoice = field(default_factory=FigureChoice)
    style: Style = field(default_factory=Style)
    workers: int = 1
    faithfulness_images: int = 0
    compared_images: int = 0
    show_channel: int | None = None
    finding_masks: Path | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """A model and all that decides its evaluation.

    Attributes:
        model: the module, on any device.
        inference: the run of the model over the images of ``test_set``.
        test_set: the images with their true values.
        scoring: what is good, and what figures say.
        options: what is reported.
        output_dir: the folder for everything.
        overwrite: replace what was made with other settings.
        choice: the processes that run the model over the images; None: this one.
    """

    model: nn.Module
    inference: InferRequest
    test_set: EvaluationSet
    scoring: Scoring
    options: EvaluateOptions
    output_dir: Path
    overwrite: bool = False
    choice: WorkerChoice | None = None


def figure_choice(texts: Sequence[str], items: Sequence[Item]) -> FigureChoice:
    """``--explain`` as it is written: all, errors, a number, ids or file names.

    InputError for a name that is no image's, or several images'.
    """
    choice = FigureChoice()
    for text in texts:
        if text == "all":
            choice = replace(choice, every=True)
        elif text == "errors":
            choice = replace(choice, errors=True)
        elif text.isdecimal():
            choice = replace(choice, worst=max(choice.worst, int(text)))
        else:
            ids = [i.id for i in items if text in (i.id, i.source.name, stem_of(i.source.name))]
            if len(ids) != 1:
                matches = "several images are" if ids else "no image that is evaluated is"
                raise InputError(
                    f"--explain {text!r}: {matches} called so; give all, errors, a number, or an "
                    f"id such as {items[0].id}"
                )
            choice = replace(choice, ids=(*choice.ids, *ids))
    return choice

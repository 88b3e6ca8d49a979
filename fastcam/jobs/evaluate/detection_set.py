"""The images of a detector's test set, and the boxes that are explained of each."""

from __future__ import annotations

from dataclasses import replace

from fastcam.attribution.box_target import BoxTarget
from fastcam.errors import InputError
from fastcam.jobs.evaluate.test_set import (
    EvaluationSet,
    SetChoice,
    find_items,
    left_out_notes,
    refuse_table,
)
from fastcam.read.inputs.mask_pairs import with_masks_beside


def read_detection_set(
    choice: SetChoice, boxes: tuple[BoxTarget, ...], channels: int
) -> EvaluationSet:
    """Find the images, and masks where there are any; no image needs a true value.

    InputError where there is no image, and for a table and what belongs to it.
    """
    refuse_table(
        choice,
        "of a detector the map of a box is measured against the box and a mask, and no true "
        "value is compared; leave it out",
    )
    items = find_items(choice, 2, channels)
    if choice.mask_dir is None:
        items = with_masks_beside(items)
    masked = [item.mask for item in items if item.mask is not None]
    notes = left_out_notes(choice, 2)
    if masked and choice.mask_dir is None:
        notes.append(f"masks of {len(masked)} images found, as {masked[0]}")
    return EvaluationSet(
        items=tuple(replace(item, label="") for item in items),
        target=", ".join(map(str, boxes)),
        id_column="",
        names=choice.class_names,
        unmatched=(),
        failures=(),
        notes=tuple(notes),
    )


def boxes_to_explain(target: str | None) -> tuple[BoxTarget, ...]:
    """The boxes of ``--target box:best,box:label:3``; by default the best one.

    InputError for anything else.
    """
    if target is None:
        return (BoxTarget(),)
    return tuple(map(BoxTarget.parse, target.split(",")))


def check_no_boxes(target: str | None) -> None:
    """InputError where a box is to be explained of a model that answers with none."""
    if target is not None and target.strip().startswith("box:"):
        raise InputError(
            f"--target {target}: the model gives no boxes, scores and labels for each image; give "
            "the column of the true values, or leave it out"
        )

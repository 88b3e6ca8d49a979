"""The images of a segmentation's test set: those that have a mask, and the classes explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastcam.attribution.segment_target import SegmentTarget
from fastcam.errors import InputError
from fastcam.jobs.evaluate.test_set import (
    EvaluationSet,
    SetChoice,
    find_items,
    left_out_notes,
    refuse_table,
)
from fastcam.read.inputs.id_match import Unmatched
from fastcam.read.inputs.mask_pairs import with_masks_beside


def read_masked_set(choice: SetChoice, classes: int, dims: int, channels: int) -> EvaluationSet:
    """Find the images and their masks, which hold the class of every pixel.

    Images without a mask are left out and listed. InputError where none has one, and for a table
    and what belongs to it.
    """
    refuse_table(
        choice,
        "of a segmentation the true classes are those of the masks' pixels; leave it out, and give "
        "--mask-dir",
    )
    names = choice.class_names
    if names and len(names) != classes:
        raise InputError(f"--class-names: {len(names)} names, and the model has {classes} classes")
    items = find_items(choice, dims, channels)
    if choice.mask_dir is None:
        items = with_masks_beside(items)
    masked = [item for item in items if item.mask is not None]
    if not masked:
        raise InputError(
            f"{choice.image_dir}: no image has a mask; give their folder with --mask-dir, with a "
            "mask of each image's name whose pixels are the numbers of their classes"
        )
    unmatched = [
        Unmatched("mask", item.id, 0, "no mask has this image's name")
        for item in items
        if item.mask is None
    ]
    notes = left_out_notes(choice, dims)
    if choice.mask_dir is None:
        notes.append(f"masks of {len(masked)} images found, as {masked[0].mask}")
    if unmatched:
        notes.append(f"{len(unmatched)} images have no mask and are left out: see unmatched.csv")
    return EvaluationSet(
        # Of the true classes a label would be one number.
        items=tuple(replace(item, label="") for item in masked),
        target="mask",
        id_column="",
        names=names or tuple(f"class {number}" for number in range(classes)),
        unmatched=tuple(unmatched),
        failures=(),
        notes=tuple(notes),
    )


def explained_segments(target: str | None, classes: int) -> tuple[SegmentTarget, ...]:
    """What maps explain: ``--target seg:1,seg:3@mask``, or every class but 0, where predicted.

    InputError for anything else, and for a class that the model doesn't have.
    """
    if target is None:
        return tuple(SegmentTarget(number) for number in range(1, classes))
    # A comma also parts the coordinates of a pixel.
    segments = tuple(map(SegmentTarget.parse, _texts(target)))
    for segment in segments:
        if segment.label >= classes:
            raise InputError(
                f"--target {segment}: the model has {classes} classes, 0 to {classes - 1}"
            )
    return segments


def _texts(target: str) -> Sequence[str]:
    texts: list[str] = []
    for part in target.split(","):
        if texts and part.strip().isdecimal():
            texts[-1] += f",{part.strip()}"
        else:
            texts.append(part)
    return texts

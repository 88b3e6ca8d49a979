"""A 2-D model over volumes: which slices a run is of, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence

from fastcam.errors import CaseError, InputError
from fastcam.inference.slice_loader import SliceInputs
from fastcam.jobs.infer.request import InferRequest
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.model_inputs import ModelInput
from fastcam.read.inputs.slicing import SliceTable, Slicing, plan_slices
from fastcam.read.volumes.channels import channel_count


def slice_table(
    request: InferRequest, model_inputs: Sequence[ModelInput], items: Sequence[Item]
) -> SliceTable | None:
    """The slices of the volumes ``items``; None where the model doesn't see them one by one.

    InputError where model and slices don't go together, and where no volume can be read.
    """
    slicing = request.inputs.slicing
    if slicing is None:
        return None
    if model_inputs:
        raise InputError("--input is for images and whole volumes, not for slices of volumes")
    if request.preprocessing.halves != "no":
        raise InputError("--asymmetry is for images, not for slices of volumes")
    _check_channels(items, slicing, request)
    return plan_slices(items, slicing, request.inputs.axes, request.inputs.volume)


def _check_channels(items: Sequence[Item], slicing: Slicing, request: InferRequest) -> None:
    """InputError where no volume has slices that fill the model's channels; a single one that
    hasn't is found out when it is read."""
    first = ""
    for item in items:
        try:
            own = 1 if request.inputs.volume is not None else channel_count(item.source)
        except CaseError:
            continue
        wrong = slicing.wrong_channels(own, request.preprocessing.channels)
        if not wrong:
            return
        first = first or f"{item.source}: {wrong}"
    if first:
        raise InputError(first)


def slice_inputs(request: InferRequest, items: Sequence[Item], table: SliceTable) -> SliceInputs:
    """The slices of ``table`` as the model of ``request`` takes them."""
    inputs = request.inputs
    assert inputs.slicing is not None
    return SliceInputs(
        items, table, inputs.slicing, request.preprocessing, inputs.axes, inputs.volume
    )

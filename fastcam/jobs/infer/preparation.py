"""What a run finds out before it writes anything: how its model is called, and that all fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from fastcam.attribution.batch_maps import Engine
from fastcam.attribution.model_call import ModelCall
from fastcam.attribution.request import MapRequest
from fastcam.errors import CaseError, InputError
from fastcam.inference.dry_run import check_space, dry_run, resolve_call
from fastcam.inference.slice_loader import SliceInputs
from fastcam.jobs.infer.request import InferRequest
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.slicing import SliceTable, Slicing, plan_slices
from fastcam.read.volumes.channels import channel_count
from fastcam.storage.object_path import ObjectPath
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore
from fastcam.store.pooling import check_pool


@dataclass(frozen=True)
class Preparation:
    """How a run goes.

    - ``call``: how the model is called
    - ``maps``: the maps that are made
    - ``attrs``: what a new store says of the run
    """

    call: ModelCall
    maps: MapRequest
    attrs: MapAttrs


def call_of(
    model: nn.Module,
    request: InferRequest,
    inputs: Sequence[ModelInput],
    device: torch.device,
    dtype: torch.dtype,
) -> ModelCall:
    """How the model of ``request`` is called; see :func:`resolve_call`."""
    return resolve_call(
        model,
        request.preprocessing,
        device,
        dtype,
        output=request.output,
        inputs=inputs,
        windows=request.maps.windows,
    )


def prepare(
    model: nn.Module,
    request: InferRequest,
    inputs: Sequence[ModelInput],
    items: Sequence[Item],
    rows: int,
    attrs: MapAttrs,
    store: MapStore | None,
    store_path: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    build: Callable[..., Engine],
) -> Preparation:
    """Run the engine once on made-up images, and look whether the disk holds what will come.

    ``rows``: how many images, volumes or slices of volumes the model will see. ``store`` is that of
    an earlier run of the same job: one that is finished needs no pass. Raises InputError for
    whatever is wrong with layers, targets, labels, inputs, outputs and sizes, OutputError where the
    disk has too little space.
    """
    if request.maps.windows is not None:
        request.maps.windows.warn_if_whole(request.preprocessing.size)
    unfinished = rows if store is None else store.open_rows()
    if not unfinished:
        return Preparation(ModelCall(), request.maps, attrs)
    call = call_of(model, request, inputs, device, dtype)
    task = request.options.task
    if request.options.by_label and not call.boxes:
        _check_labels(items, call.outputs)
    dry = dry_run(model, request.maps, call, build, request.preprocessing, device, dtype, task)
    freed = 0 if store is not None else _bytes_of(store_path)
    if request.inputs.slicing is not None:
        regression = task == "regression" or (task == "auto" and call.outputs == 1)
        check_pool(request.inputs.slicing.pool, not regression)
    check_space(store_path.parent, dry.image_bytes, unfinished, freed)
    if dry.map_images:
        settings = {**attrs.settings, "map_images": dict(dry.map_images)}
        attrs = replace(attrs, settings=settings)
    return Preparation(call, dry.maps, attrs)


def _check_labels(items: Sequence[Item], outputs: int) -> None:
    for item in items:
        if int(item.label) >= outputs:
            raise InputError(
                f"--target label: {item.source} has the label {item.label}; the model has "
                f"{outputs} outputs, 0 to {outputs - 1}"
            )


def _bytes_of(folder: Path) -> int:
    """What a store that will be replaced takes on the disk; 0 where there is none."""
    if isinstance(folder, ObjectPath):
        return 0  # it frees no room that anything waits for
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


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


def slice_inputs(
    request: InferRequest, items: Sequence[Item] | Mapping[int, Item], table: SliceTable
) -> SliceInputs:
    """The slices of ``table`` as the model of ``request`` takes them."""
    inputs = request.inputs
    assert inputs.slicing is not None
    return SliceInputs(
        items, table, inputs.slicing, request.preprocessing, inputs.axes, inputs.volume
    )

"""The job of ``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import Engine
from fastcam.attribution.engines import build_engine, fingerprint
from fastcam.errors import InputError
from fastcam.inference.batches import BatchSettings, run_batches
from fastcam.inference.device import choose_device, choose_precision
from fastcam.inference.loader import Inputs
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InferRequest, content_sha256
from fastcam.read.inputs.inputs import Item
from fastcam.run.cgroups import cores
from fastcam.run.failures import write_failures
from fastcam.run.files import remove
from fastcam.run.folder import STORE, differences, locked_folder
from fastcam.run.progress import NoProgress, Progress
from fastcam.run.records import Failure
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore, create_maps

# More processes than this read faster than a GPU computes.
_MOST_READERS = 8


def infer_maps(
    model: nn.Module,
    request: InferRequest,
    output_dir: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    build: Callable[..., Engine] = build_engine,
) -> InferReport:
    """Run ``model`` over the images and store their maps; finished batches are kept.

    ``build`` makes the engine, called as :func:`build_engine` is. Raises :class:`InputError` before
    anything is written when something is wrong with the model, the settings or the inputs; images
    that fail are in the report and in ``failures.csv``.
    """
    progress = progress or NoProgress()
    options = request.options
    device = choose_device(options.device)
    dtype = choose_precision(options.precision, device)
    items = request.inputs.find_items(len(request.preprocessing.size))
    settings = BatchSettings(
        device=device,
        dtype=dtype,
        batch_size=options.batch_size,
        readers=_readers(options.readers, device.type),
        task=options.task,
        targets=_labels(items) if options.by_label else None,
    )
    model = model.to(device)
    compiled = device.type == "cuda" if options.compiled is None else options.compiled
    engine = build(model, request.maps, compiled=compiled)
    attrs = _attrs(model, request, items, dtype)
    report = InferReport(output_dir, output_dir / STORE, len(items), device=str(device))
    report.precision = str(dtype).removeprefix("torch.")
    with locked_folder(output_dir):
        store = _open_or_create(output_dir / STORE, attrs, items, options.batch_size, overwrite)
        report.already = sum(header.status == "done" for header in store.headers)
        inputs = Inputs(items, request.preprocessing, request.inputs.axes)
        start = time.perf_counter()
        try:
            summary = run_batches(model, engine, inputs, store, settings, progress)
            report.done, report.notes = summary.done, summary.notes
        finally:
            report.seconds = round(time.perf_counter() - start, 3)
            report.failures = _failures(MapStore.open(store.path))
            report.failed = len(report.failures)
            write_failures(output_dir, report.failures)
    return report


def _labels(items: Sequence[Item]) -> Tensor:
    """The class (items,) int64 that each item's label names."""
    for item in items:
        if not item.label.isdecimal():
            raise InputError(
                f"--target label: {item.source} has the label {item.label!r}; the table must give "
                "each image a class number"
            )
    return torch.tensor([int(item.label) for item in items])


def _readers(readers: int | None, device_type: str) -> int:
    """Processes that decode images. On a CPU the model needs the cores: one is enough."""
    if readers is not None:
        return readers
    return min(_MOST_READERS, cores()) if device_type == "cuda" else 1


def _attrs(
    model: nn.Module, request: InferRequest, items: Sequence[Item], dtype: torch.dtype
) -> MapAttrs:
    """What the store says of the run; its sha256 tells runs of other settings apart."""
    preprocessing, maps, options = request.preprocessing, request.maps, request.options
    settings = {
        **asdict(maps),
        "precision": str(dtype).removeprefix("torch."),
        "batch_size": options.batch_size,
        "task": options.task,
        "axes": request.inputs.axes,
        "target": "label" if options.by_label else "",
        "weights": fingerprint(model)[:16],
    }
    names = [(str(item.source), str(item.mask or ""), item.label) for item in items]
    return MapAttrs(
        sha256=content_sha256(dict(request.model_info), asdict(preprocessing), settings, names),
        root=str(_common_folder(items)),
        model=str(request.model_info["model"]),
        checkpoint=str(request.model_info["checkpoint"] or ""),
        methods=maps.methods,
        layers=maps.layers,
        preprocessing=asdict(preprocessing),
        settings=settings,
        dims=len(preprocessing.size),
    )


def _common_folder(items: Sequence[Item]) -> Path:
    parents = [str(item.source.resolve().parent) for item in items]
    return Path(os.path.commonpath(parents))


def _open_or_create(
    path: Path, attrs: MapAttrs, items: Sequence[Item], batch_size: int, overwrite: bool
) -> MapStore:
    """The store of an earlier run of the same job, or a new one."""
    if path.exists() and not overwrite:
        store = MapStore.open(path)
        if store.attrs.sha256 == attrs.sha256:
            return store
        raise InputError(
            f"{path} was made with other images, weights or settings "
            f"({_difference(store, attrs, items)}); give another "
            "--output-dir, or --overwrite to replace it"
        )
    remove(path)
    return create_maps(path, attrs, items, batch_size)


def _difference(store: MapStore, new: MapAttrs, items: Sequence[Item]) -> str:
    """In what a store differs from the one that would be made now."""
    old = store.attrs
    pairs: list[tuple[str, Any, Any]] = [
        ("model", old.model, new.model),
        ("checkpoint", old.checkpoint, new.checkpoint),
        ("images", len(store), len(items)),
        ("folder", old.root, new.root),
    ]
    for name in ("preprocessing", "settings"):
        before, now = dict(getattr(old, name)), json.loads(json.dumps(getattr(new, name)))
        pairs += [(key, before.get(key), now[key]) for key in now]
    changed = differences(pairs)
    if not changed and len(store) == len(items):
        both = list(zip(store.headers, items, strict=True))
        labels = sum(header.label != item.label for header, item in both)
        masks = sum((header.mask_source is None) != (item.mask is None) for header, item in both)
        for count, what in ((labels, "labels"), (masks, "masks")):
            changed += [f"{what} of {count} images"] if count else []
    return "; ".join(changed) or "other files"


def _failures(store: MapStore) -> list[Failure]:
    return [
        Failure("error", header.place, header.id, None, 1, header.reason)
        for header in store.headers
        if header.status == "failed"
    ]

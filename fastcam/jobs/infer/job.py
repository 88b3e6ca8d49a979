"""The job of ``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.errors import InputError
from fastcam.jobs.infer.report import InferReport
from fastcam.jobs.infer.request import InputChoice, InferenceOptions
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.run.files import remove
from fastcam.run.folder import FAILURES, STORE, claimed, write_failures
from fastcam.run.progress import Progress, Silent
from fastcam.run.records import Failure
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore, create_maps

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fastcam.attribution.engines import Engine
    from fastcam.attribution.request import MapRequest
    from fastcam.read.inputs.preprocess import Preprocessing


def infer_maps(
    model: nn.Module,
    described: dict[str, Any],
    spec: Preprocessing,
    choice: InputChoice,
    wanted: MapRequest,
    running: InferenceOptions,
    output_dir: Path,
    overwrite: bool = False,
    progress: Progress | None = None,
    build: Callable[..., Engine] | None = None,
) -> InferReport:
    """Run ``model`` over the images and store their maps; finished batches are kept.

    ``described`` holds ``model`` and ``checkpoint`` as they were asked for, and whatever else a job
    knows itself by. ``build`` makes another engine than :func:`build_engine`, called as it is.
    Raises :class:`InputError` before anything is written when something is wrong with the model,
    the settings or the inputs; images that fail are in the report and in ``failures.csv``.
    """
    from fastcam.attribution.engines import build_engine
    from fastcam.inference.batches import RunSettings, run_batches
    from fastcam.inference.device import choose_device, choose_precision
    from fastcam.inference.loader import Inputs

    progress = progress or Silent()
    device = choose_device(running.device)
    dtype = choose_precision(running.precision, device)
    dims = len(spec.size)
    items = list(choice.items) or find_inputs(
        choice.paths, choice.pattern, choice.table, choice.mask_dir, dims=dims
    )
    targets = _labels(items) if running.by_label else None
    model = model.to(device)
    compiled = device.type == "cuda" if running.compiled is None else running.compiled
    engine = (build or build_engine)(model, wanted, compiled=compiled)
    attrs = _attrs(model, described, spec, wanted, choice, running, items, dtype)
    report = InferReport(output_dir, output_dir / STORE, device=str(device))
    report.precision = str(dtype).removeprefix("torch.")
    with claimed(output_dir):
        store = _opened(output_dir / STORE, attrs, items, running.batch_size, overwrite)
        report.images = len(items)
        report.already = sum(h.status == "done" for h in store.headers)
        settings = RunSettings(
            device, dtype, running.batch_size, _readers(running, device.type), running.task,
            targets,
        )  # fmt: skip
        start = time.perf_counter()
        try:
            count = run_batches(
                model, engine, Inputs(items, spec, choice.axes), store, settings, progress
            )
            report.done, report.notes = count.done, count.notes
        finally:
            report.seconds = round(time.perf_counter() - start, 3)
            report.failures = _troubles(MapStore.open(store.path))
            report.failed = len(report.failures)
            write_failures(output_dir / FAILURES, report.failures)
    return report


def _labels(items: Sequence[Item]) -> Tensor:
    import torch

    for item in items:
        if not item.label.isdecimal():
            raise InputError(
                f"--target label: {item.source} has the label {item.label!r}; the table must give "
                "each image a class number"
            )
    return torch.tensor([int(item.label) for item in items])


def _readers(running: InferenceOptions, device: str) -> int:
    """Processes that decode images. On a CPU the model needs the cores: one is enough."""
    if running.readers is not None:
        return running.readers
    cores = len(os.sched_getaffinity(0))
    return min(8, cores) if device == "cuda" else 1


def _attrs(
    model: nn.Module,
    described: dict[str, Any],
    spec: Preprocessing,
    wanted: MapRequest,
    choice: InputChoice,
    running: InferenceOptions,
    items: Sequence[Item],
    dtype: Any,
) -> MapAttrs:
    from fastcam.attribution.engines import fingerprint

    settings = {
        **asdict(wanted),
        "precision": str(dtype).removeprefix("torch."),
        "batch_size": running.batch_size,
        "task": running.task,
        "axes": choice.axes,
        "target": "label" if running.by_label else "",
        "weights": fingerprint(model)[:16],
    }
    root = _common_folder(items)
    named = [(str(i.source), str(i.mask or ""), i.label) for i in items]
    content = json.dumps([described, asdict(spec), settings, named], default=str)
    return MapAttrs(
        sha256=hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest(),
        root=str(root),
        model=str(described["model"]),
        checkpoint=str(described["checkpoint"] or ""),
        methods=wanted.methods,
        layers=wanted.layers,
        preprocessing=asdict(spec),
        settings=settings,
        dims=len(spec.size),
    )


def _common_folder(items: Sequence[Item]) -> Path:
    parents = [str(item.source.resolve().parent) for item in items]
    return Path(os.path.commonpath(parents))


def _opened(
    path: Path, attrs: MapAttrs, items: Sequence[Item], batch: int, overwrite: bool
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
    return create_maps(path, attrs, items, batch)


def _difference(store: MapStore, new: MapAttrs, items: Sequence[Item]) -> str:
    old = store.attrs
    pairs: list[tuple[str, Any, Any]] = [
        ("model", old.model, new.model),
        ("checkpoint", old.checkpoint, new.checkpoint),
    ]
    pairs += [("images", len(store), len(items)), ("folder", old.root, new.root)]
    for name in ("preprocessing", "settings"):
        before, now = dict(getattr(old, name)), json.loads(json.dumps(getattr(new, name)))
        pairs += [(key, before.get(key), now[key]) for key in now]
    changed = [f"{what} {a}, now {b}" for what, a, b in pairs if a != b]
    if not changed and len(store) == len(items):
        both = list(zip(store.headers, items, strict=True))
        labels = sum(header.label != item.label for header, item in both)
        masks = sum((header.mask_source is None) != (item.mask is None) for header, item in both)
        for count, what in ((labels, "labels"), (masks, "masks")):
            changed += [f"{what} of {count} images"] if count else []
    return "; ".join(changed) or "other files"


def _troubles(store: MapStore) -> list[Failure]:
    return [
        Failure("error", header.place, header.id, None, 1, header.reason)
        for header in store.headers
        if header.status == "failed"
    ]

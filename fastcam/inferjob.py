"""The job of ``fastcam infer``: a model and images to a run store of maps."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.errors import InputError
from fastcam.mapschema import MapAttrs
from fastcam.mapstore import MapStore, create_maps
from fastcam.progress import Progress, Silent
from fastcam.read.inputs import Item, find_inputs
from fastcam.runfolder import FAILURES, STORE
from fastcam.spec import Axes
from fastcam.workitem import Trouble
from fastcam.write import make_folder, remove, write_text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fastcam.attribution.engines import Engine
    from fastcam.attribution.wanted import Wanted
    from fastcam.inference.answers import Task
    from fastcam.read.preprocess import Preprocessing


@dataclass(frozen=True)
class InputChoice:
    """Which images or volumes: ``paths`` are folders, files or lists; see ``find_inputs``.
    ``items``, where they were found already, take the place of all that but ``axes``."""

    paths: tuple[Path, ...]
    pattern: str | None = None
    table: Path | None = None
    mask_dir: Path | None = None
    axes: Axes = "zyx"
    items: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Running:
    """How the model runs; ``readers`` None: by the device. ``by_label``: CAMs explain the class
    that an image's label names."""

    device: str = "auto"
    precision: str = "auto"
    compiled: bool | None = None
    batch_size: int = 16
    readers: int | None = None
    task: Task = "auto"
    by_label: bool = False


@dataclass
class InferReport:
    """What a run did. Of ``images`` some were ``already`` there from a run before; ``sources`` are
    the options by which ``fastcam render`` finds them, where the store doesn't say."""

    output_dir: Path
    store: Path
    images: int = 0
    already: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    device: str = ""
    precision: str = ""
    sources: str = ""
    notes: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        """Images answered by this run for each second of it."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def exit_code(self) -> int:
        """0 all done, 1 nothing but failures, 3 finished but some failed."""
        if not self.troubles:
            return 0
        return 3 if self.done or self.already else 1


def infer_maps(
    model: nn.Module,
    described: dict[str, Any],
    spec: Preprocessing,
    choice: InputChoice,
    wanted: Wanted,
    running: Running,
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
    from fastcam.inference.device import choose_device, choose_precision
    from fastcam.inference.loading import Inputs
    from fastcam.inference.running import RunSettings, run_batches

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
            report.troubles = _troubles(MapStore.open(store.path))
            report.failed = len(report.troubles)
            write_failures(output_dir / FAILURES, report.troubles)
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


def _readers(running: Running, device: str) -> int:
    """Processes that decode images. On a CPU the model needs the cores: one is enough."""
    if running.readers is not None:
        return running.readers
    cores = len(os.sched_getaffinity(0))
    return min(8, cores) if device == "cuda" else 1


def _attrs(
    model: nn.Module,
    described: dict[str, Any],
    spec: Preprocessing,
    wanted: Wanted,
    choice: InputChoice,
    running: Running,
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


def _troubles(store: MapStore) -> list[Trouble]:
    return [
        Trouble("error", header.place, header.id, None, 1, header.reason)
        for header in store.headers
        if header.status == "failed"
    ]


def write_failures(path: Path, troubles: Sequence[Trouble]) -> None:
    """``failures.csv``; without troubles there is none."""
    if not troubles:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    columns = [entry.name for entry in fields(Trouble)]
    csv.writer(text, lineterminator="\n").writerows([columns, *map(astuple, troubles)])
    write_text(path, text.getvalue())


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """One run at a time writes into a folder."""
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another fastcam run is writing into this folder; wait for it or give "
                "another --output-dir"
            ) from error
        except OSError:
            pass  # some network file systems have no locks: then two runs are the user's care
        yield
    finally:
        os.close(handle)

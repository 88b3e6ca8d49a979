"""What a run of ``fastcam infer`` is of, checked before the model sees anything: its rows, numbers
and devices, and what its store says of it. Nothing is written."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fastcam.attribution.engines import fingerprint
from fastcam.attribution.model_call import ModelCall
from fastcam.attribution.modules import weight_type
from fastcam.errors import InputError
from fastcam.inference.batches import BatchSettings
from fastcam.inference.device import choose_device, choose_precision, takes_all_cores
from fastcam.inference.dry_run import task_of
from fastcam.inference.loader import InputBatches, Inputs
from fastcam.jobs.infer.box_targets import check_no_slices
from fastcam.jobs.infer.preparation import slice_inputs, slice_table
from fastcam.jobs.infer.request import InferRequest, content_sha256, names_of
from fastcam.jobs.infer.store_of_run import Identity
from fastcam.jobs.infer.workers import WorkerChoice, Workers, resolve_workers
from fastcam.models.random_weights import has_random_weights
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.slicing import SliceTable, plane_remark
from fastcam.read.inputs.volume_input import check_channels
from fastcam.run.cgroups import cores
from fastcam.run.folder import STORE
from fastcam.storage.locations import common_folder
from fastcam.storage.object_store import uses_memory
from fastcam.store.map_schema import MapAttrs
from fastcam.store.root import SCHEMA_VERSION

# More processes than this read faster than a GPU computes.
_MOST_READERS = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class InferPlan:
    """A run whose inputs and settings were checked.

    Attributes:
        request: what was asked for.
        output_dir: the folder of the run.
        model_inputs: of a model with several inputs what goes into each.
        items: the images or volumes.
        table: the slices of volumes that a 2-D model sees one by one; None where it doesn't.
        with_masks: whether maps are made of the items' masks.
        labels: (rows,) int64, the classes that are explained, where the items' labels name them.
        device: where the model runs in this process.
        dtype: the number type of its pass.
        workers: the processes that run the model in place of this one.
        attrs: what a new store says of the run.
        identity: what tells it from runs of other settings, for any items.
    """

    request: InferRequest
    output_dir: Path
    model_inputs: tuple[ModelInput, ...]
    items: Sequence[Item]
    table: SliceTable | None
    with_masks: bool
    labels: Tensor | None
    device: torch.device
    dtype: torch.dtype
    workers: Workers | None
    attrs: MapAttrs
    identity: Identity

    @property
    def store_path(self) -> Path:
        """Where the run store is, or will be."""
        return self.output_dir / STORE

    @property
    def rows(self) -> int:
        """How many images, volumes or slices the model sees."""
        return len(self.items) if self.table is None else len(self.table)

    @property
    def compiled(self) -> bool:
        """Whether the model in this process is compiled."""
        compiled = self.request.options.compiled
        return self.workers is None and (
            self.device.type == "cuda" if compiled is None else compiled
        )

    @property
    def dry_dtype(self) -> torch.dtype:
        """The number type of the pass over made-up images; a CPU has no half precision."""
        half_on_cpu = self.dtype == torch.float16 and self.device.type == "cpu"
        return torch.bfloat16 if half_on_cpu else self.dtype

    @property
    def remarks(self) -> list[str]:
        """What users should know of the inputs, a line each."""
        lines = [self.request.inputs.left_out(len(self.request.preprocessing.size))]
        if self.table is not None:
            lines.append(plane_remark(self.items, self.table))
        return [line for line in lines if line]

    def precision_of(self, model: nn.Module) -> str:
        """The name of the number type that the model's own numbers are in."""
        own = self.dtype if self.dtype != torch.float32 else weight_type(model) or self.dtype
        return str(own).removeprefix("torch.")

    def batch_settings(self, call: ModelCall) -> BatchSettings:
        """How batches go through the model, which is called as ``call`` says."""
        options, maps = self.request.options, self.request.maps
        return BatchSettings(
            device=self.device,
            dtype=self.dtype,
            batch_size=options.batch_size,
            readers=self._readers(),
            task=task_of(call, options.task),
            slow=maps.is_slow,
            segments=maps.segments if self.with_masks else (),
            targets=self.labels,
            norms=call.norms,
        )

    def _readers(self) -> int:
        """Processes that decode inputs. On a CPU the model needs the cores: of images that are
        read in turns with it as many as there are, of volumes one."""
        if uses_memory():
            return 0
        if self.request.options.readers is not None:
            return self.request.options.readers
        of_images = self.table is None and len(self.request.preprocessing.size) == 2
        if self.device.type == "cuda" or (of_images and takes_all_cores(self.device)):
            return min(_MOST_READERS, cores())
        return 1

    def inputs(self, call: ModelCall, table: SliceTable | None) -> InputBatches:
        """What is read for the model; ``table``: the slices as the store has them."""
        request = self.request
        if table is not None:
            return slice_inputs(request, self.items, table)
        return Inputs(
            self.items,
            request.preprocessing,
            request.inputs.axes,
            call.packed,
            request.inputs.volume,
            self.with_masks,
        )


def plan_run(
    model: nn.Module, request: InferRequest, output_dir: Path, choice: WorkerChoice | None
) -> InferPlan:
    """Find and check the inputs of a run of ``model``, which is moved to its device.

    ``choice``: the processes that run it in place of this one. Raises :class:`InputError` for
    whatever is wrong with inputs, slices, labels, masks and devices.
    """
    options, preprocessing = request.options, request.preprocessing
    workers = None
    if choice is None:
        device = choose_device(options.device)
        dtype = choose_precision(options.precision, device)
    model_inputs, items = request.inputs.find(len(preprocessing.size), preprocessing.channels)
    if choice is not None:
        workers = resolve_workers(choice, options.device, _shared_paths(items, output_dir))
        device = torch.device("cpu")
        dtype = choose_precision(options.precision, torch.device(workers.device))
    check_channels([item.source for item in items], preprocessing, request.inputs.volume)
    table = slice_table(request, model_inputs, items)
    if request.maps.boxes:
        check_no_slices(table)
    with_masks = any(target.region == "mask" for target in request.maps.segments)
    if with_masks:
        _check_masks(items, table)
    labels = _labels(items, table) if options.by_label else None
    attrs, identity = _attrs(model.to(device), request, model_inputs, items, dtype)
    return InferPlan(
        request=request,
        output_dir=output_dir,
        model_inputs=model_inputs,
        items=items,
        table=table,
        with_masks=with_masks,
        labels=labels,
        device=device,
        dtype=dtype,
        workers=workers,
        attrs=attrs,
        identity=identity,
    )


def _shared_paths(items: Sequence[Item], output_dir: Path) -> list[Path]:
    """What workers of a cluster must see: the first input, and a folder around the output."""
    output_dir = output_dir.resolve()
    around = (folder for folder in (output_dir, *output_dir.parents) if folder.exists())
    # An empty bucket is no folder, and whoever writes first finds out whether it is there.
    return [items[0].source.resolve(), *itertools.islice(around, 1)]


def _check_masks(items: Sequence[Item], table: SliceTable | None) -> None:
    """InputError where targets inside of masks can't be."""
    if table is not None:
        raise InputError("--target seg:CLASS@mask is for images and whole volumes, not for slices")
    if not any(item.mask for item in items):
        raise InputError(
            "--target seg:CLASS@mask: no image has a mask; give --mask-dir, or a column mask in "
            "the table"
        )


def _labels(items: Sequence[Item], table: SliceTable | None) -> Tensor:
    """The class (items,) int64 that each item's label names, or (rows,) that of each slice."""
    for item in items:
        if not item.label.isdecimal():
            raise InputError(
                f"--target label: {item.source} has the label {item.label!r}; the table must give "
                "each image a class number"
            )
    labels = torch.tensor([int(item.label) for item in items])
    return labels if table is None else labels[torch.from_numpy(table.cases)]


def _attrs(
    model: nn.Module,
    request: InferRequest,
    model_inputs: Sequence[ModelInput],
    items: Sequence[Item],
    dtype: torch.dtype,
) -> tuple[MapAttrs, Identity]:
    """What the store says of the run; its sha256 tells runs of other settings apart. And what
    that would be with other items."""
    preprocessing, maps, options = request.preprocessing, request.maps, request.options
    settings = {
        **maps.plain(),
        "precision": str(dtype).removeprefix("torch."),
        "batch_size": options.batch_size,
        "task": options.task,
        "axes": request.inputs.axes,
        "target": "label" if options.by_label else "",
        "weights": fingerprint(model)[:16],
    }
    # Where they are not given, settings and fingerprint are those of stores from before.
    settings |= {"output": request.output} if request.output else {}
    settings |= {"random_weights": True} if has_random_weights(model) else {}
    volume = request.inputs.volume
    settings |= {"volume": volume} if volume is not None else {}
    settings |= {"inputs": [asdict(entry) for entry in model_inputs]} if model_inputs else {}
    slicing = request.inputs.slicing
    settings |= {} if slicing is None else {"slicing": slicing.settings}
    # Rules by which a store is read; another one is no other run.
    rules = {"sign": settings.pop("sign")}
    rules |= {} if slicing is None else {"pool": slicing.pool}
    parts = (SCHEMA_VERSION, dict(request.model_info), preprocessing.settings, dict(settings))

    def identity(items: Sequence[Item]) -> str:
        return content_sha256(*parts, names_of(items))

    settings |= rules
    attrs = MapAttrs(
        sha256=identity(items),
        root=str(_common_folder(items)),
        model=str(request.model_info["model"]),
        checkpoint=str(request.model_info["checkpoint"] or ""),
        methods=maps.methods,
        layers=maps.layers,
        preprocessing=preprocessing.settings,
        settings=settings,
        dims=len(preprocessing.size) if slicing is None else 3,
    )
    return attrs, identity


def _common_folder(items: Sequence[Item]) -> Path:
    try:
        return common_folder({item.source.resolve().parent for item in items})
    except ValueError as error:
        raise InputError(
            "the images lie in several buckets, or some on this machine; run each place by itself"
        ) from error

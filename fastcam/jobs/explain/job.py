"""The methods run on a few images, one after the other, and what came of them put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.inference.images import ImageBatch
from fastcam.jobs.explain.explanation import Explanation
from fastcam.jobs.explain.request import ExplainRequest, Step
from fastcam.jobs.explain.results import ClassFound, MapFacts, Patches, Reconstruction
from fastcam.jobs.explain.rows import RECONSTRUCTION

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Told = Callable[[str], None]
# Numbers of more patches than this can't be read in a picture of any use.
_MOST_PATCHES = 1600


def explained(
    model: nn.Module,
    shown: ImageBatch,
    asked: ExplainRequest,
    steps: Sequence[Step],
    targets: Any = None,
    support: Mapping[str, ImageBatch] | None = None,
    begun: Told = lambda line: None,
    told: Told = lambda line: None,
) -> Explanation:
    """Run ``steps`` on the images of ``shown``. ``targets`` as :func:`fastcam.explain` takes them.

    ``begun`` gets each step in words before it is run, ``told`` what has to be said besides. Where
    all methods are asked for, those that the model has nothing for are left out. InputError for
    layers, methods and targets that don't exist, and where no method is left.
    """
    import torch

    from fastcam.inference.device import choose_device, choose_precision
    from fastcam.models.fewshot.network import FewshotViT
    from fastcam.models.patch_attention.network import PatchAttention

    if isinstance(model, PatchAttention):
        raise InputError(
            "patch_attention looks at the patches of a volume's mask: use `fastcam infer` with "
            "--mask-dir, then `fastcam render`"
        )
    first = next(model.parameters(), None)
    here = torch.device("cpu") if first is None else first.device
    where = here if asked.device is None else choose_device(asked.device)
    alone = sum(len(step.methods) for step in steps) == 1
    dtype = choose_precision(asked.precision, where)
    run = _Run(model.to(where), shown, asked, where, dtype, alone)
    judged: AbstractContextManager[None] = nullcontext()
    if support and isinstance(model, FewshotViT):
        # What it is asked for are the classes of the support: CAMs explain those, not its head's.
        judged = model.told_by([given.batch.to(where) for given in support.values()])
        run.classes = tuple(support)
    without: list[InputError] = []
    with judged:
        for step in steps:
            begun(str(step))
            try:
                if step.methods == (RECONSTRUCTION,):
                    run.compare(step, support or {})
                else:
                    run.maps_of(step, targets)
            except InputError as error:
                if not asked.every:
                    raise
                told(f"no {', '.join(step.methods)}: {error}")
                without.append(error)
    if len(without) == len(steps):
        raise without[0]
    return run.together()


@dataclass(eq=False)
class _Run:
    """What the steps have found so far."""

    model: nn.Module
    shown: ImageBatch
    asked: ExplainRequest
    where: torch.device
    dtype: torch.dtype
    alone: bool
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    facts: dict[str, MapFacts] = field(default_factory=dict)
    gates: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    output: Tensor | None = None
    targets: Tensor | None = None
    reconstruction: Reconstruction | None = None
    scores: Tensor | None = None
    classes: tuple[str, ...] = ()

    def maps_of(self, step: Step, targets: Any) -> None:
        from fastcam.attribution.cam.targets import rows_of
        from fastcam.attribution.engines import build_engine, layer_names, map_notes
        from fastcam.inference.batches import RunSettings, guarded
        from fastcam.inference.halving import Halving, joined

        wanted = step.wanted(self.asked)
        if not wanted.cam_methods:
            targets = None
        rows = rows_of(targets, len(self.shown.batch))
        engine = build_engine(self.model, wanted, targets if rows is None else None)
        size = self.asked.batch_size
        running = guarded(engine, RunSettings(self.where, self.dtype, size, 0))
        halving = Halving(running, size, lambda line: None)
        made = joined(
            [
                halving(self.shown.batch[part].to(self.where), None if rows is None else rows[part])
                for part in _parts(len(self.shown.batch), size)
            ]
        )
        names, notes = layer_names(engine), map_notes(engine)
        for name, values in made.maps.items():
            self.maps[name] = values.float().cpu().numpy()
            self.facts[name] = self._fact(name, step, names.get(name, ()), notes.get(name, ""))
        self.gates |= {path: gate.float().cpu().numpy() for path, gate in made.gates.items()}
        self.output = made.output if self.output is None else self.output
        self.targets = made.targets if self.targets is None else self.targets

    def _fact(self, name: str, step: Step, layers: tuple[str, ...], note: str) -> MapFacts:
        method, _, layer = name.partition("/")
        # EigenCAM explains no output: it has no evidence against one.
        signed = self.asked.sign == "both" and method != "eigencam" and self._is_cam(method)
        return MapFacts(method, "" if layers else layer, layers, bool(step.layers), note, signed)

    @staticmethod
    def _is_cam(method: str) -> bool:
        from fastcam.attribution.request import CAM_METHODS

        return method in CAM_METHODS

    def compare(self, step: Step, support: Mapping[str, ImageBatch]) -> None:
        import torch

        from fastcam.attribution.reconstruction.engine import ReconstructionEngine
        from fastcam.inference.device import arithmetic

        if len(step.layers) > 1:
            raise InputError(
                f"reconstruction compares features of one layer, not of {', '.join(step.layers)}"
            )
        batches = {name: given.batch.to(self.where) for name, given in support.items()}
        engine = ReconstructionEngine(self.model, batches, *step.layers)
        with arithmetic(self.where, self.dtype):
            made = [
                engine(self.shown.batch[part].to(self.where))
                for part in _parts(len(self.shown.batch), self.asked.batch_size)
            ]

        def joined(tensors: Sequence[Tensor]) -> NDArray[np.float32]:
            return np.concatenate([t.float().cpu().numpy() for t in tensors])

        asking, places = made, None
        if self.asked.query is not None:
            grid = made[0].maps[next(iter(support))].error.shape[1:]
            places = tuple(
                place_of(self.asked.query, picture.shape[:2], (grid[0], grid[1]))
                for picture in self.shown.pictures
            )
            with arithmetic(self.where, self.dtype):
                asking = [
                    engine(self.shown.batch[at : at + 1].to(self.where), row * grid[1] + column)
                    for at, (row, column) in enumerate(places)
                ]
        classes = {
            name: ClassFound(
                joined([one.maps[name].received for one in asking]),
                joined([one.maps[name].error for one in made]),
                made[0].maps[name].signed,
                given.pictures,
                given.names,
            )
            for name, given in support.items()
        }
        self.scores = torch.cat([one.scores for one in made])
        self.reconstruction = Reconstruction(
            classes, joined([one.probability for one in made]), made[0].trained, places
        )

    def together(self) -> Explanation:
        from fastcam.inference.predictions import predictions_of

        shown, maps = self.shown, self.maps
        output = self.output if self.output is not None else self.scores
        assert output is not None
        raw = output.float().cpu().numpy()
        # Reconstruction alone tells classes, even if there is only one of them.
        said = predictions_of(raw, self.asked.task if self.output is not None else "multilabel")
        probability = said.probability
        if self.output is None and self.reconstruction is not None:
            probability = self.reconstruction.probability
        names = {name: name.partition("/")[2] or name if self.alone else name for name in maps}
        return Explanation(
            maps={names[name]: values for name, values in maps.items()},
            prediction=raw[:, 0] if said.prediction is None else said.prediction,
            probability=probability,
            output=raw,
            targets=None if self.targets is None else self.targets.cpu().numpy(),
            names=shown.names,
            images=shown.pictures,
            facts={names[name]: fact for name, fact in self.facts.items()},
            gates=self.gates,
            reconstruction=self.reconstruction,
            classes=self.classes,
            patches=_patches(self.model, shown.batch),
            dims=shown.batch.ndim - 2,
        )


def place_of(pixel: tuple[int, int], size: Sequence[int], grid: tuple[int, int]) -> tuple[int, int]:
    """The (row, column) of a ``grid`` (rows, columns) that a pixel (x, y) of a picture of ``size``
    (height, width) lies in. InputError where it lies outside."""
    (x, y), (height, width) = pixel, size
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"--query {x},{y} lies outside the image: x is 0 to {width - 1}, y is 0 to {height - 1}"
        )
    return y * grid[0] // height, x * grid[1] // width


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _patches(model: nn.Module, batch: Tensor) -> Patches | None:
    """How the model cuts its images; None for a CNN, and where patches are too many to number."""
    from fastcam.attribution.attention.tokens import count_prefix, patch_size

    size = patch_size(model) if batch.ndim == 4 else None
    if size is None:
        return None
    height, width = batch.shape[2:]
    grid = height // size[0], width // size[1]
    if not 1 < grid[0] * grid[1] <= _MOST_PATCHES:
        return None
    return Patches(grid, (size[0], size[1]), (height, width), count_prefix(model).count)

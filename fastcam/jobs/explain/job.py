"""The methods run on a few images, one after the other, and their results as one explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastcam.attribution.attention.tokens import count_prefix, patch_size
from fastcam.attribution.augmented import DEVIATION
from fastcam.attribution.batch_maps import BatchMaps
from fastcam.attribution.box_target import boxes_in
from fastcam.attribution.engines import build_shown_engine
from fastcam.attribution.layer_inputs import layers_of_every_image, with_layers
from fastcam.attribution.model_call import ModelCall, called_as, check_arguments
from fastcam.attribution.modules import as_input, device_of, eval_mode
from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.attribution.reconstruction.engine import ReconstructionEngine
from fastcam.attribution.request import SIGNED_METHODS
from fastcam.attribution.segment_target import segments_in
from fastcam.attribution.targets import rows_of
from fastcam.errors import InputError
from fastcam.inference.batch_halving import Halving, concatenate
from fastcam.inference.batches import engine_on
from fastcam.inference.device import arithmetic, choose_device, choose_precision
from fastcam.inference.images import ImageBatch
from fastcam.inference.predictions import predictions_of
from fastcam.jobs.explain.comparison import Explanation
from fastcam.jobs.explain.request import ExplainRequest, Step, cell_of
from fastcam.jobs.explain.results import ClassReconstruction, MapFacts, Patches, Reconstruction
from fastcam.jobs.explain.rows import RECONSTRUCTION
from fastcam.models.fewshot.network import FewshotViT
from fastcam.models.patch_attention.network import PatchAttention
from fastcam.models.random_weights import has_random_weights

Log = Callable[[str], None]
# Numbers of more patches than this can't be read in a picture of any use.
_MOST_PATCHES = 1600


def explain_images(
    model: nn.Module,
    images: ImageBatch,
    request: ExplainRequest,
    steps: Sequence[Step],
    *,
    targets: Any = None,
    support: Mapping[str, ImageBatch] | None = None,
    log_step: Log = lambda line: None,
    log: Log = lambda line: None,
    black: Sequence[float] = (),
) -> Explanation:
    """Run ``steps`` on ``images``. ``targets`` are what :func:`fastcam.explain` takes.

    ``log_step`` gets each step in words before it is run, ``log`` the methods that are left out:
    where all methods are asked for, those that the model has nothing for. ``black`` is a black
    pixel as the model's input has it. InputError for layers, methods and targets that don't exist,
    and where no method is left.
    """
    if isinstance(model, PatchAttention):
        raise InputError(
            "patch_attention looks at the patches of a volume's mask: use `fastcam infer` with "
            "--mask-dir, then `fastcam render`"
        )
    device = device_of(model) if request.device is None else choose_device(request.device)
    dtype = choose_precision(request.precision, device)
    check_arguments(model, images.inputs)
    boxes = boxes_in(targets)
    segments = () if boxes else segments_in(targets)
    if any(target.region == "mask" for target in segments):
        raise InputError("--target seg:CLASS@mask: masks are for fastcam infer (--mask-dir)")
    targets = None if segments or boxes else targets
    if request.windows is not None:
        request.windows.warn_if_whole(tuple(images.batch.shape[2:]))
    settings = request.method_settings.of_run(black, request.batch_size, request.task)
    request = replace(request, method_settings=settings, segments=segments, boxes=boxes)
    run = _Run(model=model.to(device), images=images, request=request, device=device, dtype=dtype)
    call = ModelCall(request.output, run.find_layers())
    outputs: AbstractContextManager[None] = nullcontext()
    if support and isinstance(model, FewshotViT):
        # What it is asked for are the classes of the support: CAMs explain those, not its head's.
        batches = [as_input(model, of_class.batch.to(device)) for of_class in support.values()]
        outputs = model.support_set(batches)
        run.classes = tuple(support)
    errors: list[InputError] = []
    with called_as(model, call), eval_mode(model), outputs:
        for step in steps:
            log_step(str(step))
            try:
                if step.methods == (RECONSTRUCTION,):
                    run.reconstruct(step, support or {})
                else:
                    run.make_maps(step, targets)
            except InputError as error:
                if not request.every:
                    raise
                log(f"no {', '.join(step.methods)}: {error}")
                errors.append(error)
    if len(errors) == len(steps):
        raise errors[0]
    return run.explanation(one_method=sum(len(step.methods) for step in steps) == 1)


@dataclass(eq=False, kw_only=True)
class _Run:
    """A model with its images, and the results of the steps so far."""

    model: nn.Module
    images: ImageBatch
    request: ExplainRequest
    device: torch.device
    dtype: torch.dtype
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    facts: dict[str, MapFacts] = field(default_factory=dict)
    gates: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    output: Tensor | None = None
    targets: Tensor | None = None
    reconstruction: Reconstruction | None = None
    labels: Tensor | None = None
    pixels: Tensor | None = None
    boxes: Tensor | None = None
    scores: Tensor | None = None
    classes: tuple[str, ...] = ()
    packed: PackedInputs | None = None

    def find_layers(self) -> PackedInputs | None:
        """How several inputs lie in the batch, and which images reach which layers."""
        packed = self.images.packed
        if packed is None or len(packed.images) < 2:
            return packed
        example = self.images.batch[:1].to(self.device)
        with called_as(self.model, ModelCall(packed=packed)), arithmetic(self.device, self.dtype):
            self.packed = with_layers(self.model, packed, example)
        return self.packed

    def make_maps(self, step: Step, targets: Any) -> None:
        """Run the methods of a step that one engine makes."""
        map_request = step.map_request(self.request)
        if self.packed is not None and map_request.cam_methods and not map_request.layers:
            example = self.images.batch[:1].to(self.device)
            with arithmetic(self.device, self.dtype):
                layers = layers_of_every_image(
                    self.model, self.packed, example, self.request.prefix_tokens
                )
            map_request = replace(map_request, layers=layers)
        if not map_request.is_targeted:
            targets = None
        rows = rows_of(targets, len(self.images.batch))
        engine = build_shown_engine(self.model, map_request, targets if rows is None else None)
        size = 1 if map_request.is_slow else self.request.batch_size
        halving = Halving(engine_on(engine, self.device, self.dtype), size, lambda line: None)
        result = concatenate(
            [
                halving(
                    self.images.batch[part].to(self.device), None if rows is None else rows[part]
                )
                for part in self._parts()
            ]
        )
        for name, values in result.maps.items():
            self.maps[name] = _array(values)
            layers = result.layer_names.get(name, ())
            facts = self._facts(name, step, layers, result.notes.get(name, ""))
            measures = _measures(result, name)
            self.facts[name] = replace(facts, field=result.fields.get(name), measures=measures)
        self.gates |= {path: _array(gate) for path, gate in result.gates.items()}
        self.output = result.output if self.output is None else self.output
        self.targets = result.targets if self.targets is None else self.targets
        self.labels = result.labels if self.labels is None else self.labels
        self.pixels = result.pixels if self.pixels is None else self.pixels
        self.boxes = result.boxes if self.boxes is None else self.boxes

    def _facts(self, name: str, step: Step, layers: tuple[str, ...], note: str) -> MapFacts:
        method, _, layer = name.partition("/")
        signed = self.request.sign == "both" and method in SIGNED_METHODS
        return MapFacts(
            method=method,
            layer="" if layers else layer,
            layers=layers,
            explicit=bool(step.layers),
            note=note,
            signed=signed,
            over=()
            if self.packed is None
            else tuple(self.packed.images_of(name) for name in layers or (layer,)),
        )

    def reconstruct(self, step: Step, support: Mapping[str, ImageBatch]) -> None:
        """Compare the images with ``support``, by class."""
        if len(step.layers) > 1:
            raise InputError(
                f"reconstruction compares features of one layer, not of {', '.join(step.layers)}"
            )
        batches = {name: of_class.batch.to(self.device) for name, of_class in support.items()}
        engine = ReconstructionEngine(self.model, batches, *step.layers)
        with arithmetic(self.device, self.dtype):
            results = [engine(self.images.batch[part].to(self.device)) for part in self._parts()]
        results_of_query, places = results, None
        if self.request.query is not None:
            rows, columns = results[0].maps[next(iter(support))].error.shape[1:]
            places = tuple(
                cell_of(self.request.query, picture.shape[:2], (rows, columns))
                for picture in self.images.pictures
            )
            with arithmetic(self.device, self.dtype):
                results_of_query = [
                    engine(
                        self.images.batch[index : index + 1].to(self.device), row * columns + column
                    )
                    for index, (row, column) in enumerate(places)
                ]
        classes = {
            name: ClassReconstruction(
                received=_joined([result.maps[name].received for result in results_of_query]),
                error=_joined([result.maps[name].error for result in results]),
                signed=results[0].maps[name].signed,
                pictures=of_class.pictures,
                names=of_class.names,
            )
            for name, of_class in support.items()
        }
        self.scores = torch.cat([result.scores for result in results])
        self.reconstruction = Reconstruction(
            classes=classes,
            probability=_joined([result.probability for result in results]),
            trained=results[0].trained,
            places=places,
        )

    def explanation(self, one_method: bool) -> Explanation:
        """The results of all steps; of ``one_method`` the maps are called by their layers alone."""
        output = self.output if self.output is not None else self.scores
        assert output is not None
        raw = _array(output)
        # Reconstruction alone tells classes, even if there is only one of them.
        task = self.request.task if self.output is not None else "multilabel"
        task = "segmentation" if self.labels is not None else task
        task = "detection" if self.boxes is not None else task
        predictions = predictions_of(raw, task)
        prediction, probability = predictions.prediction, predictions.probability
        if self.output is None and self.reconstruction is not None:
            prediction, probability = raw.argmax(axis=1), self.reconstruction.probability
        names = {name: _short(name) if one_method else name for name in self.maps}
        return Explanation(
            maps={names[name]: values for name, values in self.maps.items()},
            prediction=raw[:, 0] if prediction is None else prediction,
            probability=probability,
            output=raw,
            targets=None if self.targets is None else self.targets.cpu().numpy(),
            names=self.images.names,
            images=self.images.pictures,
            facts={names[name]: facts for name, facts in self.facts.items()},
            gates=self.gates,
            reconstruction=self.reconstruction,
            classes=self.classes,
            patches=_patches(self.model, self.images.batch),
            dims=self.images.batch.ndim - 2,
            labels=None if self.labels is None else self.labels.cpu().numpy(),
            pixels=None if self.pixels is None else self.pixels.cpu().numpy(),
            boxes=None if self.boxes is None else _array(self.boxes),
            box_targets=self.request.boxes,
            input_size=tuple(self.images.batch.shape[2:]),
            segments=self.request.segments,
            input_images=self.images.input_pictures,
            input_displays=self.images.input_displays,
            displays=self.images.displays,
            left_sides=self.images.left_sides,
            slice_facts=self.images.facts,
            random_weights=has_random_weights(self.model),
        )

    def _parts(self) -> list[slice]:
        count, size = len(self.images.batch), self.request.batch_size
        return [slice(start, start + size) for start in range(0, count, size)]


def _short(name: str) -> str:
    """A map of the only method by its layer; a deviation lies beside it, and keeps its name."""
    method, _, layer = name.partition("/")
    return name if not layer or method.endswith(DEVIATION) else layer


def _measures(result: BatchMaps, map_name: str) -> tuple[tuple[str, NDArray[np.float32]], ...]:
    """What the numbers of a map are, and these (n, targets)."""
    columns: dict[str, list[int]] = {}
    for column, name in enumerate(result.measure_names):
        owner, _, text = name.partition(": ")
        if owner in (map_name, map_name.partition("/")[0]):
            columns.setdefault(text, []).append(column)
    if result.measures is None:
        return ()
    return tuple((text, _array(result.measures[:, of])) for text, of in columns.items())


def _array(tensor: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = tensor.float().cpu().numpy()
    return values


def _joined(tensors: Sequence[Tensor]) -> NDArray[np.float32]:
    return np.concatenate([_array(tensor) for tensor in tensors])


def _patches(model: nn.Module, batch: Tensor) -> Patches | None:
    """How the model cuts its images; None for a CNN, and where patches are too many to number."""
    size = patch_size(model) if batch.ndim == 4 else None
    if size is None:
        return None
    height, width = batch.shape[2:]
    grid = height // size[0], width // size[1]
    if not 1 < grid[0] * grid[1] <= _MOST_PATCHES:
        return None
    return Patches(grid, (size[0], size[1]), (height, width), count_prefix(model).count)

"""One pass over made-up images before the first real one: what a run would fail by hours later.

Layers, outputs, inputs, targets, channels and sizes are looked at by running the engine once on two
images of noise, uncompiled; what comes out says what the store will hold.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.batch_maps import BatchMaps, Engine, logits_of
from fastcam.attribution.detection import NEEDS_BOX, detections_in
from fastcam.attribution.folded_norms import NormPair, seen_pairs
from fastcam.attribution.layer_inputs import layers_of_every_image, with_layers
from fastcam.attribution.model_call import ModelCall, called_as, check_arguments
from fastcam.attribution.modules import frozen_forward
from fastcam.attribution.outputs import OutputTensor, find_answer
from fastcam.attribution.packed_inputs import PackedInputs
from fastcam.attribution.request import MapRequest
from fastcam.attribution.segmentation import SegmentationTargets
from fastcam.attribution.window_plan import WindowPlan
from fastcam.errors import InputError, OutputError
from fastcam.inference.batch_halving import Halving, out_of_memory
from fastcam.inference.batches import engine_on
from fastcam.inference.device import arithmetic, folds_norms
from fastcam.inference.predictions import Task, predictions_of
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.storage.object_path import ObjectPath

# Two, so that what has a row for each image is told from what has not.
_IMAGES = 2
_FLOAT = 4
# CAMs of which one takes hundreds of passes.
_MANY_PASSES = ("scorecam", "ablationcam")
# A window that covers any image.
_WHOLE = 1 << 20
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run will be like.

    - ``call``: how the model is called, with the answer found
    - ``maps``: the maps to make, with layers where the run's own choice is not that of an engine
    - ``image_bytes``: what the store holds of one image, before it is compressed
    - ``map_images``: of a model with several images by map the names of those that it lies over;
      by layer where the map has an axis of layers
    """

    call: ModelCall
    maps: MapRequest
    image_bytes: int
    map_images: Mapping[str, Any]


def noise_batch(
    preprocessing: Preprocessing, packed: PackedInputs | None, device: torch.device
) -> Tensor:
    """Two made-up images (2, c, *size) float32, or rows of a model with several inputs."""
    generator = torch.Generator().manual_seed(0)
    shape = (_IMAGES, preprocessing.channels, *preprocessing.size)
    if packed is None:
        return torch.randn(shape, generator=generator).to(device)
    images = [torch.randn(shape, generator=generator) for _ in packed.images]
    numbers = torch.rand((_IMAGES, len(packed.numbers)), generator=generator).tolist()
    rows = [packed.pack([image[row] for image in images], numbers[row]) for row in range(_IMAGES)]
    return torch.stack(rows).to(device)


def resolve_call(
    model: nn.Module,
    preprocessing: Preprocessing,
    device: torch.device,
    dtype: torch.dtype,
    *,
    output: str = "",
    inputs: Sequence[ModelInput] = (),
    windows: WindowPlan | None = None,
) -> ModelCall:
    """How ``model``, on ``device``, is called, found by a forward pass or a few.

    ``output`` is the name of the answer, as the user gives it, ``inputs`` what goes into a model
    with several, ``windows`` what it sees of its input at a time. InputError for arguments that are
    missing or don't exist, for a model that fails on its input, and where its answer isn't found.
    """
    check_arguments(model, inputs)
    if windows is not None:
        preprocessing = replace(preprocessing, size=windows.sides(preprocessing.size))
    packed = PackedInputs.of(inputs, preprocessing.channels) if inputs else None
    batch = noise_batch(preprocessing, packed, device)
    pairs: list[NormPair] = []
    with called_as(model, ModelCall(packed=packed)), arithmetic(device, dtype):
        with seen_pairs(model) if folds_norms(device, dtype) else nullcontext(pairs) as pairs:
            returned, batch = _forward(model, batch)
        if packed is not None and len(packed.images) > 1:
            packed = with_layers(model, packed, batch)
    if not output and detections_in(returned, len(batch)) is not None:
        return ModelCall(packed=packed, boxes=True, norms=tuple(pairs))
    try:
        answer = find_answer(returned, output, len(batch))
        logits, dense = logits_of(answer.tensor), False
    except InputError as error:
        answer, dense = _pixel_answer(returned, output, len(batch), error), True
        logits = answer.tensor
    if len(logits) != len(batch):
        raise InputError(
            f"the model gives {len(logits)} answers {tuple(answer.tensor.shape)} for {len(batch)} "
            "images; it must give a row for each: check --output, or wrap the model"
        )
    outputs = max(logits.shape[1], 2) if dense else logits.shape[1]
    return ModelCall(answer.name, packed, outputs, dense, norms=tuple(pairs))


def _pixel_answer(returned: Any, output: str, count: int, error: InputError) -> OutputTensor:
    """The answer for every pixel in what a model returned; ``error`` where there is none."""
    try:
        answer = find_answer(returned, output, count, dense=True)
    except InputError:
        raise error from None
    if not answer.is_answer(None, dense=True):
        raise error
    return answer


def dry_run(
    model: nn.Module,
    maps: MapRequest,
    call: ModelCall,
    build: Callable[..., Engine],
    preprocessing: Preprocessing,
    device: torch.device,
    dtype: torch.dtype,
    task: Task = "auto",
) -> DryRun:
    """Make ``maps`` of two images of noise, by the engine that ``build`` makes.

    ``call`` comes from :func:`resolve_call`. InputError for layers that don't exist or have no
    maps, targets out of range, a task that doesn't fit, and whatever else an engine refuses.
    """
    _check_kind(maps, call, task)
    wrong = next((target for target in maps.classes if target >= call.outputs), None)
    if wrong is not None:
        raise InputError(
            f"--target {wrong}: the model has {call.outputs} outputs, 0 to {call.outputs - 1}; "
            "give one of these, or leave it out for the predicted one"
        )
    batch = noise_batch(preprocessing, call.packed, device)
    with called_as(model, call):
        several = call.packed is not None and len(call.packed.images) > 1
        if call.packed is not None and several and maps.cam_methods and not maps.layers:
            with arithmetic(device, dtype):
                layers = layers_of_every_image(model, call.packed, batch[:1], maps.prefix_tokens)
            maps = replace(maps, layers=layers)
        engine = build(model, _quick(maps), compiled=False)
        halving = Halving(engine_on(engine, device, dtype), _IMAGES, lambda line: None)
        targets = None
        if any(target.region == "mask" for target in maps.segments):
            masks = torch.ones((len(batch), *preprocessing.size), dtype=torch.bool, device=device)
            targets = SegmentationTargets(maps.segments, masks)
        try:
            result = halving(batch, targets)
        except Exception as error:
            raise _failure(error, batch) from error
    predictions_of(result.output.float().cpu().numpy(), task_of(call, task))
    return DryRun(
        call=call,
        maps=maps,
        image_bytes=_image_bytes(result, maps),
        map_images=_map_images(result, maps, call.packed),
    )


def task_of(call: ModelCall, task: Task) -> Task:
    """The ``task`` of a model whose answer says by its kind what it is."""
    return "segmentation" if call.dense else "detection" if call.boxes else task


def _check_kind(maps: MapRequest, call: ModelCall, task: Task) -> None:
    """InputError where targets, task and the kind of the model's answer don't fit together."""
    if call.boxes and maps.is_targeted and not maps.boxes:
        raise InputError(NEEDS_BOX)
    if call.boxes and task not in ("auto", "detection"):
        raise InputError(
            f"--task {task}: the model answers with boxes; leave it out, or give detection"
        )
    if not call.boxes and (maps.boxes or task == "detection"):
        given = f"--target {maps.boxes[0]}" if maps.boxes else "--task detection"
        raise InputError(
            f"{given}: the model gives no boxes, scores and labels for each image; leave it out"
        )
    if call.dense and maps.is_targeted and not maps.segments:
        raise InputError(
            f"the model answers for every pixel, with {call.outputs} classes: give --target "
            "seg:CLASS, the sum of the logits where the class is predicted, seg:CLASS@mask, "
            "seg:CLASS@all or seg:CLASS@x,y"
        )
    if not call.dense and task == "segmentation":
        raise InputError(
            "--task segmentation: the model answers once for each image; leave it out, or choose "
            "another of the tensors that it returns with --output"
        )
    if call.dense and task not in ("auto", "segmentation"):
        raise InputError(
            f"--task {task}: the model answers for every pixel; leave it out, or give segmentation"
        )


def check_space(folder: Path, image_bytes: int, count: int, freed: int = 0) -> None:
    """OutputError where what ``count`` images take is more than what is free at ``folder``.

    ``freed``: bytes of a store that will be replaced. The folder needn't exist yet.
    """
    if isinstance(folder, ObjectPath):  # a bucket takes what is put
        return
    parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    needed, free = image_bytes * count, shutil.disk_usage(parent).free + freed
    if needed > free:
        raise OutputError(
            f"{folder}: the maps of {count} images take about {_amount(needed)}, and "
            f"{_amount(free)} are free there: give an --output-dir on a larger disk, fewer --layer "
            "or --method, or fewer images"
        )


def _quick(maps: MapRequest) -> MapRequest:
    """The same maps with few passes each: EigenCAM's have the shape of those with many."""
    methods = ("eigencam" if method in _MANY_PASSES else method for method in maps.methods)
    settings = replace(
        maps.settings, steps=1, samples=1, masks=2, occlusion_size=_WHOLE, occlusion_stride=_WHOLE
    )
    return replace(maps, methods=tuple(dict.fromkeys(methods)), settings=settings)


def _forward(model: nn.Module, batch: Tensor) -> tuple[Any, Tensor]:
    """What the model returns for ``batch``, or for its first image where two are too many."""
    try:
        return frozen_forward(model, batch), batch
    except Exception as error:
        if len(batch) == 1 or not out_of_memory(error):
            raise _failure(error, batch) from error
    # Outside the except clause: the exception's frames hold the tensors that must go first.
    return _forward(model, batch[:1])


def _failure(error: Exception, batch: Tensor) -> InputError:
    """Whatever a model fails by, as one line."""
    if isinstance(error, InputError):
        return error
    if out_of_memory(error):
        return InputError(
            f"out of memory with a single image of shape {tuple(batch.shape[1:])}; use a smaller "
            "--image-size, or a device with more memory"
        )
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"the model fails on a batch of shape {tuple(batch.shape)}: {text}; check --image-size, "
        "the channels (--in-channels) and the checkpoint"
    )


def _image_bytes(result: BatchMaps, maps: MapRequest) -> int:
    sizes = {name: math.prod(values.shape[1:]) for name, values in result.maps.items()}
    numbers = sum(sizes.values())
    slow = [method for method in _MANY_PASSES if method in maps.methods]
    if slow:
        of_layers = sum(size for name, size in sizes.items() if name.startswith("eigencam/"))
        # EigenCAM's stand for it where only one of the two is wanted.
        repeats = len(slow) * max(1, len(maps.classes)) - ("eigencam" not in maps.methods)
        numbers += of_layers * repeats
    numbers += sum(math.prod(gate.shape[1:]) for gate in result.gates.values())
    numbers += 0 if result.labels is None else math.prod(result.labels.shape[1:])
    numbers += 2 * result.output.shape[1]
    return _FLOAT * numbers


def _map_images(result: BatchMaps, maps: MapRequest, packed: PackedInputs | None) -> dict[str, Any]:
    if packed is None or len(packed.images) < 2:
        return {}
    images: dict[str, Any] = {}
    for name in result.maps:
        layers = result.layer_names.get(name)
        if layers:
            images[name] = [list(packed.images_of(layer)) for layer in layers]
        else:
            images[name] = list(packed.images_of(name.partition("/")[2]))
    of_layers = [name for name in images if name.startswith("eigencam/")]
    for method in _MANY_PASSES:
        images |= {name.replace("eigencam", method, 1): images[name] for name in of_layers}
    return {name: over for name, over in images.items() if name.split("/")[0] in maps.methods}


def _amount(count: int) -> str:
    number, unit = float(count), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.3g} {_UNITS[unit]}"

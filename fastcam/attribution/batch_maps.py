"""What every attribution engine takes and gives for a batch, and the logits in a model's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol

from torch import Tensor

from fastcam.attribution.detection import DetectionTargets, best_scores, detections_in
from fastcam.attribution.outputs import find_answer
from fastcam.attribution.segmentation import SegmentationTargets, segment
from fastcam.errors import InputError
from fastcam.store.map_fields import MapField

# Which outputs a map explains, as :func:`fastcam.attribution.targets.target_scores` takes them.
Targets = (
    None
    | int
    | Sequence[int]
    | Sequence[Sequence[int]]
    | Tensor
    | Callable[[Any], Tensor]
    | SegmentationTargets
    | DetectionTargets
)


@dataclass(frozen=True, eq=False)
class BatchMaps:
    """Maps of a batch of ``b`` images, on the model's device.

    - ``maps``: name to float32 (b, h, w) for one map an image, (b, targets, h, w) for several
      targets, (b, layers, heads, h, w) for attention; volumes have (d, h, w) in place of (h, w)
    - ``output`` (b, k) float32, the model's raw answer: logits, or the values of a regression
    - ``targets`` (b, t) int64, which outputs the maps explain; None where maps have no target
    - ``measures`` (b, m) float32, numbers that an engine takes beside its maps; None if it doesn't
    - ``measure_names``: m names of these, "METHOD: WHAT" of a method's maps, in the order of its
      targets; none where whoever made the engine knows them
    - ``labels`` (b, *s) int64, of a segmentation the class that is predicted of every pixel
    - ``pixels`` (b, t) int64, of a segmentation over how many pixels each target is summed
    - ``boxes`` (b, t, 6) float32, of a detector the boxes that are explained: x1, y1, x2, y2 in
      pixels of the model's input, label, score; all 0 and the label -1 where there is no such box
    - ``gates``: dotted path to (b, c) float32, 0 to 1, of each channel gate that maps are made of
    - ``layer_names``: by map with an axis of layers, the dotted paths of the modules along it
    - ``notes``: by map, what figures must say of it; maps of which nothing has to be said are not
      in it
    - ``fields``: by map, where its cells lie in the batch's images; maps whose cells share the
      images out between them are not in it
    """

    maps: dict[str, Tensor]
    output: Tensor
    _: KW_ONLY
    targets: Tensor | None = None
    measures: Tensor | None = None
    measure_names: tuple[str, ...] = ()
    labels: Tensor | None = None
    pixels: Tensor | None = None
    boxes: Tensor | None = None
    gates: dict[str, Tensor] = field(default_factory=dict)
    layer_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    fields: dict[str, MapField] = field(default_factory=dict)


class Engine(Protocol):
    """The contract of every engine: a batch of images in, its maps out.

    ``batch`` (b, c, h, w), or volumes (b, c, d, h, w), float, preprocessed, on the model's device.
    ``targets`` replaces, for this batch, the outputs that the engine was made to explain; maps that
    explain no output (attention) are the same with any. The model is left as it was: its mode, its
    ``requires_grad``, its hooks. Raises InputError for what the model or the batch can't give.
    """

    def __call__(self, batch: Tensor, targets: Targets = None, /) -> BatchMaps: ...


def logits_of(output: Any, count: int | None = None) -> Tensor:
    """The answer (b, k) in whatever a model returned: a tensor, tuple, mapping or dataclass.

    ``count`` is the number of images, by which tensors of another length are told apart. (b,)
    becomes (b, 1). Raises InputError where there is no such tensor in it, or several that could be:
    see :func:`fastcam.attribution.outputs.find_answer`.
    """
    logits = find_answer(output, count=count).tensor
    if logits.ndim == 1:
        logits = logits[:, None]
    if logits.ndim != 2:
        raise InputError(
            f"the model returns a tensor of shape {tuple(logits.shape)}, not (images, outputs); of "
            "a segmentation give --target seg:CLASS, of all else a callable target that reduces it "
            "to one number an image"
        )
    return logits


def pixel_logits(output: Any, count: int | None = None) -> Tensor | None:
    """The answer for every pixel, (b, c, *s), in whatever a model returned; None where it answers
    once for each image, or with boxes, or where several tensors could be it."""
    if detections_in(output, count) is not None:
        return None
    try:
        tensor = find_answer(output, count=count, dense=True).tensor
    except InputError:
        return None
    fits = tensor.ndim in (4, 5) and tensor.is_floating_point()
    return tensor if fits and (count is None or len(tensor) == count) else None


def answers_of(output: Any, count: int | None = None) -> Tensor:
    """:func:`logits_of`, or of a segmentation the share of the pixels (b, c) that are predicted as
    each class, or of a detector the score (b, 1) of the best box."""
    detections = detections_in(output, count)
    if detections is not None:
        return best_scores(detections)
    dense = pixel_logits(output, count)
    return logits_of(output, count) if dense is None else segment(dense, None).shares


def check_batch(batch: Tensor) -> None:
    """InputError unless ``batch`` is (b, c, h, w) or (b, c, d, h, w) float, with images in it."""
    if not isinstance(batch, Tensor) or batch.ndim not in (4, 5) or not batch.is_floating_point():
        description = (
            f"{tuple(batch.shape)} of {batch.dtype}"
            if isinstance(batch, Tensor)
            else type(batch).__name__
        )
        raise InputError(
            f"a batch of {description}: must be a float tensor (images, channels, height, width) "
            "or (volumes, channels, depth, height, width)"
        )
    if 0 in batch.shape:
        raise InputError(f"a batch of shape {tuple(batch.shape)} holds no images")

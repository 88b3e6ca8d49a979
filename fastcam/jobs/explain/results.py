"""What the methods give for a few images: the maps, what each is, and what was predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastcam.attribution.box_target import BoxTarget
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.errors import InputError
from fastcam.figures.box_outlines import box_text
from fastcam.figures.class_texts import area_text
from fastcam.figures.picture_display import PictureDisplay
from fastcam.figures.slice_facts import SliceFacts
from fastcam.read.volumes.orientation import Orientation
from fastcam.store.map_fields import MapField

Head = int | Literal["mean"]


@dataclass(frozen=True)
class MapFacts:
    """What one array of maps is.

    - ``method``: the method that made it
    - ``layer``: the module, where the map is of one
    - ``layers``: the modules along its layer axis, if it has one
    - ``explicit``: whether the layers were asked for
    - ``note``: what a figure says under it
    - ``signed``: whether values below 0 are evidence against
    - ``field``: where its cells lie in the model's input; None: they share it out between them
    - ``over``: of a model with several images the names of those that the map lies over, for each
      of ``layers`` or once; empty for a model of one image
    - ``measures``: what they are, and numbers (n, targets) float32 that belong to the maps
    """

    method: str
    layer: str = ""
    layers: tuple[str, ...] = ()
    explicit: bool = False
    note: str = ""
    signed: bool = False
    field: MapField | None = None
    over: tuple[tuple[str, ...], ...] = ()
    measures: tuple[tuple[str, NDArray[np.float32]], ...] = ()


@dataclass(frozen=True, eq=False)
class Patches:
    """How a model cuts its images into patches.

    - ``grid``: (rows, columns) of patches
    - ``size``: (height, width) of a patch in pixels
    - ``image``: (height, width) of the image in pixels
    - ``prefix``: how many tokens come before the patches
    """

    grid: tuple[int, int]
    size: tuple[int, int]
    image: tuple[int, int]
    prefix: int


@dataclass(frozen=True, eq=False)
class ClassReconstruction:
    """``n`` queries against the ``k`` support images of one class.

    - ``received`` (n, k, h, w) float32, raw: the mass that each place of the support receives, mean
      over the query's places
    - ``error`` (n, h, w) float32, raw: squared distance between each place of the query and its
      reconstruction
    - ``signed``: whether ``received`` may be below 0
    - ``pictures``: k arrays (h, w, 1 or 3) uint8, the support images
    - ``names``: k names of theirs, or none
    """

    received: NDArray[np.float32]
    error: NDArray[np.float32]
    signed: bool
    pictures: list[NDArray[np.uint8]] = field(repr=False)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Queries compared with the support.

    - ``classes``: the result of each class of the support
    - ``probability`` (n, classes) float32, in the order of ``classes``
    - ``trained``: whether the model was trained for it; otherwise ``probability`` only ranks
    - ``places``: of each query the (row, column) whose mass ``received`` is; None for the mean over
      all
    """

    classes: Mapping[str, ClassReconstruction]
    probability: NDArray[np.float32]
    trained: bool
    places: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ExplanationData:
    """Maps of ``n`` images and what the model predicted, without the figures.

    - ``maps``: name to float32, neither scaled nor enlarged, at the layer's resolution; of CAMs the
      evidence that ``sign`` keeps: (n, h, w); (n, targets, h, w) for
      several targets an image; (n, layers, heads, h, w) for attention of any kind; volumes have
      (d, h, w) for (h, w). With one method the names are those of the layers, with several
      METHOD/LAYER; deviations of ``tta`` are always METHOD-deviation/LAYER
    - ``prediction`` (n,) int64 classes, or (n,) float32 values of a regression
    - ``probability`` (n, classes) float32; None for a regression
    - ``output`` (n, k) float32, raw
    - ``targets`` (n, t) int64: the outputs that the maps explain; None where maps have no target
    - ``names``: of the images
    - ``images``: n pictures (h, w, 3) uint8, as the model saw them, behind the maps in figures
    - ``facts``: name of a map to what it is
    - ``gates``: module to (n, channels) float32, 0 to 1, of channel attention
    - ``reconstruction``: what comparing with support images gave, if that was asked for
    - ``classes``: of the support, where the outputs are these (``fewshot_vit`` with support
      images); otherwise empty
    - ``patches``: how the model cuts its images; None for a CNN, and for very many patches
    - ``dims``: 2 for images, 3 for volumes
    - ``labels`` (n, h, w) or (n, d, h, w) int64: of a segmentation the class that is predicted of
      every pixel of the model's output; None of all else
    - ``pixels`` (n, targets) int64: of a segmentation over how many pixels each target is summed
    - ``segments``: what these targets are
    - ``boxes`` (n, targets, 6) float32: of a detector the boxes that are explained, x1, y1, x2, y2
      in pixels of the model's input, label, score; all 0 and the label -1 where there is no such
      box; None of all else
    - ``box_targets``: which boxes these are
    - ``input_size``: (h, w) or (d, h, w) of the model's input
    - ``input_images``: of a model with several inputs by name of those that are images their n
      pictures; empty of all else
    - ``input_displays``: how figures show each of these; without an entry as they are
    - ``displays``: how each of ``images`` is turned in figures, its maps with it; empty: not at all
    - ``left_sides``: the letter of the patient's side at the left edge of each of them then, empty
      where it isn't known; no letters at all: empty
    - ``slice_facts``: what else is known of each of them as a slice; nothing: empty
    - ``random_weights``: whether the model's weights are those that it was made with
    """

    maps: dict[str, NDArray[np.float32]]
    prediction: NDArray[Any]
    probability: NDArray[np.float32] | None
    output: NDArray[np.float32]
    targets: NDArray[np.int64] | None
    names: tuple[str, ...]
    images: list[NDArray[np.uint8]] = field(repr=False)
    facts: dict[str, MapFacts] = field(default_factory=dict, repr=False)
    gates: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    reconstruction: Reconstruction | None = None
    classes: tuple[str, ...] = ()
    patches: Patches | None = None
    dims: int = 2
    labels: NDArray[np.int64] | None = None
    pixels: NDArray[np.int64] | None = None
    segments: tuple[SegmentTarget, ...] = ()
    boxes: NDArray[np.float32] | None = None
    box_targets: tuple[BoxTarget, ...] = ()
    input_size: tuple[int, ...] = ()
    input_images: Mapping[str, list[NDArray[np.uint8]]] = field(default_factory=dict, repr=False)
    input_displays: Mapping[str, tuple[PictureDisplay, ...]] = field(
        default_factory=dict, repr=False
    )
    displays: tuple[Orientation, ...] = ()
    left_sides: tuple[str, ...] = ()
    slice_facts: tuple[SliceFacts, ...] = ()
    random_weights: bool = False

    def __repr__(self) -> str:
        maps = ", ".join(f"{name} {values.shape}" for name, values in self.maps.items())
        return f"<{type(self).__name__} of {len(self)} images: {maps}>"

    def __len__(self) -> int:
        return len(self.output)

    def turned(self, index: int, picture: NDArray[Any]) -> NDArray[Any]:
        """The picture (h, w[, c]) or a map (h, w) of an image as figures show it."""
        if not self.displays:
            return picture
        return np.ascontiguousarray(self.displays[index].apply(picture))

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that gave something, in order."""
        methods = [fact.method for fact in self.facts.values()]
        return tuple(
            dict.fromkeys(methods + ["reconstruction"] * (self.reconstruction is not None))
        )

    def prediction_text(self, index: int, class_text: Callable[[int], str] = str) -> str:
        """What the model predicts for one image, in words; ``class_text`` gives that of a class."""
        parts = []
        if self.facts and not (self.classes and self.reconstruction is not None):
            if self.boxes is not None:
                parts.append("; ".join(box_text(box, class_text) for box in self.boxes[index]))
            elif self.labels is not None:
                parts.append(area_text(self.output[index].tolist(), class_text))
            elif self.probability is None:
                parts.append(f"output {float(self.output[index, 0]):.4g}")
            else:
                predicted = int(self.prediction[index])
                of_classes = self.probability[index].tolist()
                # Of one output between two classes it is that of the second.
                one = len(of_classes) == 1
                share = max(of_classes[0], 1 - of_classes[0]) if one else of_classes[predicted]
                parts.append(f"predicted {class_text(predicted)}  ·  confidence {share:.4f}")
        if self.reconstruction is not None:
            shares = self.reconstruction.probability[index]
            nearest = f"nearest class {list(self.reconstruction.classes)[int(shares.argmax())]}"
            confidence = f"  ·  confidence {float(shares.max()):.4f}"
            parts.append(nearest + confidence if self.reconstruction.trained else nearest)
        return "  ·  ".join(parts)


def check_index(index: int, names: Sequence[str]) -> int:
    """``index`` counted from 0. InputError where there is no such image."""
    if not -len(names) <= index < len(names):
        raise InputError(f"figure {index}: there are {len(names)} images, counted from 0")
    return index % len(names)

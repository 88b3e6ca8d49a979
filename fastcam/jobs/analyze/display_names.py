"""What images, layers and classes are called in file names and in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastcam.errors import InputError
from fastcam.options import PictureFormat
from fastcam.run import file_names
from fastcam.store.map_schema import MapHeader

HEATMAPS, OVERLAYS, FEATURES = "gradcam_heatmaps", "overlay_images", "feature_maps"
LAYERS, CLASSES, MODELS = "layer_comparison", "class_comparison", "model_comparison"
FOLDERS = (HEATMAPS, OVERLAYS, FEATURES, LAYERS, CLASSES, MODELS)
# In place of a class's name.
NO_BOX_NAME = "no such box"
# Together with the endings less than the 255 bytes that file systems allow.
_LONGEST = {"image": 110, "layer": 60, "class": 50}


@dataclass(frozen=True)
class Naming:
    """What images and their layers are called in file names, no two alike.

    Attributes:
        images: each image.
        stems: of each image each layer, with the output that its map explains.
        format: the format of the figures, in which their names end.
    """

    images: tuple[str, ...]
    stems: tuple[tuple[str, ...], ...]
    format: PictureFormat = "png"

    def heatmap(self, image: int, layer: int) -> str:
        """``gradcam_heatmaps/<image>_<layer>_<class>_heatmap.png``."""
        return f"{HEATMAPS}/{self.stems[image][layer]}_heatmap.{self.format}"

    def overlay(self, image: int, layer: int) -> str:
        """``overlay_images/<image>_<layer>_<class>_overlay.png``."""
        return f"{OVERLAYS}/{self.stems[image][layer]}_overlay.{self.format}"

    def layer_figure(self, image: int) -> str:
        """``layer_comparison/<image>_layers.png``."""
        return f"{LAYERS}/{self.images[image]}_layers.{self.format}"

    def model_figure(self, image: int) -> str:
        """``model_comparison/<image>_models.png``."""
        return f"{MODELS}/{self.images[image]}_models.{self.format}"


def naming_of(
    headers: Sequence[MapHeader],
    layers: Sequence[str],
    classes: tuple[str, ...],
    kind: PictureFormat = "png",
) -> Naming:
    """Names for a run's images, by their ids, and for their layers."""
    images = _distinct([_cut(header.id, "image") for header in headers])
    stems = _distinct(
        [
            f"{image}_{_cut(layer, 'layer')}_{_explained_part(header, classes)}"
            for image, header in zip(images, headers, strict=True)
            for layer in layers
        ]
    )
    count = len(layers)
    starts = range(0, len(stems), count)
    return Naming(images, tuple(stems[start : start + count] for start in starts), kind)


def _explained_part(header: MapHeader, classes: Sequence[str]) -> str:
    name = "no-box" if is_without_box(header) else explained_output(header, classes)
    return _cut(name, "class")


def output_name(classes: Sequence[str], index: int | None) -> str:
    """The name of an output; of a regression, ``value``."""
    if index is None:
        return "value"
    return classes[index] if index < len(classes) else str(index)


def predicted_class(header: MapHeader) -> int | None:
    """The class that is predicted of an image, of a detector that of the box that is explained;
    None of a regression, and where there is no such box."""
    if len(header.boxes):
        return None if is_without_box(header) else int(header.boxes[0, 4])
    return header.prediction


def is_without_box(header: MapHeader) -> bool:
    """Whether a detector has not found the box that is explained: no map says anything."""
    return len(header.boxes) > 0 and header.boxes[0, 4] < 0


def explained_output(header: MapHeader, classes: Sequence[str]) -> str:
    """The name of the output that an image's maps explain, of a detector of the box's class; of a
    regression, ``value``."""
    if is_without_box(header):
        return NO_BOX_NAME
    if len(header.boxes):
        return output_name(classes, predicted_class(header))
    if header.prediction is None and len(header.output) <= 1:
        return output_name(classes, None)
    target = int(header.targets[0]) if len(header.targets) else header.prediction
    return output_name(classes, target)


def class_folder(header: MapHeader) -> str:
    """The class that an image's folder names: the first folder below the one that was given."""
    return header.group.partition("/")[0]


def class_names(
    headers: Sequence[MapHeader], outputs: int, names: Sequence[str]
) -> tuple[str, ...]:
    """The names of a model's ``outputs``.

    They are ``names``, or else the class folders in alphabetical order, as torchvision's
    ImageFolder counts them, where there are as many. Of a detector, whose classes nobody can count,
    they are ``names``. InputError where ``names`` are too few or too many.
    """
    if any(len(header.boxes) for header in headers):
        return tuple(names)
    if names:
        if len(names) != outputs:
            raise InputError(
                f"--class-names names {len(names)} classes, but the model has {outputs} outputs"
            )
        return tuple(names)
    folders = sorted({class_folder(header) for header in headers} - {""})
    return tuple(folders) if len(folders) == outputs > 1 else ()


def _cut(text: str, kind: str) -> str:
    safe = file_names.safe(text)
    while len(safe.encode()) > _LONGEST[kind]:
        safe = safe[:-1]
    return safe


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    """With ``-2``, ``-3`` ... behind what came before, also where only the case differs: some file
    systems don't tell it apart."""
    used: set[str] = set()
    names = []
    for text in texts:
        name, count = text, 1
        while name.casefold() in used:
            count += 1
            name = f"{text}-{count}"
        used.add(name.casefold())
        names.append(name)
    return tuple(names)

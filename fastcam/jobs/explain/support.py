"""Support images of a few-shot comparison, as a batch for every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastcam.errors import InputError
from fastcam.inference.images import ImageBatch, load_images
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.preprocessing import Preprocessing
from fastcam.storage.object_path import ObjectPath

CLASS = "support"


def support_of(support: Any, preprocessing: Preprocessing) -> dict[str, ImageBatch]:
    """``support``, a mapping of classes to images, or images alone, by class.

    Images are what ``fastcam.explain`` takes, and folders. Files without a class that lie in
    several folders are of the class that their folder is called; all else is one class. InputError
    where a class has no image, or one can't be read.
    """
    if support is None:
        return {}
    by_class = support if isinstance(support, Mapping) else {CLASS: support}
    if not by_class:
        raise InputError("support: there is no class in it; give images, or classes with images")
    batches: dict[str, ImageBatch] = {}
    for name, images in by_class.items():
        for inner, part in _classes(str(name), images).items():
            if inner in batches:
                raise InputError(f"support: class {inner!r} is given twice, by name and by folder")
            batches[inner] = load_images(part, preprocessing)
    return batches


def _classes(name: str, images: Any) -> dict[str, Any]:
    """The images of one class by class, and by folder where they have no class of their own."""
    paths = [images] if isinstance(images, str | Path | ObjectPath) else images
    is_list = isinstance(paths, Sequence) and len(paths) > 0
    if not is_list or not all(isinstance(path, str | Path | ObjectPath) for path in paths):
        return {name: images}
    items = find_inputs(paths)
    if name != CLASS:
        return {name: [item.source for item in items]}
    by_folder: dict[str, list[Path]] = {}
    for item in items:
        by_folder.setdefault(_class_of(item), []).append(item.source)
    return by_folder if len(by_folder) > 1 else {name: [item.source for item in items]}


def _class_of(item: Item) -> str:
    return item.label or item.source.absolute().parent.name

"""The rows of a figure: which maps of one image lie on which picture, and what they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures.box_outlines import with_boxes
from fastcam.figures.class_texts import pixel_count
from fastcam.figures.contours import outlined
from fastcam.figures.picture_display import AS_STORED
from fastcam.figures.slice_facts import NO_FACTS, SliceFacts
from fastcam.jobs.explain.results import ExplanationData, Head, MapFacts
from fastcam.options import calls_of_last
from fastcam.store.map_fields import over_input

RECONSTRUCTION = "reconstruction"
# Their values are shares of attention, or of what is reconstructed: alike in all layers. A CAM or a
# gated activation has another unit in each: Grad-CAM of layer4 can be 14 times that of layer2.
ALIKE = ("attention", "pooling", "rollout", "window", "overlap", RECONSTRUCTION)
# A gate is one number a channel: its map has no heads to choose from.
_HEADLESS = ("channel",)


@dataclass(frozen=True, eq=False)
class RowMap:
    """One map of a row.

    - ``caption``: what it is called
    - ``values`` (h, w) float32, raw
    - ``unit``: maps of the same unit are compared with each other: those in the same unit of
      measure, and those of several models at the same place
    - ``signed``: whether values below 0 are evidence against
    - ``note``: what a figure says about it
    """

    caption: str
    values: NDArray[np.float32]
    unit: tuple[Any, ...]
    signed: bool = False
    note: str = ""


@dataclass(frozen=True, eq=False)
class Group:
    """Maps over one picture.

    - ``picture`` (h, w, 1 or 3) uint8
    - ``name``: what the picture is called
    - ``maps``: what lies on it
    - ``mark``: the (row, column) of the maps that is outlined; None for nothing
    - ``left_side``: the letter of the patient's side at the left edge, where it is known
    - ``facts``: what else is known of a slice
    """

    picture: NDArray[np.uint8]
    name: str
    maps: tuple[RowMap, ...]
    mark: tuple[int, int] | None = None
    left_side: str = ""
    facts: SliceFacts = NO_FACTS


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a figure: the ``groups`` of one ``method``."""

    method: str
    groups: tuple[Group, ...]

    @property
    def maps(self) -> Iterator[RowMap]:
        """The maps of all groups."""
        return (row_map for group in self.groups for row_map in group.maps)


def rows_of(
    results: Sequence[ExplanationData],
    labels: Sequence[str],
    index: int,
    head: Head,
    class_text: Callable[[int], str] = "class {}".format,
) -> list[Row]:
    """The rows of image ``index``: those of several models beside each other, in the order of the
    methods. ``class_text`` gives the text of the class that a map explains.

    InputError where a map is not finite, has no such head, or there is none at all.
    """
    rows: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for result, label in zip(results, labels, strict=True):
        count: defaultdict[str, int] = defaultdict(int)
        for row in _rows(result, index, head, class_text):
            number = count[row.method]
            count[row.method] += 1
            rows[row.method, number].append(_with_label(row, label))
    if not rows:
        raise InputError("a figure needs at least one map")
    methods = list(dict.fromkeys(method for method, _ in rows))
    ordered = sorted(rows, key=lambda key: (methods.index(key[0]), key[1]))
    return [_merged(rows[key]) for key in ordered]


def _rows(
    result: ExplanationData, index: int, head: Head, class_text: Callable[[int], str]
) -> Iterator[Row]:
    cls = any(fact.method == "attention" and not fact.note for fact in result.facts.values())
    layers: defaultdict[str, int] = defaultdict(int)
    for name, fact in result.facts.items():
        if cls and fact.method == "attention" and fact.note and not fact.explicit:
            # Windows beside a CLS token have a method of their own.
            continue
        of_image = result.maps[name][index]
        for layer, label, values in _maps(result, fact, of_image, index, head, class_text):
            caption = " · ".join(filter(None, [fact.method, label]))
            # What CLS attends to is no share of what a window's places receive, which has a note.
            group = fact.note if fact.method in ALIKE else layers[fact.method] + layer
            row_map = RowMap(
                caption=caption,
                values=_turned(result, index, over_input(_finite(values, caption), fact.field)),
                unit=(fact.method, group),
                signed=fact.signed,
                note=fact.note,
            )
            yield Row(fact.method, _groups(result, fact, layer, index, row_map))
        layers[fact.method] += max(1, len(fact.layers))
    yield from _reconstruction_rows(result, index)


def _groups(
    result: ExplanationData, fact: MapFacts, layer: int, index: int, row_map: RowMap
) -> tuple[Group, ...]:
    """The map over the image, or over each image of a model with several that it was made of."""
    if not fact.over:
        picture = result.turned(index, _outlined(result, index))
        letter = result.left_sides[index] if result.left_sides else ""
        facts = result.slice_facts[index] if result.slice_facts else NO_FACTS
        return (Group(picture, "image", (row_map,), left_side=letter, facts=facts),)
    names = fact.over[layer if len(fact.over) > 1 else 0]
    return tuple(_input_group(result, name, index, row_map) for name in names)


def _input_group(result: ExplanationData, name: str, index: int, row_map: RowMap) -> Group:
    """The map over the image that went into the model as ``name``, both turned as that one is."""
    displays = result.input_displays.get(name)
    display = displays[index] if displays else AS_STORED
    picture = display.turned(result.input_images[name][index])
    turned = replace(row_map, values=display.turned(row_map.values))
    return Group(picture, name, (turned,), left_side=display.left_side, facts=display.facts)


def _outlined(result: ExplanationData, index: int) -> NDArray[np.uint8]:
    """The image, of a segmentation with the outlines of the classes that are explained, of a
    detector with the boxes."""
    picture = result.images[index]
    if result.boxes is not None:
        return with_boxes(picture, result.boxes[index], result.input_size)
    if result.labels is None or not result.segments:
        return picture
    labels = result.labels[index]
    plane = labels if labels.ndim == 2 else labels[len(labels) // 2]
    return outlined(picture, plane, [target.label for target in result.segments])


def _maps(
    result: ExplanationData,
    fact: MapFacts,
    values: NDArray[np.float32],
    index: int,
    head: Head,
    class_text: Callable[[int], str],
) -> Iterator[tuple[int, str, NDArray[np.float32]]]:
    """The maps (h, w) or (d, h, w) of one image, with the layer's number and what each is."""
    extra = values.ndim - result.dims
    if extra == 2:
        for layer in range(len(values)) if fact.explicit else _last_layers(values, fact):
            of_head, head_text = _head_values(values[layer], fact, head)
            name = fact.layers[layer] if layer < len(fact.layers) else f"layer {layer}"
            yield layer, " · ".join(filter(None, [name, head_text])), of_head
    elif extra == 1 and result.targets is not None:
        for number, target in enumerate(result.targets[index].tolist()):
            target_text = _segment_text(result, index, number) or class_text(target)
            texts = [fact.layer, target_text, *_measure_texts(fact, index, number)]
            yield 0, " · ".join(filter(None, texts)), values[number]
    else:
        texts = [fact.layer, _segment_text(result, index, 0), *_measure_texts(fact, index, 0)]
        yield 0, " · ".join(filter(None, texts)), values


def _segment_text(result: ExplanationData, index: int, target: int) -> str:
    """What a map of a segmentation explains, and on how many pixels, or which box of a detector;
    empty of all else."""
    if result.boxes is not None and target < len(result.box_targets):
        missing = ", no such box" * bool(result.boxes[index, target, 4] < 0)
        return f"{result.box_targets[target]}{missing}"
    if result.pixels is None or target >= len(result.segments):
        return ""
    return f"{result.segments[target]}, {pixel_count(int(result.pixels[index, target]))}"


def _measure_texts(fact: MapFacts, index: int, target: int) -> list[str]:
    """The numbers that belong to a map, in words."""
    return [f"{text} {values[index, target]:.2g}" for text, values in fact.measures]


def _last_layers(values: NDArray[np.float32], fact: MapFacts) -> list[int]:
    """The last layer, with the other calls of it where it runs more than once."""
    if len(fact.layers) != len(values):
        return [len(values) - 1]
    last = calls_of_last(fact.layers)
    return [number for number, layer in enumerate(fact.layers) if layer in last]


def _head_values(
    values: NDArray[np.float32], fact: MapFacts, head: Head
) -> tuple[NDArray[np.float32], str]:
    """Of values (heads, ...) those of a head or the mean, and which that is."""
    if fact.method in _HEADLESS:
        return values[0], ""
    if head == "mean":
        return values.mean(axis=0), "mean of heads"
    if not 0 <= head < len(values):
        raise InputError(
            f"--head {head}: {fact.method} has {len(values)} heads; use 0 to {len(values) - 1}, "
            "or mean"
        )
    return values[head], f"head {head}"


def _reconstruction_rows(result: ExplanationData, index: int) -> Iterator[Row]:
    """For each class where its support is found in the query, and what is left of the query."""
    if result.reconstruction is None:
        return
    reconstruction = result.reconstruction
    mark = None if reconstruction.places is None else reconstruction.places[index]
    source = "mass received" if mark is None else "mass from the mark"
    for column, (name, of_class) in enumerate(reconstruction.classes.items()):
        for number, picture in enumerate(of_class.pictures):
            caption = f"{name}: {source}"
            received = RowMap(
                caption=caption,
                values=_finite(of_class.received[index, number], caption),
                unit=(RECONSTRUCTION, "received"),
                signed=of_class.signed,
            )
            support = f"{name}: {of_class.names[number]}" if of_class.names else f"support {name}"
            groups = [Group(picture, support, (received,))]
            if not number:
                share = f" {reconstruction.probability[index, column]:.4f}"
                caption = f"{name}{share * reconstruction.trained}: error"
                error = RowMap(
                    caption=caption,
                    values=_finite(of_class.error[index], caption),
                    unit=(RECONSTRUCTION, "error"),
                )
                groups.append(Group(result.images[index], "query", (error,), mark))
            yield Row(RECONSTRUCTION, tuple(groups))


def _with_label(row: Row, label: str) -> Row:
    if not label:
        return row
    groups = [
        replace(group, maps=tuple(replace(m, caption=f"{label} · {m.caption}") for m in group.maps))
        for group in row.groups
    ]
    return Row(row.method, tuple(groups))


def _merged(rows: Sequence[Row]) -> Row:
    """The same row of several models as one: maps over the same picture share it."""
    merged: list[Group] = []
    for of_models in zip_longest(*(row.groups for row in rows)):
        groups = [group for group in of_models if group is not None]
        for group in groups:
            last = merged[-1] if merged else None
            if last is not None and group is not groups[0] and same_picture(last, group):
                merged[-1] = replace(last, maps=last.maps + group.maps)
            else:
                merged.append(group)
    return Row(rows[0].method, tuple(merged))


def same_picture(first: Group, second: Group) -> bool:
    """Whether the maps of both lie over one picture, marked alike."""
    alike = first.name == second.name and first.mark == second.mark
    return alike and np.array_equal(first.picture, second.picture)


def _finite(values: NDArray[np.float32], caption: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise InputError(f"{caption} holds NaN or infinity; look at the model's weights")
    return values


def _turned(
    result: ExplanationData, index: int, values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What is shown of a map, turned as the picture is."""
    turned: NDArray[np.float32] = result.turned(index, _middle_slice(values))
    return turned


def _middle_slice(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map itself, or what a volume's map has at the middle of its field."""
    if values.ndim == 2:
        return values
    depth = len(values)
    middle: NDArray[np.float32] = (values[(depth - 1) // 2] + values[depth // 2]) / np.float32(2)
    return middle

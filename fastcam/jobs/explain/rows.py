"""The rows of a figure: which maps of one image lie on which picture, and what they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError

if TYPE_CHECKING:
    from fastcam.jobs.explain.results import ExplanationData, Head, MapFacts

RECONSTRUCTION = "reconstruction"
# Their values are shares of attention, or of what is reconstructed: alike in all layers. A CAM or a
# gated activation has another unit in each: Grad-CAM of layer4 can be 14 times that of layer2.
ALIKE = ("attention", "pooling", "rollout", "window", "overlap", RECONSTRUCTION)
# A gate is one number a channel: its map has no heads to choose from.
_HEADLESS = ("channel",)


@dataclass(frozen=True, eq=False)
class Shown:
    """One map: ``cells`` (h, w) float32, raw. Maps with the same ``unit`` are compared with each
    other: those in the same unit of measure, and those of several models at the same place.
    ``note``: what a figure says about it."""

    caption: str
    cells: NDArray[np.float32]
    unit: tuple[Any, ...]
    signed: bool = False
    note: str = ""


@dataclass(frozen=True, eq=False)
class Group:
    """Maps over one picture (h, w, 1 or 3) uint8, called ``name``. ``mark``: the (row, column) of
    their cells that is outlined."""

    picture: NDArray[np.uint8]
    name: str
    maps: tuple[Shown, ...]
    mark: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a figure."""

    method: str
    groups: tuple[Group, ...]


def rows_of(
    results: Sequence[ExplanationData], labels: Sequence[str], index: int, head: Head
) -> list[Row]:
    """The rows of image ``index``: those of several models beside each other, in the order of the
    methods. InputError where a map is not finite, has no such head, or there is none at all."""
    found: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for result, label in zip(results, labels, strict=True):
        count: defaultdict[str, int] = defaultdict(int)
        for row in _rows(result, index, head):
            place = count[row.method]
            count[row.method] += 1
            found[row.method, place].append(_labelled(row, label))
    if not found:
        raise InputError("a figure needs at least one map")
    order = list(dict.fromkeys(method for method, _ in found))
    ordered = sorted(found, key=lambda key: (order.index(key[0]), key[1]))
    return [_beside(found[key]) for key in ordered]


def _rows(result: ExplanationData, index: int, head: Head) -> Iterator[Row]:
    cls = any(fact.method == "attention" and not fact.note for fact in result.facts.values())
    layers: defaultdict[str, int] = defaultdict(int)
    for name, fact in result.facts.items():
        if cls and fact.method == "attention" and fact.note and not fact.chosen:
            # Windows beside a CLS token have a method of their own.
            continue
        for layer, what, cells in _maps(result, fact, result.maps[name][index], index, head):
            caption = " · ".join(filter(None, [fact.method, what]))
            # What CLS attends to is no share of what a window's places receive, which has a note.
            where = (fact.note,) if fact.method in ALIKE else (layers[fact.method] + layer,)
            shown = Shown(
                caption, _middle(_finite(cells, caption)), (fact.method, *where), fact.signed,
                fact.note,
            )  # fmt: skip
            yield Row(fact.method, (Group(result.images[index], "image", (shown,)),))
        layers[fact.method] += max(1, len(fact.layers))
    yield from _compared(result, index)


def _maps(
    result: ExplanationData, fact: MapFacts, values: NDArray[np.float32], index: int, head: Head
) -> Iterator[tuple[int, str, NDArray[np.float32]]]:
    """The maps (h, w) or (d, h, w) of one image, with the layer's place and what each is."""
    extra = values.ndim - result.dims
    if extra == 2:
        layers = range(len(values)) if fact.chosen else [len(values) - 1]
        for layer in layers:
            heads, said = _heads(values[layer], fact, head)
            named = fact.layers[layer] if layer < len(fact.layers) else f"layer {layer}"
            yield layer, " · ".join(filter(None, [named, said])), heads
    elif extra == 1 and result.targets is not None:
        for place, target in enumerate(result.targets[index].tolist()):
            yield 0, " · ".join(filter(None, [fact.layer, f"class {target}"])), values[place]
    else:
        yield 0, fact.layer, values


def _heads(
    values: NDArray[np.float32], fact: MapFacts, head: Head
) -> tuple[NDArray[np.float32], str]:
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


def _compared(result: ExplanationData, index: int) -> Iterator[Row]:
    """For each class where its support is found in the query, and what is left of the query."""
    if result.reconstruction is None:
        return
    compared = result.reconstruction
    mark = None if compared.places is None else compared.places[index]
    what = "mass received" if mark is None else "mass from the mark"
    for at, (name, found) in enumerate(compared.classes.items()):
        for place, picture in enumerate(found.pictures):
            caption = f"{name}: {what}"
            received = Shown(
                caption, _finite(found.received[index, place], caption),
                (RECONSTRUCTION, "received"), found.signed,
            )  # fmt: skip
            named = f"support {name}" if not found.names else f"{name}: {found.names[place]}"
            groups = [Group(picture, named, (received,))]
            if not place:
                caption = f"{name}: error"
                error = Shown(
                    caption, _finite(found.error[index], caption), (RECONSTRUCTION, "error")
                )
                share = f" · {name} {compared.probability[index, at]:.4f}"
                asking = "query" + share * compared.trained
                groups.append(Group(result.images[index], asking, (error,), mark))
            yield Row(RECONSTRUCTION, tuple(groups))


def _labelled(row: Row, label: str) -> Row:
    if not label:
        return row
    groups = [
        replace(group, maps=tuple(replace(m, caption=f"{label} · {m.caption}") for m in group.maps))
        for group in row.groups
    ]
    return Row(row.method, tuple(groups))


def _beside(rows: Sequence[Row]) -> Row:
    """The same row of several models as one: maps over the same picture share it."""
    merged: list[Group] = []
    for several in zip_longest(*(row.groups for row in rows)):
        there = [group for group in several if group is not None]
        for group in there:
            last = merged[-1] if merged else None
            if last is not None and group is not there[0] and _same(last, group):
                merged[-1] = replace(last, maps=last.maps + group.maps)
            else:
                merged.append(group)
    return Row(rows[0].method, tuple(merged))


def _same(one: Group, other: Group) -> bool:
    return one.name == other.name and np.array_equal(one.picture, other.picture)


def _finite(cells: NDArray[np.float32], caption: str) -> NDArray[np.float32]:
    if not np.isfinite(cells).all():
        raise InputError(f"{caption} holds NaN or infinity; look at the model's weights")
    return cells


def _middle(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map itself, or what a volume's map has at the middle of its field."""
    if values.ndim == 2:
        return values
    depth = len(values)
    middle: NDArray[np.float32] = (values[(depth - 1) // 2] + values[depth // 2]) / np.float32(2)
    return middle

"""TODO."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.options import MapChoice
from fastcam.read.inputs.halves import in_halves, pasted
from fastcam.store.map_schema import MapHeader
from fastcam.store.maps import MapStore

# Attention is never negative, whatever sign was asked of the other methods.
_UNSIGNED = ("attention", "rollout", "window", "channel", "overlap")


@dataclass(frozen=True)
class MapRow:
    """One map of each image: a row of its figure.

    ``array`` is the map's name in the store; ``layer`` and ``head`` pick from an attention map
    (``head`` None is the mean of the heads), ``target`` from maps of several targets. ``caption``
    says all that to people, ``note`` what else must be said of the map. ``signed``: it has evidence
    for and against.
    """

    array: str
    caption: str
    layer: int | None = None
    head: int | None = None
    target: int | None = None
    signed: bool = False
    note: str = ""

    def read(self, store: MapStore, index: int) -> NDArray[np.float32]:
        """The map (h, w) or (d, h, w) float32 of an image, raw; CaseError where there is none.

        Of a model that saw the image's halves it is on both, (h, w) of the whole image.
        """
        found = store.map(self.array, index)
        if self.layer is not None:
            heads = found[self.layer]
            found = heads.mean(axis=0) if self.head is None else heads[self.head]
        if self.target is not None:
            found = found[self.target]
        halves = in_halves(store.attrs.preprocessing, self.array)
        if halves != "no":
            _, height, width = store.headers[index].shape
            found = pasted(found, height, width, halves)
        return found


def choose_rows(store: MapStore, choice: MapChoice) -> tuple[MapRow, ...]:
    """The rows of a figure, in the store's order; InputError where there is no map of a name."""
    if not store.map_names:
        raise InputError(
            f"{store.path}: holds no maps yet: no batch is finished; run fastcam infer again"
        )
    methods = list(dict.fromkeys(method_of(name) for name in store.map_names))
    for wanted in choice.methods:
        _known("method", wanted, methods)
    arrays = [
        name for name in store.map_names if not choice.methods or method_of(name) in choice.methods
    ]
    layers = [layer for name in arrays for layer in _layers(store, name)]
    for wanted in choice.layers:
        _known("layer", wanted, layers)
    return tuple(row for name in arrays for row in _rows(store, name, choice))


def method_of(name: str) -> str:
    """The method of a map: ``gradcam`` of ``gradcam/layer4``."""
    return name.partition("/")[0]


def _layers(store: MapStore, name: str) -> Sequence[str]:
    own = name.partition("/")[2]
    return store.layer_names(name) or ((own,) if own else ())


def _rows(store: MapStore, name: str, choice: MapChoice) -> Iterable[MapRow]:
    layers = _layers(store, name)
    wanted = [layer for layer in layers if not choice.layers or layer in choice.layers]
    if layers and not wanted:
        return
    if choice.layers and not layers and method_of(name) not in choice.methods:
        return  # a map of the whole model, and only layers were asked for
    both = store.attrs.settings.get("sign") == "both"
    signed = both and method_of(name) not in _UNSIGNED
    axes = store.axes(name)
    if "layer" in axes:
        for layer in wanted if choice.layers else wanted[-1:]:
            head = _head(store, name, choice.head)
            said = "mean of heads" if head is None else f"head {head}"
            of = [] if store.shape(name)[1] == 1 else [said]
            caption = " · ".join([method_of(name), layer, *of])
            yield MapRow(name, caption, layers.index(layer), head, note=store.note(name))
        return
    caption = " · ".join([method_of(name), *layers])
    targets = _shape(store, name)[0] if "target" in axes else 0
    for target in range(targets):
        yield MapRow(name, caption, target=target, signed=signed)
    if not targets:
        yield MapRow(name, caption, signed=signed)


def _head(store: MapStore, name: str, head: int | Literal["mean"]) -> int | None:
    if head == "mean":
        return None
    count = _shape(store, name)[1]
    if head >= count:
        raise InputError(
            f"--head {head} is too large: {name} has heads 0 to {count - 1}; or give mean"
        )
    return head


def _shape(store: MapStore, name: str) -> tuple[int, ...]:
    done = next(i for i, header in enumerate(store.headers) if header.status == "done")
    return store.map(name, done).shape


def _known(option: str, wanted: str, known: Sequence[str]) -> None:
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4) or known[:5]
        hint = f"did you mean {', '.join(near)}?" if near else "its maps belong to no layer"
        raise InputError(f"--{option} {wanted!r} is not in the store; {hint}")


@dataclass(frozen=True)
class MapCase:
    """An image or volume as far as choosing, naming and judging it goes.

    ``right`` is None where there is no label, or none that can be compared with the prediction.
    """

    header: MapHeader

    @property
    def place(self) -> int:
        """1-based, in the run."""
        return self.header.place

    @property
    def name(self) -> str:
        """The image's id."""
        return self.header.id

    @property
    def right(self) -> bool | None:
        """Whether the prediction is the label."""
        label, prediction = self.header.label.strip(), self.header.prediction
        if prediction is None or not label.isdecimal():
            return None
        return int(label) == prediction

    @property
    def correct(self) -> bool:
        """Whether ``--only-errors`` leaves it out: also where nobody knows."""
        return self.right is not False


def check_done(header: MapHeader) -> None:
    """CaseError that says why an image has no maps, if it has none."""
    if header.status == "failed":
        raise CaseError(f"has no maps: {header.reason}")
    if header.status != "done":
        raise CaseError("has no maps yet; run fastcam infer again to finish the store")


def depth_of(header: MapHeader) -> int:
    """Slices of a volume, as the store noted them."""
    if header.shape[0] < 1:
        raise CaseError(f"{header.source}: the store doesn't say how many slices it has")
    return header.shape[0]

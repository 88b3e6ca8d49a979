"""Planning the figures of a store of maps: which maps, which images, which slices. No pixels."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from fastcam_kernels.resize import slice_of
from numpy.typing import NDArray

from fastcam import names
from fastcam.drawplan import DrawPlan
from fastcam.errors import CaseError, InputError
from fastcam.mapschema import MapHeader
from fastcam.mapstore import MapStore
from fastcam.plan import Portion
from fastcam.read.halves import in_halves, pasted
from fastcam.read.sources import SourceIndex
from fastcam.spec import MapChoice, Selection, Style
from fastcam.workitem import Trouble

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


@dataclass(frozen=True, eq=False)
class VolumeHeat:
    """Where along a volume of ``depth`` slices a map has its heat.

    ``values`` (d, h, w) float32, raw, covers the volume's field.
    """

    case: MapCase
    values: NDArray[np.float32]
    depth: int
    signed: bool

    @property
    def place(self) -> int:
        """1-based, in the run."""
        return self.case.place

    @property
    def name(self) -> str:
        """The volume's id."""
        return self.case.name

    @cached_property
    def slice_averages(self) -> dict[int, float]:
        """Slice of the volume -> mean heat on it."""
        means = self.values.mean(axis=(1, 2), dtype=np.float64)
        return {z: float(slice_of(means, z, self.depth)) for z in range(self.depth)}

    @cached_property
    def best_slice(self) -> int:
        """The slice that holds the highest heat (the largest magnitude where signed); ties: the
        lowest index."""
        values = np.abs(self.values) if self.signed else self.values
        return int(np.argmax([slice_of(values, z, self.depth).max() for z in range(self.depth)]))


def locate_maps(store: MapStore, chosen: Iterable[int], masks: SourceIndex | None) -> list[Portion]:
    """The files of each chosen image and its mask; ``masks`` replace those the store knows."""
    located = []
    for index in chosen:
        header = store.headers[index]
        mask, missing = header.mask_source, ""
        if masks is not None:
            try:
                mask = masks.find(header.id)
            except CaseError as error:
                mask, missing = None, str(error)
        path = None if mask is None else str(mask)
        located.append(Portion(index, (), False, str(header.source), "", path, missing))
    return located


def plan_maps(
    store: MapStore,
    located: Sequence[Portion],
    rows: Sequence[MapRow],
    selection: Selection,
    style: Style,
    finished: Container[str],
) -> DrawPlan:
    """The figures that are not among the ``finished`` paths, image by image."""
    drawing = DrawPlan()
    volumes = store.attrs.dims == 3
    for portion in located:
        case = MapCase(store.headers[portion.case])
        try:
            paths, summary = _paths(store, portion.case, case, rows[0], selection, style, volumes)
        except CaseError as error:
            drawing.planned += 1
            drawing.troubles.append(Trouble("error", case.place, case.name, None, 1, str(error)))
            continue
        left = tuple(index for index, path in paths.items() if path not in finished)
        drawing.planned += len(paths)
        drawing.already += len(paths) - len(left)
        wanted = bool(summary) and summary not in finished
        if left or wanted:
            drawing.portions.append(
                Portion(
                    portion.case, left, wanted, portion.image, "", portion.mask,
                    portion.mask_missing,
                )
            )  # fmt: skip
    return drawing


def _paths(
    store: MapStore,
    index: int,
    case: MapCase,
    first: MapRow,
    selection: Selection,
    style: Style,
    volumes: bool,
) -> tuple[dict[int, str], str]:
    """Slice -> path of each figure of an image, and the path of its summary, if it has one."""
    check_done(case.header)
    if not volumes:
        return {0: names.image_path(case, style.format)}, ""
    heat = VolumeHeat(case, first.read(store, index), depth_of(case.header), first.signed)
    if selection.mode == "best_slice":
        best = heat.best_slice
        return {best: names.best_slice_path(case, best, style.format)}, ""
    paths = {z: names.slice_path(heat, z, style.format) for z in range(heat.depth)}
    return paths, names.summary_path(case)


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

"""The rows of a figure of maps: which maps of a store they show, read one image at a time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError, InputError
from fastcam.options import Head, MapChoice, Sign, calls_of_last, layer_of_call
from fastcam.read.inputs.bilateral_halves import halves_of_map, whole_image_map
from fastcam.run.failures import FAILURES
from fastcam.store.map_fields import over_input
from fastcam.store.map_schema import FAILED, STATUS, MapHeader
from fastcam.store.maps import MapStore
from fastcam.store.root import RAW_SCHEMA

# More than a description that can be believed says; each slice is planned.
_MOST_SLICES = 65536
# Attention explains no output, and is never negative, whatever sign the other methods' maps have.
_ATTENTION = ("attention", "pooling", "rollout", "window", "channel", "overlap")
# Of these, shares of attention: a gate of a channel is none.
_SHARES = ("attention", "pooling", "rollout", "window", "overlap")
# Magnitudes.
_MAGNITUDES = ("saliency", "smoothgrad")
_UNSIGNED = (*_ATTENTION, *_MAGNITUDES, "legrad", "chefer")
_UNTARGETED = (*_ATTENTION, "eigencam")
# A standard deviation over changed images.
_DEVIATION = "-deviation"


@dataclass(frozen=True, kw_only=True)
class MapRow:
    """One map of each image: a row of its figure.

    Attributes:
        array: the map's name in the store.
        caption: method, layer and head, for people.
        layer: 0-based layer of an attention map; None of other maps.
        head: 0-based head of an attention map; None for the mean of the heads.
        target: 0-based target of maps of several targets; None where there is one.
        signed: whether evidence for and against is shown, as positive and negative values.
        sign: which evidence is shown of a map that has both; None: as the run was told.
        note: what else figures must say of the map.
        input: 0-based number of the input that it lies over, of a model with several images; None
            for the one image of all else.
        input_name: what that input is called.
        over_source: whether it lies over the image that the case is called after, and its mask.
        segment: of a segmentation or a detector what it explains, as ``seg:3``, ``box:best``.
        measures: by what they are, the numbers among a header's ``measures`` that belong to the
            map.
    """

    array: str
    caption: str
    layer: int | None = None
    head: int | None = None
    target: int | None = None
    signed: bool = False
    sign: Sign | None = None
    note: str = ""
    input: int | None = None
    input_name: str = ""
    over_source: bool = True
    measures: tuple[tuple[str, int], ...] = ()
    segment: str = ""

    @property
    def is_attention(self) -> bool:
        """Whether its values are shares of attention, which can be compared with equal shares."""
        return method_of(self.array) in _SHARES

    @property
    def is_targeted(self) -> bool:
        """Whether it explains an output."""
        return method_of(self.array).removesuffix(_DEVIATION) not in _UNTARGETED

    @property
    def is_deviation(self) -> bool:
        """Whether it is a standard deviation over changed images."""
        return method_of(self.array).endswith(_DEVIATION)

    @property
    def is_magnitude(self) -> bool:
        """Whether it is how much the output changes with a pixel, in whichever direction."""
        return method_of(self.array) in _MAGNITUDES

    def read(self, store: MapStore, index: int) -> NDArray[np.float32]:
        """The map (h, w) or (d, h, w) float32 of an image, what is shown of it, not scaled;
        CaseError where there is none.

        Of a model that saw the image's bilateral halves it is (h, w) of the whole image.
        """
        values = store.shown_map(self.array, index, self.sign)
        field = store.field(self.array)
        if self.layer is not None:
            heads = values[self.layer]
            values = heads.mean(axis=0) if self.head is None else heads[self.head]
        if self.target is not None:
            values = values[self.target]
        values = over_input(values, field)
        halves = halves_of_map(store.attrs.preprocessing, self.array)
        if halves != "no":
            _, height, width = store.headers[index].shape
            values = whole_image_map(values, height, width, halves)
        return values


def choose_rows(store: MapStore, choice: MapChoice) -> tuple[MapRow, ...]:
    """The rows of a figure, in the store's order; InputError where there is no map of a name."""
    if not store.map_names:
        raise InputError(f"{store.path}: {_why_empty(store)}")
    if choice.sign not in (None, store.attrs.sign) and store.attrs.schema < RAW_SCHEMA:
        raise InputError(
            f"--sign {choice.sign}: {store.path} is of an earlier fastcam, and holds what --sign "
            f"{store.attrs.sign} showed; run fastcam infer again with --overwrite"
        )
    methods = list(dict.fromkeys(method_of(name) for name in store.map_names))
    for method in choice.methods:
        _check_known("method", method, methods)
    arrays = [
        name for name in store.map_names if not choice.methods or method_of(name) in choice.methods
    ]
    layers = [layer for name in arrays for layer in _layers(store, name)]
    for layer in choice.layers:
        _check_known("layer", layer, [*layers, *map(layer_of_call, layers)])
    rows = [row for name in arrays for row in _rows(store, name, choice)]
    return tuple(over for row in rows for over in _over_inputs(store, row))


def _why_empty(store: MapStore) -> str:
    """Why a store holds no maps, and what to do."""
    failed = [header for header in store.headers if header.status == STATUS[FAILED]]
    if not failed:
        return "holds no maps yet: no batch is finished; run fastcam infer again"
    one, several = ("image", "images") if store.attrs.dims == 2 else ("volume", "volumes")
    count = len(failed)
    failures = f"{count} {one if count == 1 else several} failed"
    first = f"{failed[0].id}, because: {failed[0].reason}"
    listed = store.path.parent / FAILURES
    listed_in = f"; they are listed in {listed}" if listed.is_file() else ""
    if count < len(store):
        return (
            f"holds no maps yet: {failures}, such as {first}{listed_in}. {len(store) - count} of "
            f"{len(store)} aren't run yet: run fastcam infer again"
        )
    which = f"the only {one} failed" if count == 1 else f"all {failures}, the first"
    return f"holds no maps: {which}, {first}{listed_in}"


def _over_inputs(store: MapStore, row: MapRow) -> Iterable[MapRow]:
    """The row over each image that its map was made of, of a model with several."""
    inputs = store.attrs.settings.get("inputs", ())
    images = {e["name"]: number for number, e in enumerate(inputs) if e["kind"] == "image"}
    if len(images) < 2:
        return [row]
    reached = store.attrs.settings.get("map_images", {}).get(row.array)
    if reached is None:
        names = list(images)
    else:
        names = reached if row.layer is None else reached[row.layer]
    return [
        replace(
            row,
            input=images[name],
            input_name=name,
            over_source=name == next(iter(images)),
            caption=f"{row.caption} · {name}",
        )
        for name in images
        if name in names
    ]


def method_of(name: str) -> str:
    """The method of a map: ``gradcam`` of ``gradcam/layer4``."""
    return name.partition("/")[0]


def _layers(store: MapStore, name: str) -> Sequence[str]:
    layer = name.partition("/")[2]
    return store.layer_names(name) or ((layer,) if layer else ())


def _rows(store: MapStore, name: str, choice: MapChoice) -> Iterable[MapRow]:
    layers = _layers(store, name)
    selected = [
        layer
        for layer in layers
        if not choice.layers or {layer, layer_of_call(layer)} & {*choice.layers}
    ]
    if layers and not selected:
        return
    if choice.layers and not layers and method_of(name) not in choice.methods:
        return  # a map of the whole model, and only layers are chosen
    both = (choice.sign or store.attrs.sign) == "both"
    method = method_of(name)
    signed = both and method not in _UNSIGNED and not method.endswith(_DEVIATION)
    axes = store.axes(name)
    if "layer" in axes:
        head = _head(store, name, choice.head)
        head_text = "mean of heads" if head is None else f"head {head}"
        heads = [] if store.shape(name)[1] == 1 else [head_text]
        for layer in selected if choice.layers else calls_of_last(selected):
            yield MapRow(
                array=name,
                caption=" · ".join([method_of(name), layer, *heads]),
                layer=layers.index(layer),
                head=head,
                signed=signed,
                sign=choice.sign,
                note=store.note(name),
                segment=_segment(store, name, 0),
            )
        return
    caption = " · ".join([method_of(name), *layers])
    targets = store.shape(name)[0] if "target" in axes else 0
    for target in range(targets) if targets else (None,):
        yield MapRow(
            array=name,
            caption=caption,
            target=target,
            signed=signed,
            sign=choice.sign,
            note=store.note(name),
            measures=_measures(store, name, target or 0),
            segment=_segment(store, name, target or 0),
        )


def _measures(store: MapStore, name: str, target: int) -> tuple[tuple[str, int], ...]:
    """The numbers of a map's method, of the 0-based ``target``."""
    columns: dict[str, list[int]] = {}
    for column, measure in enumerate(store.measure_names):
        method, _, text = measure.partition(": ")
        if method in (name, method_of(name)):
            columns.setdefault(text, []).append(column)
    return tuple((text, of[target]) for text, of in columns.items() if target < len(of))


def segments_of(store: MapStore) -> tuple[str, ...]:
    """Of a segmentation what is explained, as ``seg:3@mask``; none of other stores."""
    return tuple(map(str, store.attrs.settings.get("segments", ())))


def compared_texts(store: MapStore) -> tuple[str, ...]:
    """The texts that the outputs of a store are the similarities to; none of other stores."""
    return tuple(map(str, store.attrs.settings.get("texts", ())))


def segment_labels(store: MapStore) -> tuple[int, ...]:
    """Of a segmentation the classes that are explained; none of other stores."""
    numbers = (text.partition(":")[2].partition("@")[0] for text in segments_of(store))
    return tuple(int(number) for number in numbers if number.isdecimal())


def _segment(store: MapStore, name: str, target: int) -> str:
    """What a map of a segmentation, a detector or similarities explains; empty of all else."""
    boxes = tuple(map(str, store.attrs.settings.get("boxes", ())))
    names = segments_of(store) or boxes or compared_texts(store)
    texts = names if method_of(name) not in _UNTARGETED else ()
    return texts[target] if target < len(texts) else ""


def _head(store: MapStore, name: str, head: Head) -> int | None:
    if head == "mean":
        return None
    count = store.shape(name)[1]
    if head >= count:
        raise InputError(
            f"--head {head} is too large: {name} has heads 0 to {count - 1}; or give mean"
        )
    return head


def _check_known(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=3, cutoff=0.4) or choices[:5]
        hint = f"did you mean {', '.join(near)}?" if near else "its maps belong to no layer"
        raise InputError(f"--{option} {value!r} is not in the store; {hint}")


@dataclass(frozen=True)
class MapCase:
    """An image or volume as selection and file names need it."""

    header: MapHeader

    @property
    def place(self) -> int:
        """1-based number in the run."""
        return self.header.place

    @property
    def name(self) -> str:
        """The image's id."""
        return self.header.id

    @property
    def right(self) -> bool | None:
        """Whether the prediction is the label; None without a label that can be compared."""
        label, prediction = self.header.label.strip(), self.header.prediction
        if prediction is None or not label.isdecimal():
            return None
        return int(label) == prediction

    @property
    def correct(self) -> bool:
        """Whether ``--only-errors`` leaves it out: also where that isn't known."""
        return self.right is not False


def check_done(header: MapHeader) -> None:
    """CaseError that says why an image has no maps, if it has none."""
    if header.status == "failed":
        raise CaseError(f"has no maps: {header.reason}")
    if header.status != "done":
        raise CaseError("has no maps yet; run fastcam infer again to finish the store")


def depth_of(header: MapHeader) -> int:
    """Number of slices of a volume; CaseError where the store doesn't have it."""
    if header.shape[0] < 1:
        raise CaseError(f"{header.source}: the store doesn't say how many slices it has")
    if header.shape[0] > _MOST_SLICES:
        raise CaseError(
            f"{header.source}: the store says that it has {header.shape[0]} slices; fastcam draws "
            f"volumes of up to {_MOST_SLICES}"
        )
    return header.shape[0]

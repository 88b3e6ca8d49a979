"""Which images of a DICOM series make up a volume, and in what order, planned from headers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError

# A slice may lie so far from where even steps would put it, in steps: scanners round to a
# tenth of a millimetre, 0.12 of a step of 0.625 mm. A missing slice is 0.5 at least.
_EVEN = 0.15
# Images this close, in mm, lie at the same place; scanners repeat a place to the last digit.
_SAME_PLACE = 0.01
# Directions of one plane agree to half a degree.
_SAME_PLANE = np.cos(np.radians(0.5))
_LISTED = 8


@dataclass(frozen=True)
class SeriesImage:
    """One image of a series: a file, or a frame of a file of many.

    ``number`` counts the images as they were read, from 0. ``name`` is what messages call it.
    ``instance`` is its InstanceNumber, or its number in the file. ``uid`` is its SOPInstanceUID,
    with the frame's number in it; two of the same uid are copies. ``position`` (3,) is that of its
    first pixel and ``plane`` (6,) the directions of its rows and columns, both in DICOM's patient
    coordinates, mm; None where the header doesn't say. ``traits`` tell volumes at the same places
    apart, such as ``echo``: ``2``.
    """

    number: int
    name: str
    instance: int | None
    uid: str
    position: tuple[float, float, float] | None
    plane: tuple[float, ...] | None
    traits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesVolume:
    """The images of one volume in the order of its slices, ascending along the plane's normal.

    ``name`` tells it from the others of the series, empty where it is alone. ``numbers`` are the
    images' ``number``. ``step`` (3,) is from one slice to the next in mm, None without positions.
    ``uneven`` says how the steps differ where they do; ``step`` is then the commonest one.
    """

    name: str
    numbers: tuple[int, ...]
    step: tuple[float, float, float] | None
    uneven: str = ""

    @property
    def listed(self) -> str:
        """The name with the number of images."""
        return f"{self.name} ({len(self.numbers)} images)"


def plan_series(images: Sequence[SeriesImage]) -> tuple[list[SeriesVolume], list[str]]:
    """The volumes of a series, and warnings.

    Images of several planes, and several at the same place (phases, echoes, time points, diffusion
    values, overlapping acquisitions), are different volumes. Without positions there is one, by
    InstanceNumber or else as the images were read.
    """
    images, warnings = _without_copies(images)
    if any(image.position is None or image.plane is None for image in images):
        if any(image.position is not None and image.plane is not None for image in images):
            missing = next(i for i in images if i.position is None or i.plane is None)
            warnings.append(
                f"{missing.name} has no position; the slices are in the order of their numbers"
            )
        return [SeriesVolume("", tuple(i.number for i in _numbered(images)), None)], warnings
    volumes = []
    planes = _planes(images)
    for plane, members in planes:
        for name, group in _at_one_place_once(members):
            named = ", ".join(filter(None, [plane if len(planes) > 1 else "", name]))
            volumes.append(_volume(named, group))
    return volumes, warnings


def choose_volume(volumes: Sequence[SeriesVolume], wanted: str | None, folder: str) -> SeriesVolume:
    """The volume called ``wanted``: its number from 1, or its name or the beginning of it.

    CaseError where there are several and none was chosen, and where none or several match.
    """
    listed = "; ".join(f"{n}: {v.listed}" for n, v in enumerate(volumes[:_LISTED], start=1))
    if len(volumes) > _LISTED:
        listed += f"; and {len(volumes) - _LISTED} more"
    if wanted is None:
        if len(volumes) == 1:
            return volumes[0]
        raise CaseError(
            f"{folder}: holds {len(volumes)} volumes, {listed}; choose one with --volume N or NAME"
        )
    if wanted.isdecimal():
        if not 1 <= int(wanted) <= len(volumes):
            raise CaseError(
                f"{folder}: --volume {wanted}: there are {len(volumes)}"
                + (f", {listed}" if len(volumes) > 1 else "")
            )
        return volumes[int(wanted) - 1]
    same = [v for v in volumes if v.name.casefold() == wanted.casefold()]
    near = same or [v for v in volumes if v.name.casefold().startswith(wanted.casefold())]
    if len(near) != 1:
        raise CaseError(
            f"{folder}: --volume {wanted!r}: {'several' if near else 'no'} volumes are called so;"
            f" there {'are' if len(volumes) > 1 else 'is'} {listed}"
        )
    return near[0]


def _without_copies(images: Sequence[SeriesImage]) -> tuple[list[SeriesImage], list[str]]:
    first: dict[str, SeriesImage] = {}
    kept, copies = [], []
    for image in images:
        if image.uid and image.uid in first:
            copies.append(image)
        else:
            first[image.uid] = image
            kept.append(image)
    if not copies:
        return kept, []
    return kept, [
        f"{len(copies)} images are copies of others and left out, such as {copies[0].name} of"
        f" {first[copies[0].uid].name}"
    ]


def _numbered(images: Iterable[SeriesImage]) -> list[SeriesImage]:
    """By InstanceNumber where all have one."""
    images = list(images)
    if any(image.instance is None for image in images):
        return images
    return sorted(images, key=lambda image: (image.instance or 0, image.number))


def _normal(image: SeriesImage) -> NDArray[np.float64]:
    plane = np.array(image.plane, np.float64)
    return np.cross(plane[:3], plane[3:])


def _planes(images: Sequence[SeriesImage]) -> list[tuple[str, list[SeriesImage]]]:
    """The images by the directions of their rows and columns, each plane with what it is called."""
    groups: list[list[SeriesImage]] = []
    for image in images:
        plane = np.array(image.plane, np.float64)
        for group in groups:
            other = np.array(group[0].plane, np.float64)
            if plane[:3] @ other[:3] >= _SAME_PLANE and plane[3:] @ other[3:] >= _SAME_PLANE:
                group.append(image)
                break
        else:
            groups.append([image])
    names = [_plane_name(group[0]) for group in groups]
    alike = {name for name in names if names.count(name) > 1}
    return [
        (f"{name} {place}" if name in alike else name, group)
        for place, (name, group) in enumerate(zip(names, groups, strict=True), start=1)
    ]


def _plane_name(image: SeriesImage) -> str:
    """Axial, coronal or sagittal, by the nearest axis."""
    return ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(_normal(image))))]


def _places(images: Sequence[SeriesImage]) -> NDArray[np.int64]:
    """(n,): images at the same place have the same number."""
    points = np.array([image.position for image in images], np.float64)
    order = np.lexsort(np.rint(points / _SAME_PLACE).T)
    apart = np.abs(np.diff(points[order], axis=0)).max(axis=1) > _SAME_PLACE
    places = np.empty(len(images), np.int64)
    places[order] = np.concatenate([[0], np.cumsum(apart)])
    return places


def _at_one_place_once(images: Sequence[SeriesImage]) -> list[tuple[str, list[SeriesImage]]]:
    """The images in groups that have each place once, with what tells the groups apart."""
    places = _places(images)
    if len(set(places.tolist())) == len(images):
        return [("", list(images))]
    traits = list(dict.fromkeys(trait for image in images for trait in image.traits))
    for count in (1, 2, 3):
        for chosen in combinations(traits, count):
            groups: defaultdict[str, list[int]] = defaultdict(list)
            for at, image in enumerate(images):
                groups[_named(image, chosen)].append(at)
            apart = len(groups) > 1 and all(
                len({int(places[at]) for at in members}) == len(members)
                for members in groups.values()
            )
            if apart and len(groups) < len(images):
                return [(name, [images[at] for at in group]) for name, group in groups.items()]
    # Nothing in the headers tells them apart: the first image at each place, the second, ...
    rounds: defaultdict[int, list[SeriesImage]] = defaultdict(list)
    seen: defaultdict[int, int] = defaultdict(int)
    place_of = {image.number: int(place) for image, place in zip(images, places, strict=True)}
    for image in _numbered(images):
        place = place_of[image.number]
        seen[place] += 1
        rounds[seen[place]].append(image)
    return [(f"phase {number}", group) for number, group in sorted(rounds.items())]


def _named(image: SeriesImage, traits: Sequence[str]) -> str:
    return ", ".join(f"{trait} {image.traits.get(trait, 'none')}" for trait in traits)


def _volume(name: str, images: Sequence[SeriesImage]) -> SeriesVolume:
    normal = _normal(images[0])
    points = np.array([image.position for image in images], np.float64)
    order = np.argsort(points @ normal, kind="stable")
    numbers = tuple(images[at].number for at in order)
    if len(images) == 1:
        return SeriesVolume(name, numbers, None)
    points = points[order]
    steps = np.diff(points, axis=0)
    count = len(steps)
    mean = (points[-1] - points[0]) / count
    even = points[0] + np.arange(count + 1)[:, None] * mean
    if np.linalg.norm(points - even, axis=1).max() <= _EVEN * np.linalg.norm(mean):
        return SeriesVolume(name, numbers, _triple(mean))
    lengths = np.linalg.norm(steps, axis=1)
    usual = float(np.median(lengths))
    common = steps[int(np.argmin(np.abs(lengths - usual)))]
    return SeriesVolume(name, numbers, _triple(common), _uneven(lengths, steps, usual))


def _triple(values: NDArray[Any]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _uneven(lengths: NDArray[np.float64], steps: NDArray[np.float64], usual: float) -> str:
    """Where the steps differ, for people; slices count from 0."""
    odd = np.flatnonzero(np.abs(lengths - usual) > _EVEN * usual)
    if not len(odd):
        return f"its slices, {usual:.4g} mm apart, are shifted against each other"
    worst = int(odd[np.argmax(np.abs(lengths[odd] - usual))])
    text = f"{lengths[worst]:.4g} mm between slices {worst} and {worst + 1}"
    if len(odd) > 1:
        return f"its slices are unevenly spaced: {text}, {usual:.4g} mm at most places"
    return f"its slices are unevenly spaced: {text}, {usual:.4g} mm elsewhere"

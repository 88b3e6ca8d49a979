"""Which images of a DICOM series make up a volume, and in what order, planned from headers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.volumes.sources import natural_key

# A slice may lie so far from where even steps would put it, in steps: scanners round to a
# tenth of a millimetre, 0.12 of a step of 0.625 mm. A missing slice is 0.5 at least.
_EVEN = 0.15
# Images this close along the normal lie at the same place: a tenth of the widest step, but within
# these, in mm. Scanners repeat a place to the last digit.
_SAME_PLACE = (0.001, 0.01)
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
    apart, such as ``echo``: ``2``; they are looked at only where images share a place. ``series``
    is what its series is called, which is a volume apart.
    """

    number: int
    name: str
    instance: int | None
    uid: str
    position: tuple[float, float, float] | None
    plane: tuple[float, ...] | None
    traits: Mapping[str, str] = field(default_factory=dict)
    series: str = ""


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
        count = len(self.numbers)
        return f"{self.name or 'without a name'} ({count} image{'s' if count > 1 else ''})"


def plan_series(images: Sequence[SeriesImage]) -> tuple[list[SeriesVolume], list[str]]:
    """The volumes of a series, and warnings.

    Images of several series, of several planes, and several at the same place (phases, echoes,
    time points, diffusion values, overlapping acquisitions), are different volumes. Without
    positions there is one, by InstanceNumber or else as the images were read. ValueError where
    images share a place and nothing says which of them belong together.
    """
    images, warnings = _without_copies(images)
    series: defaultdict[str, list[SeriesImage]] = defaultdict(list)
    for image in images:
        series[image.series].append(image)
    volumes = []
    for name, members in series.items():
        planned, notes = _plan_one(members)
        if len(series) > 1:
            planned = [
                replace(v, name=", ".join(filter(None, [name or "series", v.name])))
                for v in planned
            ]
        volumes += planned
        warnings += notes
    return volumes, warnings


def _plan_one(images: Sequence[SeriesImage]) -> tuple[list[SeriesVolume], list[str]]:
    """The volumes of images of one series, and warnings."""
    warnings = []
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
            labelled = ", ".join(filter(None, [plane if len(planes) > 1 else "", name]))
            volumes.append(_volume(labelled, group))
    return volumes, warnings


def choose_volume(volumes: Sequence[SeriesVolume], choice: str | None, folder: str) -> SeriesVolume:
    """The volume called ``choice``: its number from 1, or its name or the beginning of it.

    CaseError where there are several and none was chosen, and where none or several match.
    """
    listed = "; ".join(f"{n}: {v.listed}" for n, v in enumerate(volumes[:_LISTED], start=1))
    if len(volumes) > _LISTED:
        listed += f"; and {len(volumes) - _LISTED} more"
    if choice is None:
        if len(volumes) == 1:
            return volumes[0]
        raise CaseError(
            f"{folder}: holds {len(volumes)} volumes, {listed}; choose one with --volume N or NAME"
        )
    if choice.isdecimal():
        if not 1 <= int(choice) <= len(volumes):
            raise CaseError(
                f"{folder}: --volume {choice}: there are {len(volumes)}"
                + (f", {listed}" if len(volumes) > 1 else "")
            )
        return volumes[int(choice) - 1]
    same = [v for v in volumes if v.name.casefold() == choice.casefold()]
    near = same or [v for v in volumes if v.name.casefold().startswith(choice.casefold())]
    if len(near) != 1:
        raise CaseError(
            f"{folder}: --volume {choice!r}: {'several' if near else 'no'} volumes are called so;"
            f" there {'are' if len(volumes) > 1 else 'is'} {listed}"
        )
    return near[0]


def _without_copies(images: Sequence[SeriesImage]) -> tuple[list[SeriesImage], list[str]]:
    # The place counts, too: there are tools that give all images of a series one UID.
    first: dict[Any, SeriesImage] = {}
    originals, copies = [], []
    for image in images:
        identity = (image.uid, image.position, image.instance)
        if image.uid and identity in first:
            copies.append(image)
        else:
            first[identity] = image
            originals.append(image)
    if not copies:
        return originals, []
    return originals, [
        f"images that are copies of others are left out, {len(copies)}, such as {copies[0].name} of"
        f" {first[copies[0].uid, copies[0].position, copies[0].instance].name}"
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
    """(n,): the place of each image along the normal, counted from 0; several may share one."""
    points = np.array([image.position for image in images], np.float64)
    heights = points @ _normal(images[0])
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order])
    least, most = _SAME_PLACE
    limit = float(np.clip(0.1 * steps.max(initial=0.0), least, most))
    places = np.empty(len(images), np.int64)
    places[order] = np.concatenate([[0], np.cumsum(steps > limit)])
    return places


def _at_one_place_once(images: Sequence[SeriesImage]) -> list[tuple[str, list[SeriesImage]]]:
    """The images in groups that have each place once, with what tells the groups apart."""
    places = _places(images)
    most = int(np.bincount(places).max())
    if most == 1:
        return [("", list(images))]
    # As few volumes as there can be; or more, each of neighboring places: runs of a table that
    # overlap. Never every second slice of each.
    partitions = list(_partitions(images))
    for fewest in (True, False):
        for traits, groups in partitions:
            once = all(len(set(places[group].tolist())) == len(group) for group in groups)
            if once and (len(groups) == most if fewest else _contiguous(groups, places)):
                labelled = [
                    (_group_name(images[group[0]], traits), [images[at] for at in group])
                    for group in groups
                ]
                return sorted(labelled, key=lambda volume: natural_key(volume[0]))
    return _numbered_phases(images, places, most)


def _partitions(
    images: Sequence[SeriesImage],
) -> Iterator[tuple[tuple[str, ...], list[list[int]]]]:
    """(traits, the images' indices in groups of equal values), by one to three traits."""
    traits = list(dict.fromkeys(trait for image in images for trait in image.traits))
    codes: dict[str, NDArray[np.int64]] = {}
    partition_codes: set[bytes] = set()
    for trait in traits:
        numbers: dict[str | None, int] = {}
        values = [image.traits.get(trait) for image in images]
        code = np.array([numbers.setdefault(value, len(numbers)) for value in values])
        # Traits that split the images as an earlier one does say nothing new.
        if len(numbers) > 1 and code.tobytes() not in partition_codes:
            partition_codes.add(code.tobytes())
            codes[trait] = code
    for count in (1, 2, 3):
        for combination in combinations(codes, count):
            groups: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
            together = zip(*(codes[trait].tolist() for trait in combination), strict=True)
            for at, numbers_of_one in enumerate(together):
                groups[numbers_of_one].append(at)
            yield combination, list(groups.values())


def _contiguous(groups: Sequence[Sequence[int]], places: NDArray[np.int64]) -> bool:
    """Whether each group is of neighboring places, and of several."""
    spans = [np.ptp(places[list(group)]) + 1 for group in groups]
    return all(len(group) == span > 1 for group, span in zip(groups, spans, strict=True))


def _group_name(image: SeriesImage, traits: Sequence[str]) -> str:
    parts = [f"{trait} {image.traits[trait]}" for trait in traits if trait in image.traits]
    return ", ".join(parts) or f"no {traits[0]}"


def _numbered_phases(
    images: Sequence[SeriesImage], places: NDArray[np.int64], most: int
) -> list[tuple[str, list[SeriesImage]]]:
    """Phases by the images' numbers, where nothing in their headers tells them apart: one after
    the other, or a place after the other with all its phases."""
    slot_of = {image.number: int(place) for image, place in zip(images, places, strict=True)}
    runs: list[list[SeriesImage]] = [[]]
    occupied: set[int] = set()
    rounds: defaultdict[int, list[SeriesImage]] = defaultdict(list)
    for image in _numbered(images):
        place = slot_of[image.number]
        if place in occupied:
            runs.append([])
            occupied.clear()
        occupied.add(place)
        runs[-1].append(image)
        rounds[place].append(image)
    if len(runs) == most:
        phases = runs
    elif all(len(shared) == most for shared in rounds.values()):
        phases = [[shared[phase] for shared in rounds.values()] for phase in range(most)]
    else:
        full = next(shared for shared in rounds.values() if len(shared) == most)
        raise ValueError(
            f"{len(images)} images lie at {len(rounds)} places, and nothing in their headers says"
            f" which belong together, such as {full[0].name} and {full[1].name}; leave the images"
            " of one volume in the folder"
        )
    return [(f"phase {number}", phase) for number, phase in enumerate(phases, start=1)]


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
    usual = float(np.sort(lengths)[(count - 1) // 2])  # a step that is there, not a mean of two
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
    length, between = float(lengths[worst]), f"between slices {worst} and {worst + 1}"
    text = f"{length:.4g} mm {between}"
    if length > usual:
        text = f"a gap of {length - usual:.4g} mm {between} ({length:.4g} mm from one to the next)"
    where = "at most places" if len(odd) > 1 else "elsewhere"
    return f"its slices are unevenly spaced: {text}, {usual:.4g} mm {where}"

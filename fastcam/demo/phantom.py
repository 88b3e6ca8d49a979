"""A made-up neck, as CT angiography would show it: soft tissue, spine, airway, carotid arteries.

Some carotids carry a plaque in their wall. It is anatomy for demos, benchmarks and tests: right in
layout and grey levels, wrong for anything medical.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FIELD_OF_VIEW = 150.0  # mm, side of a slice
SLICE_SPACING = 1.0  # mm

_AIR, _FAT, _MUSCLE, _SKIN, _FLUID, _CORD = -1000.0, -95.0, 58.0, 30.0, 12.0, 38.0
_CORTEX, _MARROW, _DISC, _CARTILAGE, _THYROID = 780.0, 260.0, 95.0, 140.0, 170.0
_LUMEN, _VEIN, _WALL, _LIPID, _CALCIUM = 360.0, 190.0, 62.0, 22.0, 920.0

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
PlaqueKind = Literal["lipid", "calcified"]


@dataclass(frozen=True, slots=True)
class Plaque:
    """A lesion in the wall of the internal carotid artery, around the bifurcation.

    Attributes:
        kind: of lipid or calcified.
        angle: the side of the wall it sits on, in radians.
        severity: (slices,) from 0, without, to 1 for a plaque that takes most of the lumen.
    """

    kind: PlaqueKind
    angle: float
    severity: Floats


@dataclass(frozen=True, slots=True)
class Carotid:
    """One carotid: common artery below the bifurcation, internal and external above.

    Below the bifurcation both branches are the same.

    Attributes:
        centers: (slices, 2, 2) in mm, (x, y) from the middle of the slice, internal branch first.
        radii: (slices, 2) of the lumen in mm.
        vein: (x, y) in mm of the jugular vein beside it.
        plaque: None for a healthy one.
    """

    centers: Floats
    radii: Floats
    vein: tuple[float, float]
    plaque: Plaque | None


@dataclass(frozen=True, slots=True)
class PhantomSlice:
    """One slice, h x w pixels.

    Attributes:
        image: (h, w) int16 in HU.
        mask: (h, w) bool, the arteries and a margin.
        lesion: (h, w) bool, the plaque.
    """

    image: NDArray[np.int16]
    mask: Bools
    lesion: Bools


def neck(
    rng: np.random.Generator,
    slices: int,
    size: int,
    with_plaque: bool,
    kind: PlaqueKind | None = None,
) -> Iterator[PhantomSlice]:
    """Slices of one neck from below upwards, size x size; front at the top, its left at the right.

    The plaque is of either kind by chance, or of ``kind``. Each slice's arrays are its own.
    """
    pixel = FIELD_OF_VIEW / size
    warp_x, warp_y = (_smooth_field(rng, size, 6, 2.2) for _ in range(2))
    axis = ((np.arange(size) + 0.5) * pixel - FIELD_OF_VIEW / 2).astype(np.float32)
    x, y = axis[None, :] + warp_x, axis[:, None] + warp_y
    texture = _smooth_field(rng, size, min(size // 4, 90), 9.0)
    tissue = _soft_tissue(rng, x, y, texture, pixel)
    vertebra = _spine(tissue, x, y, texture, pixel, bone=True)
    disc = _spine(tissue, x, y, texture, pixel, bone=False)
    difference = disc - vertebra
    diseased = int(rng.integers(2)) if with_plaque else -1
    carotids = [
        _carotid(rng, side, slices, index == diseased, kind) for index, side in enumerate((-1, 1))
    ]
    margin = max(3.0, 9.0 * pixel - 3.0)  # mm; a mask narrower than a patch would leave none
    noise = _scanner_noise(rng, size)
    phase = rng.uniform(0, 2 * math.pi)
    for index in range(slices):
        height = index * SLICE_SPACING
        zoom = 1.0 + 0.04 * math.sin(height / 35.0 + phase)
        rows = np.clip(((axis / zoom) / pixel + size / 2).astype(np.intp), 0, size - 1)
        share_disc = float(np.clip(2.0 * math.cos(height * 2 * math.pi / 17.0 + phase) - 1.0, 0, 1))
        picture = vertebra.take(rows, 0).take(rows, 1)
        if share_disc > 0.0:
            picture += share_disc * difference.take(rows, 0).take(rows, 1)
        mask = np.zeros((size, size), dtype=np.bool_)
        lesion = np.zeros((size, size), dtype=np.bool_)
        for carotid in carotids:
            _draw_carotid(picture, mask, lesion, carotid, index=index, axis=axis, margin=margin)
        bank, top, left = rng.integers(len(noise)), *rng.integers(0, 64, 2)
        picture += noise[bank, top : top + size, left : left + size]
        np.clip(picture, -1024.0, 2000.0, out=picture)
        yield PhantomSlice(picture.astype(np.int16), mask, lesion)


def _smooth_field(rng: np.random.Generator, size: int, waves: int, scale: float) -> Floats:
    """A random sum of cosines of standard deviation ``scale``, low ones stronger: (size, size)."""
    angles = (np.arange(size) + 0.5) / size * math.pi
    orders = np.arange(waves)
    basis = np.cos(angles[:, None] * orders).astype(np.float32)
    strength = 1.0 / (1.0 + np.hypot(orders[:, None], orders)) ** 0.8
    strength[0, 0] = 0.0
    coefficients = (rng.standard_normal((waves, waves)) * strength).astype(np.float32)
    field = basis @ coefficients @ basis.T
    scaled: Floats = (field * (scale / field.std())).astype(np.float32)
    return scaled


def _ellipse(
    x: Floats, y: Floats, center: tuple[float, float], radii: tuple[float, float], turn: float = 0.0
) -> Floats:
    """About the distance to an ellipse's edge in mm, negative inside; ``turn`` in degrees."""
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    dx, dy = x - np.float32(center[0]), y - np.float32(center[1])
    along = (dx * cosine + dy * sine) / np.float32(radii[0])
    across = (dy * cosine - dx * sine) / np.float32(radii[1])
    distance: Floats = (np.hypot(along, across) - np.float32(1.0)) * np.float32(min(radii))
    return distance


def _paint(picture: Floats, distance: Floats, value: float | Floats, blur: float) -> None:
    """Fill where ``distance`` is negative; the edge is ``blur`` mm wide."""
    cover = np.clip(0.5 - distance / np.float32(blur), 0.0, 1.0)
    picture += cover * (value - picture)


def _soft_tissue(
    rng: np.random.Generator, x: Floats, y: Floats, texture: Floats, pixel: float
) -> Floats:
    blur = 1.6 * pixel
    picture: Floats = np.full(x.shape, _AIR, dtype=np.float32)
    outline = _ellipse(x, y, (0, 4), (60, 55))
    _paint(picture, outline, _SKIN, blur)
    _paint(picture, outline + 1.8, _FAT + 0.8 * texture, blur)
    fascia = np.float32(6.0) - np.abs(texture)
    _paint(picture, np.maximum(outline + 9.0, -fascia), _FAT + 45.0, 4.0)
    marbling = np.clip(texture - 11.0, 0.0, 12.0)
    muscle = _MUSCLE + 0.9 * texture - 7.0 * marbling
    for _ in range(60):  # small vessels and lymph nodes in the fat
        out, turn = math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        center = (46.0 * out * math.cos(turn), 3.0 + 40.0 * out * math.sin(turn))
        radii = (float(rng.uniform(0.5, 1.9)), float(rng.uniform(0.5, 1.3)))
        value = _MUSCLE if rng.random() < 0.7 else _VEIN
        top, left = (max(int((at + FIELD_OF_VIEW / 2 - 12) / pixel), 0) for at in center[::-1])
        near = np.s_[top : top + int(24 / pixel), left : left + int(24 / pixel)]
        node = _ellipse(x[near], y[near], center, radii, math.degrees(turn))
        _paint(picture[near], node, value, 2 * blur)
    for side in (-1, 1):
        for center, radii, turn in (
            ((42, -10), (8.5, 19), -28),  # sternocleidomastoid
            ((39, 32), (6, 23), 38),  # trapezius
            ((20, 40), (12, 9), 25),  # splenius and semispinalis
            ((11, 46), (8.5, 6.5), 10),
            ((29, 25), (8, 11), 20),  # levator scapulae
            ((27, 9), (7.5, 9), -20),  # scalene
            ((10, 0), (8.5, 4), 5),  # longus colli
            ((12, -40), (10, 4), 24),  # strap muscles
        ):
            mirrored = (side * center[0], center[1])
            _paint(picture, _ellipse(x, y, mirrored, radii, side * turn), muscle, blur)
        thyroid = _ellipse(x, y, (side * 15.0, -23), (5.5, 9), side * 14)
        _paint(picture, thyroid, _THYROID + 0.8 * texture, blur)
    _paint(picture, _ellipse(x, y, (2, -9.5), (7, 3.6)), muscle, blur)  # oesophagus
    airway = _ellipse(x, y, (0, -25), (9.5, 11))
    _paint(picture, airway - 2.6, _CARTILAGE + texture, blur)
    _paint(picture, airway - 0.8, _SKIN, blur)
    _paint(picture, airway, _AIR, blur)
    return picture


def _spine(
    tissue: Floats, x: Floats, y: Floats, texture: Floats, pixel: float, *, bone: bool
) -> Floats:
    """Soft tissue with a vertebra, or with the disc between two, painted in."""
    picture, blur = tissue.copy(), 1.6 * pixel
    marrow = _MARROW + 5.0 * texture
    body = _ellipse(x, y, (0, 11), (13, 9))
    if bone:
        for side in (-1, 1):
            process = _ellipse(x, y, (side * 16.0, 15), (8, 4.5), side * 12)
            lamina = _ellipse(x, y, (side * 10.0, 30), (11, 3.2), side * -38)
            for part, thickness in ((process, 1.5), (lamina, 1.2)):
                _paint(picture, part, _CORTEX, blur)
                _paint(picture, part + thickness, marrow, blur)
            foramen = _ellipse(x, y, (side * 17.0, 14), (3.2, 3.2))
            _paint(picture, foramen, _FAT, blur)
            _paint(picture, foramen + 1.5, _LUMEN - 40, blur)  # vertebral artery
        spinous = _ellipse(x, y, (0, 41), (2.8, 8))
        _paint(picture, spinous, _CORTEX, blur)
        _paint(picture, spinous + 1.2, marrow, blur)
        _paint(picture, body, _CORTEX, blur)
        _paint(picture, body + 1.6, marrow, blur)
    else:
        _paint(picture, body, _DISC + 1.2 * texture, blur)
    _paint(picture, _ellipse(x, y, (0, 25.5), (9, 6.5)), _FLUID, blur)
    _paint(picture, _ellipse(x, y, (0, 25.5), (5.8, 3.8)), _CORD, blur)
    return picture


def _carotid(
    rng: np.random.Generator, side: int, slices: int, diseased: bool, kind: PlaqueKind | None
) -> Carotid:
    height = np.arange(slices) / max(slices - 1, 1)
    split = rng.uniform(0.4, 0.6)
    above = np.clip((height - split) / (1.0 - split), 0.0, 1.0)
    sway = rng.uniform(0.8, 2.2) * np.sin(height * rng.uniform(3, 6) + rng.uniform(0, 6))
    middle = np.stack(
        [side * (27.5 + rng.normal(0, 1)) + sway, -8.5 + rng.normal(0, 1) - 2.0 * height], axis=-1
    )
    apart = np.sqrt(above)[:, None]
    outwards = np.array([[side * 3.0, 4.2], [side * -3.4, -5.0]])  # internal: lateral and behind
    centers = middle[:, None, :] + apart[:, :, None] * outwards
    common = rng.uniform(3.0, 3.5)
    bulb = 0.6 * np.exp(-(((height - split - 0.04) / 0.09) ** 2))
    internal = common - 0.9 * np.sqrt(above) + bulb
    external = np.where(above > 0, common - 1.3 * np.clip(4 * above, 0, 1), common)
    plaque = None
    if diseased:
        reach = rng.uniform(0.11, 0.16)
        center = split + rng.uniform(-0.03, 0.08)
        severity = np.clip(1.15 * np.cos((height - center) / reach * math.pi / 2), 0.0, 1.0)
        severity[np.abs(height - center) > reach] = 0.0
        by_chance: PlaqueKind = "calcified" if rng.random() < 0.5 else "lipid"
        plaque = Plaque(
            kind=kind or by_chance,
            angle=float(rng.uniform(-0.6, 0.6) + (0.0 if side > 0 else math.pi)),
            severity=(severity * rng.uniform(0.75, 1.0)).astype(np.float32),
        )
    vein = (float(middle[0, 0] + side * 12.5), float(middle[0, 1] + 3.0 + rng.normal(0, 1)))
    radii = np.stack([internal, external], axis=-1)
    return Carotid(centers.astype(np.float32), radii.astype(np.float32), vein, plaque)


def _draw_carotid(
    picture: Floats,
    mask: Bools,
    lesion: Bools,
    carotid: Carotid,
    *,
    index: int,
    axis: Floats,
    margin: float,
) -> None:
    """Paint one carotid and its vein into a slice, in a window around them."""
    blur = 1.4 * float(axis[1] - axis[0])
    middle = carotid.centers[index].mean(axis=0)
    reach = 24.0 + margin
    y1, y2 = np.searchsorted(axis, [middle[1] - reach, middle[1] + reach])
    x1, x2 = np.searchsorted(axis, [middle[0] - reach, middle[0] + reach])
    window = slice(int(y1), int(y2)), slice(int(x1), int(x2))
    x, y = axis[None, window[1]], axis[window[0], None]
    part = picture[window]
    wall, plaque = 1.1, carotid.plaque
    apart = float(np.hypot(*(carotid.centers[index, 1] - carotid.centers[index, 0])))
    lumens, outers = [], []
    for branch in range(2):
        center, radius = carotid.centers[index, branch], float(carotid.radii[index, branch])
        severity, towards = 0.0, np.zeros(2)
        if plaque is not None:
            # Where the arteries still are one, the plaque narrows that one.
            shared = 1.0 if branch == 0 else max(1.0 - apart / 3.0, 0.0)
            severity = shared * float(plaque.severity[index])
            towards = np.array([math.cos(plaque.angle), math.sin(plaque.angle)])
        narrowed = radius * (1.0 - 0.45 * severity)
        grown = radius + wall + 0.2 * radius * severity
        at = center - towards * (radius - narrowed)
        lumens.append(np.hypot(x - at[0], y - at[1]) - narrowed)
        at = center + towards * (grown - radius - wall)
        outers.append(np.hypot(x - at[0], y - at[1]) - grown)
    lumen, outer = np.minimum(*lumens), np.minimum(*outers)
    _paint(part, outer - 1.6, _FAT + 15.0, 3.0)  # the sheath
    vein = _ellipse(x, y, carotid.vein, (6.2, 4.6), -35.0 if carotid.vein[0] < 0 else 35.0)
    _paint(part, vein, _VEIN, blur)
    _paint(part, outer, _WALL, blur)
    mask[window] |= outer < margin
    if plaque is not None and plaque.severity[index] > 0.15:
        body = np.maximum(outers[0] + 0.35 * wall, 0.45 * wall - lumen)
        _paint(part, body, _LIPID, blur)
        if plaque.kind == "calcified" and plaque.severity[index] > 0.3:
            _paint(part, body + 0.7, _CALCIUM, blur)
        lesion[window] |= body < 0.0
    _paint(part, lumen, _LUMEN, blur)


def _scanner_noise(rng: np.random.Generator, size: int) -> Floats:
    """Three fields (3, size + 64, size + 64), slightly blurred as a scanner's; cut out at random.

    Drawing new noise for every slice would take longer than everything else together.
    """
    white = rng.standard_normal((3, size + 66, size + 66), dtype=np.float32) * np.float32(26.0)
    rows = white[:, :-2] + 2.0 * white[:, 1:-1] + white[:, 2:]
    noise: Floats = (rows[:, :, :-2] + 2.0 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16.0
    return noise.astype(np.float32)

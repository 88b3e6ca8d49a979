"""Figures of classes: mean maps over mean pictures, and their differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures import fonts, lettering
from fastcam.figures.buffers import Buffers
from fastcam.figures.files import write_sheet
from fastcam.figures.patch_sheets import render_style_of
from fastcam.jobs.analyze.class_comparison import Cohort, group_of
from fastcam.jobs.analyze.figures.sheets import classes_sheet
from fastcam.jobs.analyze.file_names import CLASSES
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.render.maps.image import open_image
from fastcam.options import Style
from fastcam.run import file_names
from fastcam.store.maps import MapStore

# Pictures that a class's mean picture is made of; more look the same.
_PICTURES = 48
# Pairs of classes that get a figure: those of the classes with the most images.
_LARGEST = 5


def write_class_figures(
    cohort: Cohort,
    images: Sequence[ImageResult],
    places: Sequence[int],
    store: MapStore,
    halves: str,
    style: Style,
    dpi: float,
    output_dir: Path,
) -> list[str]:
    """A figure for each two classes, of the five with the most images; their paths, relative.

    ``places``: the 0-based rows of ``images`` in the store.
    """
    _, groups = group_of(images)
    sizes = Counter({name: len(members) for name, members in groups.items() if len(members)})
    chosen = sorted(name for name, _ in sizes.most_common(_LARGEST) if cohort.mean_maps.get(name))
    if len(chosen) < 2:
        return []
    side = _common_size(images, style.panel_size)
    means = {
        name: _mean_picture([places[at] for at in groups[name]], store, side) for name in chosen
    }
    counts = {name: len(groups[name]) for name in chosen}
    labels = {name: f"{name} (n = {counts[name]})" for name in chosen}
    characters = lettering.alphabet([*labels.values(), *store.attrs.layers])
    render_style = render_style_of(
        style, characters, fonts.chain(characters, style.font), style.panel_size
    )
    buffers, written = Buffers(), []
    files = _files(chosen)
    for one, other in combinations(chosen, 2):
        maps = {
            layer: (cohort.mean_maps[one][layer], cohort.mean_maps[other][layer])
            for layer in cohort.mean_maps[one]
            if layer in cohort.mean_maps[other]
        }
        sheet = classes_sheet(
            f"{one} against {other}", "means of normalised maps over mean pictures, aligned",
            (labels[one], labels[other]), (means[one], means[other]), maps, halves, render_style,
        )  # fmt: skip
        path = f"{CLASSES}/{files[one]}_vs_{files[other]}.png"
        write_sheet(output_dir / path, sheet, render_style, "png", buffers, dpi)
        written.append(path)
    return written


def _files(classes: Sequence[str]) -> dict[str, str]:
    """What classes are called in file names, no two alike."""
    found: dict[str, str] = {}
    for name in classes:
        plain = file_names.safe(name)[:60]
        found[name] = plain if plain not in found.values() else f"{plain}-{len(found)}"
    return found


def _common_size(images: Sequence[ImageResult], longer: int) -> tuple[int, int]:
    """(h, w) with the median aspect of the images, the longer side ``longer``, the width even."""
    aspect = float(np.median([image.size[0] / image.size[1] for image in images]))
    height, width = (longer, longer / aspect) if aspect >= 1 else (longer * aspect, longer)
    return max(2, round(height)), max(2, 2 * round(width / 2))


def _mean_picture(
    places: Sequence[int], store: MapStore, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The mean (h, w, 3) of what the model saw of up to 48 images, evenly chosen and stretched to
    one size; grey where none can be read."""
    from PIL import Image

    chosen = [places[at] for at in np.linspace(0, len(places) - 1, min(len(places), _PICTURES))
              .round().astype(int).tolist()]  # fmt: skip
    total, count = np.zeros((*size, 3)), 0
    for place in chosen:
        try:
            opened = open_image(store.headers[place], None, "", store.attrs.preprocessing)
        except CaseError:
            continue  # said where the image's own figures are drawn
        picture = opened.picture.image
        plain = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
        total += np.asarray(
            plain.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR), np.float64
        )
        count += 1
    if not count:
        return np.full((*size, 3), 128, np.uint8)
    return np.rint(total / count).astype(np.uint8)

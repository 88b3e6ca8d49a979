"""Figures of classes: mean maps over mean pictures, and their differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.figures import fonts, glyph_atlas, layout
from fastcam.figures.buffers import Buffers
from fastcam.figures.map_figure import Heading
from fastcam.figures.png_writer import write_sheet
from fastcam.figures.render_style import render_style_of
from fastcam.figures.view_panels import titled
from fastcam.jobs.analyze.class_comparison import ClassComparison, class_groups
from fastcam.jobs.analyze.display_names import CLASSES
from fastcam.jobs.analyze.figures.sheets import classes_sheet
from fastcam.jobs.analyze.image_store import ImageStore
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.analyze.task import AnalysisTask
from fastcam.run import file_names

# Pictures that make up a class's mean picture; more look the same.
_MOST_PICTURES = 48
# Classes of which each two get a figure: those with the most images.
_MOST_CLASSES = 5


def write_class_figures(
    task: AnalysisTask,
    comparison: ClassComparison,
    images: Sequence[ImageResult],
    indices: Sequence[int],
) -> list[str]:
    """A figure for each two classes, of the five with the most images; their paths, relative.

    Of a model with several images the layers that lie over the first.
    ``indices``: the 0-based rows of ``images`` in the store.
    """
    store, style = task.store, task.style
    _, groups = class_groups(images)
    sizes = Counter({name: len(members) for name, members in groups.items() if len(members)})
    largest = sorted(
        name for name, _ in sizes.most_common(_MOST_CLASSES) if comparison.mean_maps.get(name)
    )
    if len(largest) < 2:
        return []
    shown = []
    for index, image in zip(indices, images, strict=True):
        height, width = store.display(index).size(*image.size)
        shown.append(layout.stretched(height, width, style.shown_aspect(store.pixel_aspect(index))))
    layers = {
        layer
        for layer, name in zip(task.layers, task.maps, strict=True)
        if store.input_name(name) == store.main_input
    }
    size = _common_size(shown, style.panel_size)
    means = {
        name: _mean_picture([indices[number] for number in groups[name]], store, size)
        for name in largest
    }
    counts = {name: len(groups[name]) for name in largest}
    labels = {name: f"{name} (n = {counts[name]})" for name in largest}
    characters = glyph_atlas.alphabet([*labels.values(), *store.attrs.layers])
    render_style = render_style_of(
        style, characters, fonts.chain(characters, style.font), style.panel_size
    )
    buffers, paths, kind = Buffers(), [], task.style.format
    names = _file_names(largest)
    for first, second in combinations(largest, 2):
        first_maps, second_maps = comparison.mean_maps[first], comparison.mean_maps[second]
        sheet = classes_sheet(
            Heading(
                titled(f"{first} against {second}", task.random_weights),
                "means of normalized maps over mean pictures, aligned",
            ),
            (labels[first], labels[second]),
            (means[first], means[second]),
            {
                layer: (first_maps[layer], second_maps[layer])
                for layer in first_maps
                if layer in second_maps and layer in layers
            },
            task.halves,
            render_style,
        )
        path = f"{CLASSES}/{names[first]}_vs_{names[second]}.{kind}"
        write_sheet(task.output_dir / path, sheet, render_style, kind, buffers)
        paths.append(path)
    return paths


def _file_names(classes: Sequence[str]) -> dict[str, str]:
    """What classes are called in file names, no two alike."""
    names: dict[str, str] = {}
    for name in classes:
        plain = file_names.safe(name)[:60]
        names[name] = plain if plain not in names.values() else f"{plain}-{len(names)}"
    return names


def _common_size(sizes: Sequence[tuple[float, float]], longer: int) -> tuple[int, int]:
    """(h, w) with the median aspect of pictures of ``sizes`` (h, w), the longer side ``longer``,
    the width even."""
    aspect = float(np.median([height / width for height, width in sizes]))
    height, width = (longer, longer / aspect) if aspect >= 1 else (longer * aspect, longer)
    return max(2, round(height)), max(2, 2 * round(width / 2))


def _mean_picture(
    indices: Sequence[int], store: ImageStore, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The mean (h, w, 3) of what the model saw of up to 48 images, evenly chosen and stretched to
    one size; grey where none can be read."""
    from PIL import Image

    count = min(len(indices), _MOST_PICTURES)
    numbers = np.linspace(0, len(indices) - 1, count).round().astype(int).tolist()
    total, count = np.zeros((*size, 3)), 0
    for number in numbers:
        try:
            picture = store.picture(indices[number]).image
        except CaseError:
            continue  # a failure where the image's own figures are drawn
        plain = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
        total += np.asarray(
            plain.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR), np.float64
        )
        count += 1
    if not count:
        return np.full((*size, 3), 128, np.uint8)
    return np.rint(total / count).astype(np.uint8)

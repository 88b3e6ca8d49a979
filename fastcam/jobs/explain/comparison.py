"""The figures of one or several models' explanations of the same images, side by side."""

from __future__ import annotations

import base64
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from fastcam.errors import InputError
from fastcam.figures.map_figure import uniform_note
from fastcam.figures.map_scales import NEARLY_UNIFORM
from fastcam.figures.notebook_figure import Figure
from fastcam.figures.numbered_patches import grid_figure, patched_part
from fastcam.figures.view_panels import (
    figure_of_rows,
    titled,
)
from fastcam.jobs.explain.channel_bars import channel_bars
from fastcam.jobs.explain.panels import combined_panels, pictures_once, separate_panels
from fastcam.jobs.explain.results import ExplanationData, Head, check_index
from fastcam.jobs.explain.rows import Row, rows_of
from fastcam.jobs.explain.scales import Scale, Scales, scales_of
from fastcam.options import PictureFormat, Style
from fastcam.read.inputs.inputs import stem_of
from fastcam.run import file_names
from fastcam.run.files import make_folder
from fastcam.storage.locations import as_path

# What people call the figures of a method, where that isn't the method's own name.
FILE_NAMES = {"attention": "patch_attention", "gradcam++": "gradcam_plus_plus"}


def compare(results: Mapping[str, ExplanationData]) -> Comparison:
    """Explanations of the same images by several models, called as the mapping says.

    InputError where they are not of the same images.
    """
    return Comparison(tuple(results.values()), tuple(results))


class ExplanationFigures(ABC):
    """The figures of explanations, for those that have a comparison of them."""

    @abstractmethod
    def _comparison(self) -> Comparison: ...

    def figure(
        self, index: int = 0, scale: Scale = "auto", head: Head = "mean", **style: Any
    ) -> Figure:
        """The figure of one image: a row for every map, with the image, then the heat of each
        model, then its overlay.

        It saves itself, ``.save("a.png")``, and shows in a notebook.

        - ``index``: the image's number, from 0, negative from the end
        - ``scale``: ``auto`` gives the same colors to all models, and to all layers where these
          have the same unit: attention of any kind and reconstruction, not CAMs and channels;
          ``shared``: to all maps of a method; ``each``: every map from its own lowest to its own
          highest value; ``slice``: as pytorch-grad-cam draws it; ``rank``: by rank
        - ``head`` of attention, from 0, or "mean"
        - ``style``: fields of :class:`fastcam.options.Style`, such as ``colormap="viridis"``

        InputError for an index or a head out of range, and for maps that are not finite.
        """
        return self._comparison().combined_figure(index, scale, head, Style(**style))

    def save(
        self,
        folder: Path | str,
        index: int = 0,
        scale: Scale = "auto",
        head: Head = "mean",
        **style: Any,
    ) -> list[Path]:
        """Write all figures of one image into ``folder``, made if need be; their paths.

        ``<image>_explained``, the combined figure; ``<method>_heatmap`` and ``<method>_overlay``
        for each method (``patch_attention`` for attention); ``channel_bars`` with the gates of
        channel attention; ``patch_grid`` of a model that cuts its images into patches. Such files
        are replaced; none is written when an error is raised. Other arguments as :meth:`figure`'s.
        InputError for the name of a picture: ``figure().save("a.pdf")`` writes one.
        """
        path = as_path(folder)
        if path.suffix.lower().lstrip(".") in get_args(PictureFormat) and not path.is_dir():
            raise InputError(
                f"{path}: save() writes several files into a folder; give a folder's name, or "
                f'write the combined figure by .figure().save("{path.name}")'
            )
        return self._comparison().write(path, index, scale, head, Style(**style))


@dataclass(frozen=True, eq=False)
class Comparison(ExplanationFigures):
    """Explanations of the same images by several models.

    - ``results``: one for each model
    - ``labels``: what the models are called, "" for one alone
    """

    results: tuple[ExplanationData, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.results:
            raise InputError("there is nothing to compare: give one explanation at least")
        if len({result.names for result in self.results}) > 1:
            raise InputError("only explanations of the same images can be compared")

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.results)} models on {len(self)} images>"

    def __len__(self) -> int:
        return len(self.results[0])

    def _comparison(self) -> Comparison:
        return self

    def combined_figure(self, index: int, scale: Scale, head: Head, style: Style) -> Figure:
        """:meth:`figure` with a style that is made."""
        number = check_index(index, self.results[0].names)
        rows = rows_of(self.results, self.labels, number, head, style.class_caption)
        return self._combined(number, rows, scales_of(rows, scale, style.classic), style)

    def write(self, folder: Path, index: int, scale: Scale, head: Head, style: Style) -> list[Path]:
        """:meth:`save` with a style that is made."""
        figures = list(self.figures(index, scale, head, style))
        make_folder(folder)
        return [figure.save(folder / f"{name}.{style.format}") for name, figure in figures]

    def figures(
        self, index: int, scale: Scale, head: Head, style: Style
    ) -> Iterator[tuple[str, Figure]]:
        """Every figure of one image with its file's name, without suffix."""
        number = check_index(index, self.results[0].names)
        rows = rows_of(self.results, self.labels, number, head, style.class_caption)
        scales = scales_of(rows, scale, style.classic)
        title = self.results[0].names[number]
        yield (
            f"{file_names.safe(stem_of(title))}_explained",
            self._combined(number, rows, scales, style),
        )
        for method in dict.fromkeys(row.method for row in rows):
            of_method = [row for row in rows if row.method == method]
            file = FILE_NAMES.get(method, method)
            for kind, panels in separate_panels(of_method, scales, style).items():
                heading = titled(title, f"{method}, {kind}")
                note = _in_a_line(self._random_note(), _notes(of_method))
                verdict = "" if style.classic else self.prediction_text(number, style)
                figure = figure_of_rows(heading, verdict, panels, style, note)
                yield f"{file}_{kind}", figure
        yield from self._figures_beside_maps(number, title, style)

    def _combined(self, number: int, rows: Sequence[Row], scales: Scales, style: Style) -> Figure:
        of_groups = [combined_panels(row, scales, style) for row in rows]
        if not style.classic and style.panels[:1] in ((), ("image",)):
            panels = pictures_once(rows, of_groups, style)
        else:
            panels = [list(itertools.chain(*of_row)) for of_row in of_groups]
        title = self.results[0].names[number]
        notes = _in_a_line(
            self._random_note(), _uniform_note(rows, scales), _notes(rows, with_methods=True)
        )
        verdict = self.prediction_text(number, style)
        return figure_of_rows(title, verdict, panels, style, notes)

    def prediction_text(self, number: int, style: Style) -> str:
        """What each model predicts of the image ``number``."""
        texts = []
        for label, result in zip(self.labels, self.results, strict=True):
            text = result.prediction_text(number, style.class_text)
            texts.append(f"{label}: {text}" if label else text)
        return "  |  ".join(texts)

    def _random_note(self) -> str:
        """Which models have random weights; empty for none."""
        pairs = zip(self.labels, self.results, strict=True)
        labels = [label for label, result in pairs if result.random_weights]
        if not labels:
            return ""
        names = ", ".join(filter(None, labels))
        return f"Random weights{f' of {names}' if names else ''}: these maps mean nothing."

    def _figures_beside_maps(
        self, number: int, title: str, style: Style
    ) -> Iterator[tuple[str, Figure]]:
        """What is drawn of a model beside its maps."""
        gates = {
            f"{label} · {path}" if label else path: values[number]
            for label, result in zip(self.labels, self.results, strict=True)
            for path, values in result.gates.items()
        }
        if gates:
            yield "channel_bars", channel_bars(gates, title, style)
        for result in self.results:
            cut = result.patches
            if cut is not None:
                part = patched_part(result.images[number], cut.image, cut.grid, cut.size)
                yield "patch_grid", grid_figure(part, cut.grid, cut.size, cut.prefix, title, style)
                break


def _in_a_line(*notes: str) -> str:
    """Notes after each other: sentences as sentences, others with a dot between."""
    line = ""
    for note in filter(None, notes):
        line += (" " if line.endswith(".") else "  ·  " if line else "") + note
    return line


def _uniform_note(rows: Sequence[Row], scales: Scales) -> str:
    """What is said where every map of attention of a figure is all but uniform."""
    own = [scales[row_map][0] for row in rows for row_map in row.maps]
    multiples = [scale.times_uniform for scale in own]
    highest = max((multiple for multiple in multiples if multiple is not None), default=None)
    if highest is None or highest >= NEARLY_UNIFORM:
        return ""
    return uniform_note(highest)


def _notes(rows: Sequence[Row], with_methods: bool = False) -> str:
    """The notes of the maps, once each, with the methods' names where ``with_methods``."""
    notes: dict[str, dict[str, None]] = {}
    for row in rows:
        for row_map in row.maps:
            if row_map.note:
                notes.setdefault(row_map.note, {})[row.method] = None
    texts = [
        f"{', '.join(methods)}: {note}" if with_methods else note for note, methods in notes.items()
    ]
    return "  ·  ".join(texts)


# A notebook keeps what it shows: half a megabyte a figure.
_MOST_IN_NOTEBOOK = 4


class Explanation(ExplanationFigures, ExplanationData):
    """What :class:`ExplanationData` holds, and figures of it."""

    def _comparison(self) -> Comparison:
        return Comparison((self,), ("",))

    def _repr_html_(self) -> str:
        """The first figures, for a notebook."""
        parts = []
        for index in range(min(len(self), _MOST_IN_NOTEBOOK)):
            packed = base64.b64encode(self.figure(index)._repr_png_()).decode()
            parts.append(f'<img style="max-width:100%" src="data:image/png;base64,{packed}">')
        if len(self) > _MOST_IN_NOTEBOOK:
            parts.append(f"<p>and {len(self) - _MOST_IN_NOTEBOOK} more: .figure(i)</p>")
        return "".join(parts)

"""The figures of one or several models' explanations of the same images, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.figures import layout
from fastcam.figures.map_scales import MapScale
from fastcam.figures.map_sheets import map_pair
from fastcam.figures.panels import figure_of_rows, mark_of, panel_size, shrunk, titled
from fastcam.figures.sheet import Outlines, Panel
from fastcam.jobs.explain.results import ExplanationData, Head, check_index
from fastcam.jobs.explain.rows import Group, Row, Shown, rows_of
from fastcam.jobs.explain.scales import Scale, scales_of
from fastcam.options import Style
from fastcam.read.inputs.inputs import stem_of
from fastcam.run import file_names
from fastcam.run.files import make_folder

if TYPE_CHECKING:
    from fastcam.figures.figure import Figure

# What people call the figures of a method, where that isn't the method's own name.
FILE_NAMES = {"attention": "patch_attention", "gradcam++": "gradcam_plus_plus"}
_Scales = dict[Shown, tuple[MapScale, str]]


def compare(results: Mapping[str, ExplanationData]) -> Comparison:
    """Explanations of the same images by several models, called as the mapping says.

    InputError where they are not of the same images.
    """
    return Comparison(tuple(results.values()), tuple(results))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Explanations of the same images, one for each of ``labels``, "" for a model alone."""

    results: tuple[ExplanationData, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.results:
            raise InputError("there is nothing to compare: give one explanation at least")
        if len({result.names for result in self.results}) > 1:
            raise InputError("only explanations of the same images can be compared")

    def __len__(self) -> int:
        return len(self.results[0])

    def figure(
        self, index: int = 0, scale: Scale = "auto", head: Head = "mean", **style: Any
    ) -> Figure:
        """The figure of one image: a row for every map, with the image, then the heat of each
        model, then its overlay.

        ``scale``: ``auto`` gives the same colours to all models, and to all layers where these have
        the same unit: attention of any kind and reconstruction, not CAMs and channels; ``shared``:
        to all maps of a method; ``each``: every map from its own lowest to its own highest value;
        ``slice``: as pytorch-grad-cam draws it; ``rank``: by rank. InputError for an index or a
        head out of range, and for maps that are not finite.
        """
        at, look = check_index(index, self.results[0].names), Style(**style)
        rows = rows_of(self.results, self.labels, at, head)
        return self._combined(at, rows, scales_of(rows, scale), look)

    def save(
        self,
        folder: Path | str,
        index: int = 0,
        scale: Scale = "auto",
        head: Head = "mean",
        **style: Any,
    ) -> list[Path]:
        """Write all figures of one image into ``folder``, which is made if need be; their paths.

        ``<image>_explained``, the combined figure; ``<method>_heatmap`` and ``<method>_overlay``
        for each method (``patch_attention`` for attention); ``channel_bars`` with the gates of
        channel attention; ``patch_grid`` of a model that cuts its images into patches. Files of
        these names are replaced. Nothing is written when an error is raised.
        """
        return self.write(Path(folder), index, scale, head, Style(**style))

    def write(self, folder: Path, index: int, scale: Scale, head: Head, style: Style) -> list[Path]:
        """:meth:`save` with a style that is made."""
        drawn = list(self.figures(index, scale, head, style))
        make_folder(folder)
        return [figure.save(folder / f"{name}.{style.format}") for name, figure in drawn]

    def figures(
        self, index: int, scale: Scale, head: Head, style: Style
    ) -> Iterator[tuple[str, Figure]]:
        """Every figure of one image with its file's name, without suffix."""
        at = check_index(index, self.results[0].names)
        rows = rows_of(self.results, self.labels, at, head)
        scales = scales_of(rows, scale)
        title = self.results[0].names[at]
        yield (
            f"{file_names.safe(stem_of(title))}_explained",
            self._combined(at, rows, scales, style),
        )
        for method in dict.fromkeys(row.method for row in rows):
            of_method = [row for row in rows if row.method == method]
            file = FILE_NAMES.get(method, method)
            for what, panels in _apart(of_method, scales, style).items():
                heading = titled(title, f"{method}, {what}")
                figure = figure_of_rows(heading, "", panels, style, _noted(of_method))
                yield f"{file}_{what}", figure
        yield from self._others(at, title, style)

    def _combined(self, at: int, rows: Sequence[Row], scales: _Scales, style: Style) -> Figure:
        panels = [_panels(row, scales, style) for row in rows]
        title = self.results[0].names[at]
        return figure_of_rows(title, self._said(at), panels, style, _noted(rows, named=True))

    def _said(self, at: int) -> str:
        said = [
            f"{label}: {result.said(at)}" if label else result.said(at)
            for label, result in zip(self.labels, self.results, strict=True)
        ]
        return "  |  ".join(said)

    def _others(self, at: int, title: str, style: Style) -> Iterator[tuple[str, Figure]]:
        """What is drawn of a model beside its maps."""
        from fastcam.figures.patch_grid import grid_figure, patched_part
        from fastcam.jobs.explain.channel_bars import channel_bars

        gates = {
            f"{label} · {path}" if label else path: values[at]
            for label, result in zip(self.labels, self.results, strict=True)
            for path, values in result.gates.items()
        }
        if gates:
            yield "channel_bars", channel_bars(gates, title, style)
        for result in self.results:
            cut = result.patches
            if cut is not None:
                part = patched_part(result.images[at], cut.image, cut.grid, cut.size)
                yield "patch_grid", grid_figure(part, cut.grid, cut.size, cut.prefix, title, style)
                break


def _noted(rows: Sequence[Row], named: bool = False) -> str:
    """What has to be said of the maps, once each, with the method's name where ``named``."""
    notes: dict[str, dict[str, None]] = {}
    for row in rows:
        for shown in (m for group in row.groups for m in group.maps if m.note):
            notes.setdefault(shown.note, {})[row.method] = None
    said = [f"{', '.join(methods)}: {note}" if named else note for note, methods in notes.items()]
    return "  ·  ".join(said)


def _panels(row: Row, scales: _Scales, style: Style) -> list[Panel]:
    """For each picture: the picture, its maps as heat, its maps over it."""
    panels = []
    for group in row.groups:
        height, width = panel_size(group.picture, style.panel_size)
        small = shrunk(group.picture, height, width)
        over = "overlay" if len(group.maps) == 1 else "overlay · {}"
        pairs = _pairs(group, small, (height, width), scales, style, over)
        mark = _mark(group, height, width)
        panels.append(Panel(group.name, height, width, image=small, outlines=mark))
        panels += [heat for heat, _ in pairs] + [overlay for _, overlay in pairs]
    return panels


def _apart(rows: Sequence[Row], scales: _Scales, style: Style) -> dict[str, list[list[Panel]]]:
    """All heat of a method, and all its overlays, each picture in its own size."""
    found: dict[str, list[list[Panel]]] = {"heatmap": [], "overlay": []}
    for row in rows:
        pairs = []
        for group in row.groups:
            height, width, _ = group.picture.shape
            size = layout.enlarged(height, width, style.panel_size)
            pairs += _pairs(group, group.picture, size, scales, style, "{}")
        found["heatmap"].append([heat for heat, _ in pairs])
        found["overlay"].append([overlay for _, overlay in pairs])
    return found


def _pairs(
    group: Group,
    picture: NDArray[Any],
    size: tuple[int, int],
    scales: _Scales,
    style: Style,
    over: str,
) -> list[tuple[Panel, Panel]]:
    """Heat and overlay of every map on a picture; ``over``: the overlay's caption, around the
    map's."""
    made = []
    for shown in group.maps:
        scale, said = scales[shown]
        captions = f"{shown.caption}, {said}", over.replace("{}", shown.caption)
        mark = _mark(group, *size)
        pair = map_pair(picture, shown.cells, scale, captions, *size, style, outlines=mark)
        made.append(pair)
    return made


def _mark(group: Group, height: int, width: int) -> Outlines:
    rows, columns = group.maps[0].cells.shape
    return mark_of((rows, columns), group.mark, height, width)

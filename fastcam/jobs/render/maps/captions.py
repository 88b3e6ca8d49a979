"""The texts of a figure of maps: its heading, and the captions of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastcam.figures.box_outlines import box_text
from fastcam.figures.class_texts import area_text, pixel_count
from fastcam.figures.map_figure import Heading
from fastcam.figures.slice_facts import SliceFacts
from fastcam.store.map_rows import MapCase, MapRow
from fastcam.store.maps import MapStore

if TYPE_CHECKING:
    from fastcam.store.map_schema import MapHeader


class Captions(Protocol):
    """What the figures of a job say beside their maps. It travels to the workers with every task,
    so it is small and can be pickled."""

    @property
    def overlay_first(self) -> bool:
        """Whether a row is image | overlay | heat instead of image | heat | overlay."""

    @property
    def texts(self) -> Sequence[str]:
        """Texts that may stand on the figures besides the store's own."""

    @property
    def settings(self) -> dict[str, Any]:
        """What decides how the figures look, as plain values for the folder's record."""

    def heading(self, header: MapHeader, index: int | None, best: bool) -> Heading:
        """The texts above the figure of an image, or of slice ``index`` of a volume, which is the
        ``best`` one or not."""

    def caption(self, row: MapRow, header: MapHeader, target: int | None) -> str:
        """The caption of a row, and what its map is evidence of: output ``target``, or none."""


@dataclass(frozen=True)
class RenderCaptions:
    """The texts of ``fastcam render``: the class predicted and whether it is right, or the values
    of a regression; a map's caption names the output that it explains.

    Attributes:
        class_names: names of the classes; empty: their numbers.
        classic: whether titles are those of ``--style classic``, without the number of slices.
    """

    class_names: tuple[str, ...] = ()
    classic: bool = False

    @property
    def overlay_first(self) -> bool:
        """Image | heat | overlay."""
        return False

    @property
    def texts(self) -> Sequence[str]:
        """The names of the classes."""
        return self.class_names

    @property
    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def heading(self, header: MapHeader, index: int | None, best: bool) -> Heading:
        """Case and slice; true label, prediction and confidence."""
        case = MapCase(header)
        title = case.name
        if index is not None:
            title += f"  ·  {SliceFacts(header.shape[0]).index_text(index, self.classic)}"
            title += "  ·  BEST" if best else ""
        parts = []
        if case.right is not None:
            parts.append("correct" if case.right else "wrong")
        label = f"true {self._label_text(header.label)}" if header.label else ""
        if len(header.boxes):
            prediction = "; ".join(box_text(box, self._text) for box in header.boxes)
        elif len(header.pixels):
            prediction = area_text(header.output.tolist(), self._text)
        elif header.prediction is None:
            prediction = "predicted " + ", ".join(f"{value:.4g}" for value in header.output[:4])
        else:
            prediction = f"predicted {self._text(header.prediction)}"
        parts.append("  ".join(filter(None, [label, prediction])))
        if header.prediction is not None and np.isfinite(header.confidence):
            parts.append(f"confidence {header.confidence:.4f}")
        parts += filter(None, [slice_answer(header, index, self._text)])
        return Heading(title, "  ·  ".join(parts), case.right)

    def caption(self, row: MapRow, header: MapHeader, target: int | None) -> str:
        """The caption of a row, and the output that its map explains."""
        return row.caption if target is None else f"{row.caption} · target {self._text(target)}"

    def _text(self, label: int) -> str:
        """The name of a class, or its number."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)

    def _label_text(self, label: str) -> str:
        """A label as tables have it: a number has its class's name."""
        number = label.strip()
        return self._text(int(number)) if number.isdecimal() else label


def slice_answer(header: MapHeader, index: int | None, value_text: Callable[[int], str]) -> str:
    """What the model said of slice ``index`` of a volume that it saw slice by slice; else empty.

    ``value_text`` gives the text of a class.
    """
    predictions = header.slices
    row = None if predictions is None or index is None else predictions.row(index)
    if predictions is None or row is None:
        return ""
    if predictions.probability.shape[1] == 0:
        return "this slice " + ", ".join(f"{value:.4g}" for value in predictions.output[row, :4])
    share = predictions.confidence[row]
    return f"this slice {value_text(int(predictions.prediction[row]))} ({share:.4f})"


def row_captions(
    rows: Sequence[MapRow], header: MapHeader, captions: Captions, index: int | None = None
) -> list[str]:
    """The caption of each row on the figure of an image, or of slice ``index`` of a volume."""
    return [captions.caption(row, header, _target(row, header, index)) for row in rows]


def row_note(row: MapRow, header: MapHeader) -> str:
    """What else the figure of an image says of a row: the map's own note and its numbers."""
    numbers = [
        f"{text} {header.measures[column]:.2g}"
        for text, column in row.measures
        if column < len(header.measures)
    ]
    number = row.target or 0
    if row.segment and number < len(header.pixels):
        numbers.append(f"{row.segment}, {pixel_count(int(header.pixels[number]))}")
    elif row.segment and number < len(header.boxes) and header.boxes[number, 4] < 0:
        numbers.append(f"{row.segment}: no such box, no evidence")
    elif row.segment:
        numbers.append(row.segment)
    return "; ".join(filter(None, [row.note, *numbers]))


def _target(row: MapRow, header: MapHeader, index: int | None) -> int | None:
    """The output that a row's map explains; None for attention, for EigenCAM, and where a detector
    has no such box."""
    targets, number = header.targets, row.target or 0
    if header.slices is not None and index is not None:
        at = header.slices.row(index)
        targets = targets if at is None else header.slices.targets[at]
    target = int(targets[number]) if row.is_targeted and number < len(targets) else -1
    return target if target >= 0 else None


def texts_of(store: MapStore, rows: Sequence[MapRow], captions: Captions) -> Mapping[str, None]:
    """Every text that stands on the figures, once."""
    texts = [text for row in rows for text in (row.caption, row.note)]
    for header in store.headers:
        texts += [header.id, header.label, header.group, header.source.name]
    return dict.fromkeys([*texts, *captions.texts])

"""What every worker of an analysis needs: the runs' stores, the names, the look of figures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from fastcam.figures.render_style import RenderStyle, render_style_of
from fastcam.jobs.analyze.display_names import Naming, naming_of
from fastcam.jobs.analyze.image_store import ImageStore
from fastcam.options import PictureFormat, Style


@dataclass(frozen=True, kw_only=True)
class AnalysisTask:
    """All that a worker needs besides the item.

    Attributes:
        stores: path and creation time of one run's store, or of two that are compared.
        models: what the models of the stores are called.
        output_dir: the folder for everything.
        layers: the analyzed layers, from shallow to deep.
        maps: names of the layers' maps in the stores.
        classes: names of the model's outputs; empty where they have none.
        style: how figures look.
        characters: all that the figures' texts hold.
        fonts: the font files for them.
        show_channel: of volumes of several channels the one that is shown, from 1; None: the first.
        started: when the run began (ns): a store may have grown since the last one of a process.
    """

    stores: tuple[tuple[Path, str], ...]
    models: tuple[str, ...]
    output_dir: Path
    layers: tuple[str, ...]
    maps: tuple[str, ...]
    classes: tuple[str, ...]
    style: Style
    characters: str
    fonts: tuple[Path, ...]
    show_channel: int | None = None
    started: int = field(default_factory=time.time_ns)

    @property
    def store(self) -> ImageStore:
        """The first run's images, opened once in each process."""
        return _open_store(*self.stores[0], self.show_channel, self.started)

    @property
    def other(self) -> ImageStore | None:
        """Those of the run to compare with."""
        if len(self.stores) < 2:
            return None
        return _open_store(*self.stores[1], self.show_channel, self.started)

    @property
    def naming(self) -> Naming:
        """What files are called; made once in each process, as ten thousand names would travel
        with every task."""
        return _naming(
            *self.stores[0],
            self.show_channel,
            self.started,
            self.layers,
            self.classes,
            self.style.format,
        )

    @property
    def map_kind(self) -> str:
        """What kind of maps they are, for headings."""
        kind = self.maps[0].partition("/")[0]
        if self.store.attrs.settings.get("sign") == "negative":
            kind += ", evidence against"
        # Where maps are stitched the store says of how many windows.
        note = self.store.maps.note(self.maps[0])
        return ", ".join(filter(None, [kind, note, self.random_weights]))

    @property
    def random_weights(self) -> str:
        """``random weights`` where the model has such; else empty."""
        return "random weights" if self.store.attrs.settings.get("random_weights") else ""

    @property
    def halves(self) -> str:
        """How the model saw the images."""
        return str(self.store.attrs.preprocessing.get("halves", "no"))

    def render_style(self, side: int) -> RenderStyle:
        """Glyphs and color tables for panels whose longer side is ``side`` pixels."""
        return render_style_of(self.style, self.characters, self.fonts, side)


@lru_cache(maxsize=4)
def _open_store(path: Path, created: str, show_channel: int | None, started: int) -> ImageStore:
    # `created` and `started` are arguments so that a store which was made anew, or has grown, is
    # opened anew.
    return ImageStore(path, show_channel)


@lru_cache(maxsize=4)
def _naming(
    path: Path,
    created: str,
    show_channel: int | None,
    started: int,
    layers: tuple[str, ...],
    classes: tuple[str, ...],
    kind: PictureFormat,
) -> Naming:
    headers = _open_store(path, created, show_channel, started).headers
    return naming_of(headers, layers, classes, kind)

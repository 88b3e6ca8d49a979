"""What a render job is asked for: the results, the figures that are wanted, and their look."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from fastcam.errors import InputError
from fastcam.jobs.render.maps.captions import Captions, RenderCaptions
from fastcam.options import MapChoice, Selection, Sources, Style


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """The settings of a render job. Raises :class:`InputError` where there are no ``results``.

    Attributes:
        results: a results file (.pkl, .npz, .json) or a run store (.zarr).
        output_dir: the folder of the figures; made if need be.
        sources: the images and masks, and their geometry.
        style: the look of the figures.
        selection: which cases and which of their slices are drawn.
        choice: which maps of a store of maps are drawn.
        statistics: whether the attention of the cases is measured, too.
        captions: the texts of figures of maps.
        overwrite: whether figures of other settings are replaced; else they are an error.
        trust_inputs: whether files that changed since they were drawn, or since the model saw
            them, are not looked for.
        finished_only: whether cases of a store of maps that the model has not done yet are left
            out; else they are errors.
    """

    results: Path
    output_dir: Path
    sources: Sources
    style: Style
    selection: Selection
    choice: MapChoice = field(default_factory=MapChoice)
    statistics: bool = False
    captions: Captions = field(default_factory=RenderCaptions)
    overwrite: bool = False
    trust_inputs: bool = False
    finished_only: bool = False

    def __post_init__(self) -> None:
        hint = "give a results file (.pkl, .npz, .json) or a run store (.zarr)"
        try:
            mode = self.results.stat().st_mode
        except FileNotFoundError as error:
            raise InputError(f"{self.results}: no such file; {hint}") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{self.results}: can't be read: {reason}") from error
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{self.results}: is not a regular file; {hint}")

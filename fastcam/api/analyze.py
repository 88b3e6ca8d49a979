"""``fastcam.Analyzer``: images looked at through several layers of a model, in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError
from fastcam.jobs.analyze.job import analyse_images
from fastcam.jobs.analyze.preparation import maps_wanted, preprocessing
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.request import AnalysisChoice, Subjects
from fastcam.jobs.analyze.results import ImageResult
from fastcam.jobs.infer.request import InputChoice, InferenceOptions
from fastcam.options import Style
from fastcam.run.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from fastcam.attribution.request import Sign, MapRequest
    from fastcam.figures.figure import Figure
    from fastcam.inference.predictions import Task
    from fastcam.read.inputs.preprocess import Fit, Preprocessing

PathLike = str | Path


@dataclass(frozen=True, eq=False)
class ImageAnalysis:
    """One image: its numbers, its maps, and a figure that shows itself in a notebook.

    ``maps``: layer to the raw CAM (h, w) float32 at the layer's resolution. ``at_input`` (h, w):
    |gradient × input| over the whole image, of models that see halves.
    """

    result: ImageResult
    maps: Mapping[str, NDArray[np.float32]]
    at_input: NDArray[np.float32] | None
    figure: Figure = field(repr=False)

    def _repr_png_(self) -> bytes:
        return self.figure._repr_png_()


class Analyzer:
    """A model and how it is looked at; the keywords are the options of ``fastcam analyze``.

    ``model``: a name as ``--model`` takes it, or a module of your own. ``layers``: dotted names, or
    "auto" for the last convolution of each stage. ``target``: the output to explain, None for the
    predicted one. ``asymmetry`` None: by the model's input channels. ``output_dir`` is where
    :meth:`analyze_batch` writes, unless it is given another folder.

    Raises :class:`~fastcam.errors.InputError` for what doesn't exist or doesn't go together.
    """

    def __init__(
        self,
        model: str | nn.Module,
        checkpoint: PathLike | None = None,
        *,
        layers: Sequence[str] | str = "auto",
        method: str = "gradcam",
        target: int | None = None,
        sign: Sign = "positive",
        prefix_tokens: int | None = None,
        asymmetry: bool | None = None,
        mirror: bool = False,
        image_size: int | Sequence[int] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        fit: Fit | None = None,
        num_classes: int | None = None,
        in_channels: int | None = None,
        allow_partial: bool = False,
        compare: PathLike | None = None,
        task: Task = "auto",
        device: str = "auto",
        precision: str = "auto",
        batch_size: int = 16,
        readers: int | None = None,
        output_dir: PathLike = "fastcam-analyze",
        how: AnalysisChoice | None = None,
    ) -> None:
        from fastcam.api.models import load_model
        from fastcam.inference.device import choose_device

        if batch_size < 1:
            raise InputError(f"--batch-size {batch_size} is too small: it must be at least 1")
        where = choose_device(device)

        def load(given: str | nn.Module, weights: PathLike | None) -> nn.Module:
            named = isinstance(given, str)
            return load_model(
                given, weights, num_classes=num_classes, in_channels=in_channels,
                image_size=image_size if named else None, allow_partial=allow_partial,
            ).to(where)  # fmt: skip

        loaded = load(model, checkpoint)
        name = model if isinstance(model, str) else type(model).__name__
        self.subjects = Subjects(loaded, {"model": name, "checkpoint": checkpoint})
        self.how = how or AnalysisChoice()
        if compare is not None:
            other = load(model if isinstance(model, str) else _copied(model), compare)
            said = {"model": name, "checkpoint": compare}
            self.subjects = replace(self.subjects, other=other, other_described=said)
            self.how = replace(self.how, models=_called(checkpoint, compare))
        self.spec: Preprocessing = preprocessing(
            loaded, image_size, mean, std, fit, asymmetry, mirror
        )
        names = (layers,) if isinstance(layers, str) else tuple(layers)
        self.wanted: MapRequest = maps_wanted(
            loaded, self.spec, names, method, target, sign, prefix_tokens
        )
        self.running = InferenceOptions(device, precision, None, batch_size, readers, task)
        self.output_dir = Path(output_dir)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are looked at, from shallow to deep."""
        return self.wanted.layers

    def analyze(self, image: Any, **style: Any) -> ImageAnalysis:
        """Look at one image: a path, a PIL image, or an array (h, w[, c]) uint8. Writes nothing.

        ``style``: fields of :class:`fastcam.options.Style` for the figure. InputError for an image
        that can't be read.
        """
        from fastcam.jobs.analyze.single_image import analyse_one

        look = replace(self.how.style, **style)
        return ImageAnalysis(
            *analyse_one(self.subjects.model, self.spec, self.wanted, self.running, self.how, look,
                         image)
        )  # fmt: skip

    def analyze_batch(
        self,
        folder: PathLike | Sequence[PathLike],
        pattern: str | None = None,
        *,
        output_dir: PathLike | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Analysis:
        """Look at all images of a folder, whose own folders name their classes, and write maps,
        numbers, comparisons and the report; as ``fastcam analyze``. ``pattern``: which files, as
        in ``"*/*.jpg"``. What an earlier run has finished is kept.

        Images that fail are in ``.failures``, and the others are done. InputError for wrong
        settings and no images, OutputError when a file can't be written.
        """
        given = (folder,) if isinstance(folder, str | Path) else tuple(folder)
        return analyse_images(
            self.subjects, self.spec, InputChoice(tuple(map(Path, given)), pattern), self.wanted,
            self.running, self.how, Path(output_dir or self.output_dir), overwrite, progress,
        )  # fmt: skip


def analysis_style(**style: Any) -> Style:
    """The style of an analysis: heat 0.7 and image 0.3, unless ``style`` says otherwise."""
    return Style(**{"heat_alpha": 0.7, **style})


def _copied(model: nn.Module) -> nn.Module:
    """A module that other weights can be loaded into."""
    import copy

    return copy.deepcopy(model)


def _called(checkpoint: PathLike | None, compare: PathLike) -> tuple[str, str]:
    """What two models are called: their files, with the folder where these are called alike."""
    first = None if checkpoint is None else Path(checkpoint)
    second = Path(compare)
    if first is None:
        return "random weights", second.name
    if first.name == second.name:
        return f"{first.parent.name}/{first.name}", f"{second.parent.name}/{second.name}"
    return first.name, second.name

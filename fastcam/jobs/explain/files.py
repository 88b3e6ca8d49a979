"""Images explained by one or several models, as files: what ``fastcam explain`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcam.errors import InputError
from fastcam.inference.images import ImageBatch, read_each, collate
from fastcam.jobs.explain.comparison import Comparison
from fastcam.jobs.explain.explanation import Explanation
from fastcam.jobs.explain.job import explained
from fastcam.jobs.explain.request import ExplainRequest, layers_of, steps_of, with_methods
from fastcam.jobs.explain.results import Head
from fastcam.jobs.explain.scales import Scale, check_scale
from fastcam.jobs.explain.support import support_of
from fastcam.options import Style
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.preprocess import Preprocessing
from fastcam.run import file_names
from fastcam.run.files import make_folder
from fastcam.run.folder import FAILURES, write_failures
from fastcam.run.records import Failure

if TYPE_CHECKING:
    from torch import nn

Told = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A model to explain by: ``name`` while it is loaded, ``label`` on the figures, "" for one
    alone."""

    name: str
    label: str
    load: Callable[[], nn.Module]


@dataclass(frozen=True)
class Drawing:
    """How figures are drawn: see :meth:`fastcam.jobs.explain.comparison.Comparison.figure`."""

    scale: Scale = "auto"
    head: Head = "mean"
    style: Style = field(default_factory=Style)

    def __post_init__(self) -> None:
        check_scale(self.scale)


@dataclass(frozen=True)
class Written:
    """``figures`` that were written, images that failed, and what each model found for the others,
    by label."""

    figures: list[Path]
    failures: list[Failure]
    results: dict[str, Explanation]


def write_explanations(
    models: Sequence[Candidate],
    items: Sequence[Item],
    output_dir: Path,
    asked: ExplainRequest,
    spec_of: Callable[[nn.Module], Preprocessing],
    *,
    layers: Sequence[str | int] = (),
    targets: Any = None,
    support: Any = None,
    drawing: Drawing | None = None,
    told: Told = lambda line: None,
) -> Written:
    """Explain every image by every model, and write the figures of
    :meth:`fastcam.jobs.explain.comparison.Comparison.save`.

    One image has its figures right in ``output_dir``, several have a folder each in it.
    ``spec_of`` gives a model's preprocessing; ``layers``, ``targets`` and ``support`` as
    :func:`fastcam.explain` takes them; ``told`` gets a numbered line for each step before it is
    done. An image that can't be read, or whose maps are not finite, is left out and listed in
    ``failures.csv``. InputError for all else that is wrong, and where no image is left: nothing is
    written then.
    """
    drawing = drawing or Drawing()
    if output_dir.exists() and not output_dir.is_dir():
        make_folder(output_dir)
    has_support = support is not None
    known = len(steps_of(asked, has_support)) if asked.methods else 1
    begun = numbered(told, len(models) * (1 + known) + 2)
    loaded = []
    for candidate in models:
        begun(f"loading {candidate.name}")
        loaded.append(candidate.load())
    asked = with_methods(asked, loaded, has_support)
    asked = replace(asked, layers=layers_of(layers, asked.methods))
    steps = steps_of(asked, has_support)
    specs = [spec_of(model) for model in loaded]
    begun(f"reading {len(items)} {'image' if len(items) == 1 else 'images'}")
    shown, places, failures = _read(items, specs)
    found = {}
    for model, candidate, spec, batch in zip(loaded, models, specs, shown, strict=True):
        given = support_of(support, spec)

        def step_begun(text: str, label: str = candidate.label) -> None:
            begun(f"{label}: {text}" if label else text)

        found[candidate.label] = explained(
            model, batch, asked, steps, targets, given, step_begun, told
        )
    begun("drawing")
    figures = _draw(found, [items[place] for place in places], places, output_dir,
                    len(items) == 1, drawing, failures)  # fmt: skip
    failures.sort(key=lambda failure: failure.place)
    write_failures(output_dir / FAILURES, failures)
    return Written(figures, failures, found)


def numbered(told: Told, total: int) -> Told:
    """``told`` with ``[1/total]`` before each line."""
    numbers: Iterator[int] = iter(range(1, total + 1))
    return lambda text: told(f"[{next(numbers)}/{total}] {text}")


def _read(
    items: Sequence[Item], specs: Sequence[Preprocessing]
) -> tuple[list[ImageBatch], list[int], list[Failure]]:
    """For each of ``specs`` the images that can be read for all of them, their places, and why the
    others can't. InputError where none can."""
    sources = [item.source for item in items]
    read = [read_each(sources, spec) for spec in specs]
    failed = {place: why for _, reasons in reversed(read) for place, why in reasons.items()}
    places = [place for place in range(len(items)) if place not in failed]
    if not places:
        first = failed[min(failed)]
        raise InputError(first if len(items) == 1 else f"none of the images can be read: {first}")
    called = tuple(items[place].id for place in places)
    shown = [collate([images[place] for place in places], called) for images, _ in read]
    failures = [_trouble(place, items[place], why) for place, why in failed.items()]
    return shown, places, failures


def _trouble(place: int, item: Item, why: str) -> Failure:
    return Failure("error", place + 1, item.id, None, 1, why)


def _draw(
    found: dict[str, Explanation],
    items: Sequence[Item],
    places: Sequence[int],
    output_dir: Path,
    alone: bool,
    drawing: Drawing,
    failures: list[Failure],
) -> list[Path]:
    """The figures of all images; one whose maps can't be drawn is added to ``troubles``."""
    several = Comparison(tuple(found.values()), tuple(found))
    folders = file_names.image_folders([item.id for item in items])
    written: list[Path] = []
    errors: list[InputError] = []
    for index, (item, folder) in enumerate(zip(items, folders, strict=True)):
        where = output_dir if alone else output_dir / folder
        try:
            written += several.write(where, index, drawing.scale, drawing.head, drawing.style)
        except InputError as error:
            errors.append(error)
            failures.append(_trouble(places[index], item, str(error)))
    if not written:
        raise errors[0]
    return written

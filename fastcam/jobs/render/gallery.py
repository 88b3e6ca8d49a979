"""What a run left in its output folder, as the gallery that its page is made of."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastcam.errors import InputError, OutputError
from fastcam.jobs.render.gallery_answers import answer_text, class_text, error_of, label_text
from fastcam.jobs.render.gallery_columns import gallery_columns
from fastcam.jobs.render.gallery_content import FailureRow, Gallery, GalleryCase, GalleryFigure
from fastcam.jobs.render.page import GENERATOR, page_html
from fastcam.read.collector import collector_paused
from fastcam.read.regular_files import check_regular
from fastcam.run.failures import FAILURES
from fastcam.run.files import write_text
from fastcam.run.folder import FIGURES, RUN, STORE
from fastcam.run.journal import whole_rows
from fastcam.run.object_journal import journal_text
from fastcam.run.processes import status_of
from fastcam.storage.locations import is_url, relative_text, under
from fastcam.store.map_rows import MapCase, method_of
from fastcam.store.maps import MapStore
from fastcam.store.open import open_store
from fastcam.store.patches import RunStore

PAGE = "index.html"
_BESIDE = (FIGURES, FAILURES, RUN, "statistics.csv", "statistics.json", "statistics.png")
_N = r"\d{1,6}"
# What an evaluation is of; detectors and segmentations don't say.
_OF_CLASSES = ("classes", "classification")
_PANELS = re.compile(f"{_N} {_N},{_N} {_N} {_N} {_N}(,{_N} {_N} {_N} {_N} {_N}( 1)?)+")
# Where the generator stands in a page: a tenth of this.
_HEAD = 4096


def write_page(
    folder: Path,
    other: Path | None = None,
    table: Path | None = None,
    id_column: str | None = None,
) -> Path:
    """Write ``index.html`` into the output folder of a run, in place of an older one.

    With ``other``, the output folder of another run of the same cases, the page shows both side by
    side and is called ``compare-NAME.html`` after it. ``table`` has further columns of the cases,
    by which they are filtered, joined by the ids in its ``id_column``; None: the column that fits
    most.

    Raises :class:`InputError` when a folder isn't a run's output, and :class:`OutputError` when the
    page can't be written or a page of somebody else is in the way.
    """
    with collector_paused():
        gallery = read_gallery(folder)
        gallery = replace(gallery, columns=gallery_columns(folder, gallery.cases, table, id_column))
        path = folder / PAGE
        if other is not None:
            if other.resolve() == folder.resolve():
                raise InputError(f"{other}: is given twice; give the output folders of two runs")
            gallery = beside(gallery, folder, other)
            path = folder / f"compare-{other.resolve().name}.html"
        check_page(path)
        write_text(path, page_html(gallery))
    return path


def beside(gallery: Gallery, folder: Path, other: Path) -> Gallery:
    """A gallery with the cases of another run that it shares; InputError where it shares none."""
    theirs = read_gallery(other)
    names = {case.name for case in gallery.cases}
    shared = tuple(case for case in theirs.cases if case.name in names)
    if gallery.cases and not shared:
        raise InputError(
            f"{other}: has figures of no case of {folder}; give runs of the same cases"
        )
    relative = relative_text(other.resolve(), folder.resolve())
    if is_url(relative):
        raise InputError(
            f"{other}: a page finds its figures from where it lies itself; give two runs of this "
            "machine, or of one bucket"
        )
    return replace(
        gallery,
        title=f"{gallery.title} beside {theirs.title}",
        other=replace(theirs, cases=shared),
        other_folder=f"{Path(relative).as_posix()}/",
    )


def read_gallery(folder: Path) -> Gallery:
    """What a run left in ``folder``; figures that are listed but gone are left out.

    Raises :class:`InputError` that names what is missing.
    """
    run = _read_run(folder)
    store = open_store(_store_path(folder, run))
    figures_by_case, summaries = _read_figures(folder)
    settings = run.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    names = _class_names(settings)
    if isinstance(store, MapStore):
        cases = tuple(_map_cases(store, figures_by_case, summaries, names))
        content = (
            f"{', '.join(dict.fromkeys(map(method_of, store.map_names)))}: {store.attrs.model}"
        )
        if store.attrs.settings.get("random_weights"):
            content += ", random weights: the maps mean nothing"
    else:
        cases = tuple(_cases(store, figures_by_case, summaries, names))
        content = f"Patch attention: {store.attrs.source}"
    return Gallery(
        title=f"{content} ({folder.resolve().name})",
        status=status_of(run),
        settings=settings,
        available=len(store.headers if isinstance(store, MapStore) else store.cases),
        cases=cases,
        failures=tuple(_failures(folder)),
        files=tuple(name for name in _BESIDE if (folder / name).is_file()),
        maps=isinstance(store, MapStore),
        flat=isinstance(store, MapStore) and store.attrs.dims == 2,
        run=folder.resolve().name,
    )


def _class_names(settings: Mapping[str, Any]) -> tuple[str, ...]:
    names, judging = settings.get("class_names"), settings.get("judging")
    # An evaluation has its classes from the table, too; the names of a regression are no classes.
    if not names and isinstance(judging, dict) and judging.get("kind", "classes") in _OF_CLASSES:
        names = judging.get("names")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _read_run(folder: Path) -> dict[str, Any]:
    path = folder / RUN
    check_regular(path)
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = f"it has no {RUN}" if folder.is_dir() else "there is no such folder"
        raise InputError(
            f"{folder}: is not the output of a run ({missing}); give the --output-dir of a "
            f"`fastcam render`"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: is not a run's description ({error}); run `fastcam render` again"
        ) from error
    if not isinstance(run, dict):
        raise InputError(f"{path}: is not a run's description; run `fastcam render` again")
    return run


def _store_path(folder: Path, run: dict[str, Any]) -> Path:
    """The run store that was rendered: in the folder, or where it lay then."""
    store = run.get("store")
    path = under(folder, store if isinstance(store, str) else STORE)
    if not path.exists():
        raise InputError(
            f"{folder}: is not the whole output of a run (its run store {path} is missing); run "
            f"`fastcam render` again"
        )
    return path


def _read_figures(folder: Path) -> tuple[dict[int, dict[int, GalleryFigure]], dict[int, str]]:
    """Figures by place and slice, and summaries by place."""
    figures: defaultdict[int, dict[int, GalleryFigure]] = defaultdict(dict)
    summaries: dict[int, str] = {}
    listing = _Listing(folder)
    for row in _rows(folder / FIGURES, needed=True):
        try:
            path, place, index = row["path"], int(row["place"]), row["slice"]
            figure = GalleryFigure(
                path,
                int(index or 0),
                best=row["best"] == "True",
                average=float(row["average"]),
                high=float(row.get("high") or 0.0),
                low=float(row.get("low") or 0.0),
                panels=panels_of(row.get("panels", "")),
            )
        except (KeyError, TypeError, ValueError):
            continue  # somebody edited it: the next run draws that figure again, as this can't
        if path not in listing:
            continue
        if not index:
            summaries[place] = path
        elif "/" in path or figure.slice not in figures[place]:
            # Both modes in one folder draw the best slice twice, alike.
            figures[place][figure.slice] = figure
    return figures, summaries


def panels_of(text: str) -> str:
    """Where panels lie, as the page draws them; empty where it isn't said, or not so."""
    return text if _PANELS.fullmatch(text) else ""


class _Listing:
    """Which files there are below a folder: one look at each subfolder, not at each file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, frozenset[str]] = {}

    def __contains__(self, path: str) -> bool:
        parent, _, name = path.rpartition("/")
        names = self._names.get(parent)
        if names is None:
            names = self._names[parent] = self._names_in(parent)
        return name in names and not path.startswith("/")

    def _names_in(self, parent: str) -> frozenset[str]:
        if parent.startswith("/") or ".." in parent.split("/"):
            return frozenset()  # no run writes outside its folder
        try:
            return frozenset(entry.name for entry in (self._folder / parent).iterdir())
        except (OSError, ValueError):
            return frozenset()


def _cases(
    store: RunStore,
    figures_by_case: dict[int, dict[int, GalleryFigure]],
    summaries: dict[int, str],
    names: Sequence[str],
) -> Iterator[GalleryCase]:
    for number, header in enumerate(store.cases):
        figures = _by_slice(figures_by_case, header.place)
        if figures:
            yield GalleryCase(
                place=header.place,
                name=header.name,
                true_label=""
                if header.true_label is None
                else class_text(header.true_label, names),
                predicted_label=class_text(header.predicted_label, names),
                correct=header.correct,
                confidence=header.confidence,
                highest=float(store.case(number).weights.max()),
                figures=figures,
                summary=summaries.get(header.place),
            )


def _map_cases(
    store: MapStore,
    figures_by_case: dict[int, dict[int, GalleryFigure]],
    summaries: dict[int, str],
    names: Sequence[str],
) -> Iterator[GalleryCase]:
    findings = store.attrs.settings.get("task") == "multilabel"
    for header in store.headers:
        figures = _by_slice(figures_by_case, header.place)
        if figures:
            yield GalleryCase(
                place=header.place,
                name=header.id,
                true_label=label_text(header.label, names, findings),
                predicted_label=answer_text(header, names, findings),
                correct=MapCase(header).right,
                confidence=header.confidence,
                highest=max(figure.high for figure in figures),
                figures=figures,
                summary=summaries.get(header.place),
                error=error_of(header),
            )


def _by_slice(
    figures_by_case: dict[int, dict[int, GalleryFigure]], place: int
) -> tuple[GalleryFigure, ...]:
    return tuple(figure for _, figure in sorted(figures_by_case.get(place, {}).items()))


def _failures(folder: Path) -> Iterator[FailureRow]:
    for row in _rows(folder / FAILURES, needed=False):
        try:
            index = int(row["slice"]) if row["slice"] else None
            yield FailureRow(row["level"], row["case"], index, row["reason"])
        except (KeyError, TypeError, ValueError):
            continue  # as above


def _rows(path: Path, needed: bool) -> list[dict[str, str]]:
    check_regular(path)
    try:
        # A killed run may have left half a character at the end.
        text = journal_text(path)
    except FileNotFoundError as error:
        if not needed:
            return []
        raise InputError(
            f"{path.parent}: is not the whole output of a run ({path.name} is missing); run "
            f"`fastcam render` again"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    return whole_rows(text)


def check_page(path: Path) -> None:
    """OutputError where somebody's own ``index.html`` would be replaced."""
    check_regular(path)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD)
    except OSError:
        return  # none there; or writing will say what is wrong
    if head and GENERATOR not in head:
        raise OutputError(
            f"{path}: is not a gallery page of fastcam; move it away, then run "
            f"`fastcam gallery {path.parent}`"
        )

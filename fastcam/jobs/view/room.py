"""The reading room itself: its runs, its table, the cases that are open, and what is asked of it.

It knows nothing of HTTP: every method takes and gives plain values, from any thread.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastcam._version import __version__
from fastcam.errors import CaseError, InputError
from fastcam.figures.figure_parts import Panel
from fastcam.figures.map_figure import DIVERGING_TABLE
from fastcam.jobs.view.case_cache import CaseCache
from fastcam.jobs.view.case_table import CaseTable, case_table, finite
from fastcam.jobs.view.cohort_scales import CohortScales
from fastcam.jobs.view.drawing import (
    Picture,
    difference_panel,
    draw_picture,
    heat_limits,
    picture_panel,
)
from fastcam.jobs.view.niivue import niivue_script
from fastcam.jobs.view.open_runs import open_runs
from fastcam.jobs.view.opened_case import Look, OpenedCase, Slot
from fastcam.jobs.view.query import (
    MapReference,
    PictureQuery,
    number,
    parse_picture,
)
from fastcam.jobs.view.regions import region_text
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.review_file import Judgement, ReviewFile, latest, review_path
from fastcam.jobs.view.room_facts import color_tables, look_fields, run_facts
from fastcam.jobs.view.run import CaseRow, ViewRun, prepared_style
from fastcam.options import COLORMAPS, Style

_LONGEST_TEXT = 10_000


class Room:
    """The runs of a request, opened. Raises :class:`InputError` where one can't be.

    Attributes:
        request: the settings of the room.
        runs: the runs, in their order.
        table: their cases.
        style: the look that the room opens with.
    """

    def __init__(self, request: ViewRequest) -> None:
        self.request = request
        self.runs: tuple[ViewRun, ...] = open_runs(request)
        self.table: CaseTable = case_table(self.runs, request.table, request.id_column)
        self.style = self._first_style()
        self._cases: CaseCache[OpenedCase] = CaseCache(request.memory)
        self._cohorts = CohortScales(self.runs)
        self.review = ReviewFile(review_path(request))
        # A file of something else is said before the room opens, not at the first judgement, and so
        # is a place that was asked for; beside a run of somebody else one may still look.
        self.review.read()
        if request.judging.file is not None:
            self.review.check_place()

    def _first_style(self) -> Style:
        """The look asked for, or where none was that of the first run's figures."""
        own = self.runs[0].style
        return own if own is not None and self.request.style == Style() else self.request.style

    def facts(self) -> dict[str, Any]:
        """What the page needs to begin, as plain values."""
        style = self.style
        judging = self.request.judging
        return {
            "fastcam": __version__,
            "runs": [run_facts(run) for run in self.runs],
            "table": finite(self.table.facts(judging.blind)),
            "colormaps": COLORMAPS,
            "style": look_fields(style),
            "usual_style": look_fields(Style()),
            "tables": color_tables(),
            "view3d": niivue_script() is not None,
            "marks": judging.marks,
            "reader": judging.reader,
            "review": str(self.review.path),
            "blind": judging.blind,
        }

    def case_facts(self, case: int) -> dict[str, Any]:
        """What the page needs to show a case: by run what is known of it, or why it can't be."""
        of_runs: list[dict[str, Any]] = []
        for number_of_run in range(len(self.runs)):
            try:
                opened_case = self.open(number_of_run, case)
            except CaseError as error:
                of_runs.append({"error": str(error)})
                continue
            row = self.case_row(number_of_run, case)
            of_runs.append(
                {
                    **opened_case.facts(),
                    **(
                        {}
                        if self.request.judging.blind
                        else {
                            "label": row.label,
                            "prediction": row.prediction,
                            "correct": row.correct,
                            "confidence": row.confidence,
                        }
                    ),
                }
            )
        return finite({"id": self.table.ids[case], "runs": of_runs})

    def open(self, run: int, case: int) -> OpenedCase:
        """A case of a run, opened now or before. CaseError where it can't be."""
        index = self._index(run, case)
        return self._cases.get((run, index), lambda: self.runs[run].open(index))

    def case_row(self, run: int, case: int) -> CaseRow:
        """What a run says of a case of the table. CaseError where it has none."""
        return self.runs[run].cases[self._index(run, case)]

    def prefetch(self, case: int) -> None:
        """Open a case of every run, so that it is there when it is asked for."""
        for run in range(len(self.runs)):
            try:
                self.open(run, case)
            except CaseError:
                continue  # said when it is looked at

    def prepare(self) -> None:
        """Open the first case, which is asked for first."""
        if self.table.ids:
            self.prefetch(0)

    def picture(self, query: Mapping[str, str]) -> Picture:
        """The picture that the parameters of an address ask for; it doesn't wait for a scale over
        all cases: as long as that is not known it is one on the case's scale."""
        return self.picture_now(parse_picture(query, self.style))

    def picture_now(self, asked: PictureQuery) -> Picture:
        """:meth:`picture` of parameters that are read already."""
        if self._knows_scales(asked):
            return self.draw(asked)
        return replace(self.draw(_on_own_scale(asked)), provisional=True)

    def draw(self, query: PictureQuery) -> Picture:
        """Draw a picture. CaseError where there is no such case, map or slice."""
        panel = self.panel(query)
        lettering = prepared_style(query.look.style, *_size(panel)).lettering
        return draw_picture(panel, lettering, self.colors(query), self.notes(query))

    def colors(self, query: PictureQuery) -> str:
        """The name of the color table of a picture's heat."""
        if query.kind == "difference":
            return DIVERGING_TABLE
        return self.open(query.run, query.case).colors(query.slot, query.look)

    def notes(self, query: PictureQuery) -> tuple[str, ...]:
        """What has to be said of the maps of a picture, each once."""
        if query.kind in ("image", "mask"):
            return ()
        own = self.open(query.run, query.case).notes(query.slot, self.look(query))
        if query.other is None:
            return own
        other, slot = self._reference(query, query.other)
        its = other.notes(slot, self._look(query, query.other.run, slot))
        return tuple(dict.fromkeys([*own, *its]))

    def panel(self, query: PictureQuery) -> Panel:
        """What :meth:`draw` draws."""
        opened_case = self._opened_at(query.run, query.case, query.slot)
        look = self._look(query, query.run, query.slot)
        if query.kind != "difference":
            return picture_panel(opened_case, query.slot, look, query.kind)
        assert query.other is not None
        other, slot = self._reference(query, query.other)
        other_look = self._look(query, query.other.run, slot)
        return difference_panel(opened_case, query.slot, look, other, slot, other_look)

    def _opened_at(self, run: int, case: int, slot: Slot) -> OpenedCase:
        """A case that has the plane and the map of a picture. CaseError where it has not."""
        opened_case, maps = self.open(run, case), self.runs[run].maps
        if slot.axis not in opened_case.planes:
            raise CaseError(f"has no pictures along axis {slot.axis}")
        if not 0 <= slot.map < len(maps):
            raise CaseError(f"has no map {slot.map}")
        if slot.head is not None and not 0 <= slot.head < maps[slot.map].heads:
            raise CaseError(f"has no head {slot.head} in {maps[slot.map].name}")
        return opened_case

    def _reference(self, query: PictureQuery, reference: MapReference) -> tuple[OpenedCase, Slot]:
        """Another map at the same slice of the file."""
        slot = replace(query.slot, map=reference.map, head=reference.head)
        other = self._opened_at(reference.run, query.case, slot)
        if slot.axis != 0:
            return other, slot
        first = self.open(query.run, query.case).first
        return other, replace(slot, index=slot.index + first - other.first)

    def look(self, query: PictureQuery) -> Look:
        """The look of a picture's own map."""
        return self._look(query, query.run, query.slot)

    def _look(self, query: PictureQuery, run: int, slot: Slot) -> Look:
        """The look of a map, with the limits that its scale, and those it is linked with, ask
        for."""
        look = self._with_cohort(query.look, run, slot)
        if look.limits is not None or not query.linked:
            return look
        limits = [heat_limits(self.open(run, query.case), slot, look)]
        for reference in query.linked:
            other, other_slot = self._reference(query, reference)
            other_look = self._with_cohort(query.look, reference.run, other_slot)
            limits.append(heat_limits(other, other_slot, other_look))
        low, high = min(low for low, _ in limits), max(high for _, high in limits)
        return replace(look, limits=(low, high)) if low < high else look

    def reading(self, query: Mapping[str, str]) -> dict[str, Any]:
        """What lies at a place, ``x`` and ``y`` as shares of the picture, of a picture."""
        picture = parse_picture(query, self.style)
        if not self._knows_scales(picture):
            picture = _on_own_scale(picture)
        across, down = number(query, "x", None), number(query, "y", None)
        if not (0 <= across < 1 and 0 <= down < 1):
            raise CaseError("the place is outside the picture")
        opened_case = self._opened_at(picture.run, picture.case, picture.slot)
        look = self._look(picture, picture.run, picture.slot)
        return finite(opened_case.reading(picture.slot, look, across, down).facts())

    def judgements(self, reader: str) -> dict[str, Any]:
        """What a reader has said so far, by the number of the case, as plain values."""
        numbers = {name: number for number, name in enumerate(self.table.ids)}
        own = [entry for entry in self.review.read() if entry.reader == reader]
        return {
            str(numbers[case]): vars(judgement)
            for (_, case), judgement in latest(own).items()
            if case in numbers
        }

    def judge(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write a judgement; it is on the disk when this returns.

        ``content`` is what the page sends: run, case, map, head, axis and slice as an address has
        them, and mark, note, region and reader. InputError for what is none.
        """
        texts = {name: _text(content, name) for name in ("mark", "note", "reader")}
        if texts["mark"] and texts["mark"] not in self.request.judging.marks:
            raise InputError(f"mark {texts['mark']!r:.60} is none of this room's")
        query = {
            name: str(content[name])
            for name in ("run", "case", "map", "head", "axis", "slice")
            if content.get(name) is not None
        }
        picture = parse_picture(query, self.style)
        slot = picture.slot
        plane = self._opened_at(picture.run, picture.case, slot).planes[slot.axis]
        run = self.runs[picture.run]
        method = run.maps[slot.map].name
        judgement = Judgement(
            case=self.table.ids[picture.case],
            run=run.name,
            slice=str(slot.index) if plane.depth > 1 else "",
            method=method if slot.head is None else f"{method} · head {slot.head}",
            region=region_text(content.get("region"), plane),
            plane=str(slot.axis) if plane.depth > 1 else "",
            **texts,
        )
        return vars(self.review.append(judgement))

    def case_number(self, case: str | int) -> int:
        """The number in the table of the case of a name, or of a number, negative from the end."""
        names = self.table.ids
        if isinstance(case, str):
            if case not in names:
                near = difflib.get_close_matches(case, names, n=3)
                hint = f"; did you mean {', '.join(near)}?" if near else ""
                raise InputError(f"{case!r} is not among the {len(names)} cases{hint}")
            return names.index(case)
        if not -len(names) <= case < len(names):
            raise InputError(f"case {case}: there are {len(names)} cases, counted from 0")
        return case % len(names)

    def map_number(self, name: int | str) -> int:
        """The number of a map of the first run by its name; a number is one already."""
        if isinstance(name, int):
            return name
        names = [facts.name for facts in self.runs[0].maps]
        if name not in names:
            raise InputError(f"map {name!r} is not in the run; there are {', '.join(names)}")
        return names.index(name)

    def _with_cohort(self, look: Look, run: int, slot: Slot) -> Look:
        """The same, with the limits over all cases where its scale needs them."""
        if look.style.scale != "cohort" or look.limits is not None:
            return look
        of_map = MapReference(run=run, map=slot.map, head=slot.head)
        return replace(look, cohort=self._cohorts.limits(of_map, look.style.classic))

    def _knows_scales(self, query: PictureQuery) -> bool:
        """Whether no scale over all cases has to be waited for; else it is being found now."""
        look, slot = query.look, query.slot
        if look.style.scale != "cohort" or look.limits is not None:
            return True
        others = (*query.linked, *filter(None, [query.other]))
        own = MapReference(run=query.run, map=slot.map, head=slot.head)
        return all(self._cohorts.known(each, look.style.classic) for each in (own, *others))

    def _index(self, run: int, case: int) -> int:
        """The number in a run of a case of the table. CaseError where it has none."""
        if not (0 <= run < len(self.runs) and 0 <= case < len(self.table.ids)):
            raise CaseError(f"there is no case {case} in run {run}")
        index = self.table.indices[run][case]
        if index is None:
            raise CaseError(f"{self.table.ids[case]}: is not in {self.runs[run].name}")
        return index


def _text(content: Mapping[str, Any], name: str) -> str:
    text = content.get(name) or ""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise InputError(f"{name}: give a text of at most {_LONGEST_TEXT} letters")
    return text


def _on_own_scale(query: PictureQuery) -> PictureQuery:
    """The same picture on the scale of its case."""
    look = query.look
    return replace(query, look=replace(look, style=replace(look.style, scale="patient")))


def _size(panel: Panel) -> tuple[int, int]:
    return panel.height, panel.width

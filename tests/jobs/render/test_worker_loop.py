"""The loop over the cases and figures of a work item: what one bad case or figure costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from fastcam.errors import CaseError, OutputError
from fastcam.figures.figure_parts import Panel, Sheet
from fastcam.figures.render_style import render_style_of
from fastcam.jobs.render.worker_loop import (
    CaseFigure,
    CaseFigures,
    Summary,
    draw_item,
)
from fastcam.options import PictureFormat, Style
from fastcam.run.records import FigureRecord
from fastcam.run.work_items import CaseSlices

STYLE = render_style_of(Style(), "", (), 32)


@dataclass
class Header:
    place: int
    name: str


@dataclass
class Figures(CaseFigures):
    """Figures of grey squares; that of each index in ``bad`` can't be made."""

    header: Header
    bad: tuple[int, ...] = ()
    text: str = ""
    flat: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        return (self.text,) if self.text else ()

    def figure(self, index: int) -> CaseFigure:
        if index in self.bad:
            raise CaseError(f"no slice {index}")
        panel = Panel("grey", 20, 20, image=np.full((20, 20, 1), 9, np.uint8))
        path = f"{self.header.name}{index}.png"
        record = FigureRecord(
            path=path,
            place=self.header.place,
            case=self.header.name,
            slice=index,
            best=False,
            average=0,
            low=0,
            high=0,
        )
        return CaseFigure(Sheet("", "", (0, 0, 0), ((panel,),)), STYLE, record)

    def slice_of(self, index: int) -> int | None:
        return None if self.flat else super().slice_of(index)

    def summary(self) -> Summary:
        name = self.header.name
        record = FigureRecord(
            path=f"{name}.txt",
            place=self.header.place,
            case=name,
            slice=None,
            best=False,
            average=0,
            low=0,
            high=0,
        )
        return Summary("text", record)


@dataclass
class Cases:
    """Cases called a, b, c ...; what opens each is in ``figures``, others can't be opened."""

    output_dir: Path
    figures: dict[int, Figures]
    format: PictureFormat = "png"
    opened: list[int] = field(default_factory=list)

    def header(self, case: int) -> Header:
        return Header(case + 1, "abc"[case])

    def open(self, case_slices: CaseSlices) -> Figures:
        self.opened.append(case_slices.case)
        if case_slices.case not in self.figures:
            raise CaseError("no volume")
        return self.figures[case_slices.case]


def slices_of(case: int, *slices: int, summary: bool = False) -> CaseSlices:
    return CaseSlices(case, slices, summary, None, "", None, "")


def test_one_bad_case_and_one_bad_figure_cost_only_themselves(tmp_path: Path) -> None:
    cases = Cases(tmp_path, {0: Figures(Header(1, "a"), bad=(4,)), 2: Figures(Header(3, "c"))})
    item = (slices_of(0, 3, 4, 5), slices_of(1, 0, 1), slices_of(2, 7, summary=True))
    result = draw_item(cases, item)
    assert cases.opened == [0, 1, 2]
    assert [record.path for record in result.figures] == ["a3.png", "a5.png", "c7.png", "c.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a3.png",
        "a5.png",
        "c.txt",
        "c7.png",
    ]
    assert [(f.level, f.place, f.slice, f.figures, f.reason) for f in result.failures] == [
        ("error", 1, 4, 1, "no slice 4"),
        ("error", 2, None, 2, "no volume"),
    ]


def test_a_warning_costs_nothing(tmp_path: Path) -> None:
    cases = Cases(tmp_path, {0: Figures(Header(1, "a"), text="no mask")})
    result = draw_item(cases, (slices_of(0, 1),))
    assert len(result.figures) == 1
    assert [(f.level, f.figures, f.reason) for f in result.failures] == [("warning", 0, "no mask")]


def test_a_failure_names_no_slice_where_there_is_none(tmp_path: Path) -> None:
    cases = Cases(tmp_path, {0: Figures(Header(1, "a"), bad=(0,), flat=True)})
    (failure,) = draw_item(cases, (slices_of(0, 0),)).failures
    assert failure.slice is None


def test_a_file_that_cannot_be_written_ends_the_item(tmp_path: Path) -> None:
    (tmp_path / "a1.png").mkdir()
    (tmp_path / "a1.png" / "x").touch()
    cases = Cases(tmp_path, {0: Figures(Header(1, "a")), 1: Figures(Header(2, "b"))})
    with pytest.raises(OutputError, match=r"a1\.png"):
        draw_item(cases, (slices_of(0, 1), slices_of(1, 1)))
    assert cases.opened == [0]

"""What is said of a finished job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastcam.jobs.render.report import RenderReport, as_dict, summary_text
from fastcam.run.records import Failure


def _report(**facts: Any) -> RenderReport:
    report = RenderReport(output_dir=Path("out"), available=3, cases=3, **facts)
    report.seconds = {"draw": 2.0}
    return report


def test_all_drawn() -> None:
    report = _report(planned=10, drawn=10)
    assert summary_text(report).splitlines() == [
        "10 figures of 3 cases drawn in 2.0 s (5/s)",
        "figures: out; open out/index.html to browse",
    ]
    assert report.exit_code == 0


def test_some_there_and_some_failed() -> None:
    report = _report(planned=10, already=4, drawn=5)
    report.add_failures([Failure("error", 2, "b", 7, 1, "too dark")])
    report.add_failures([Failure("warning", 1, "a", None, 0, "no mask")])
    assert summary_text(report).splitlines() == [
        "5 figures of 3 cases drawn in 2.0 s (2/s), 4 were there already, 1 failed",
        "error: b slice 7: too dark",
        "warning: a: no mask",
        "figures: out; open out/index.html to browse",
    ]
    assert report.exit_code == 3
    assert as_dict(report)["figures_failed"] == 1
    assert as_dict(report)["troubles"][0] == {
        "level": "error",
        "case": "b",
        "slice": 7,
        "reason": "too dark",
    }


def test_what_several_work_items_found_is_said_once() -> None:
    report = _report(planned=60)
    for figures in (31, 29):
        report.add_failures([Failure("error", 1, "a", None, figures, "no volume")])
    assert report.failures == [Failure("error", 1, "a", None, 60, "no volume")]
    assert report.counts()["errors"] == 1
    assert report.exit_code == 1


def test_a_long_list_is_cut() -> None:
    report = _report(planned=9, drawn=1)
    report.add_failures(Failure("error", place, f"c{place}", None, 1, "bad") for place in range(8))
    lines = summary_text(report).splitlines()
    assert sum(line.startswith("error: c") for line in lines) == 5
    assert "error: and 3 more in out/failures.csv" in lines


def test_names_cannot_forge_lines() -> None:
    report = _report(planned=1)
    report.add_failures([Failure("error", 1, "a\nfigures: fake\x1b[0m", None, 1, "bad")])
    assert len(summary_text(report).splitlines()) == 2  # nothing was drawn, so no line of figures
    assert "\x1b" not in summary_text(report)


def test_nothing_chosen() -> None:
    report = RenderReport(output_dir=Path("out"), available=3)
    assert "no case is left of 3" in summary_text(report)

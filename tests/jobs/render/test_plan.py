"""Plans of single cases put together."""

from __future__ import annotations

from fastcam.jobs.render.plan import FigurePlan, joined_limits, unfinished
from fastcam.run.records import Failure
from fastcam.run.work_items import CaseSlices


def test_plans_of_cases_add_up() -> None:
    failure = Failure("error", 3, "c", None, 1, "no volume")
    case = CaseSlices(0, (4, 5), True, None, "", None, "")
    plan = FigurePlan.joined(
        [
            FigurePlan(cases=(case,), planned=3, already=1),
            FigurePlan(planned=2, already=2),
            FigurePlan(planned=1, failures=(failure,)),
        ]
    )
    assert plan == FigurePlan(cases=(case,), planned=6, already=3, failures=(failure,))
    assert plan.left == 2


def test_what_is_listed_is_not_left() -> None:
    paths = {3: "a3.png", 7: "a7.png"}
    assert unfinished(paths, "a.txt", {"a3.png"}) == ((7,), True)
    assert unfinished(paths, "a.txt", {"a3.png", "a7.png", "a.txt"}) == ((), False)
    assert unfinished(paths, "", ()) == ((3, 7), False)


def test_limits_are_joined_map_by_map() -> None:
    limits = [((0.0, 2.0), (-1.0, 1.0)), ((0.5, 3.0), (-4.0, 0.0))]
    assert joined_limits(limits) == ((0.0, 3.0), (-4.0, 1.0))

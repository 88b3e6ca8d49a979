"""The scale of all cases: nothing waits for it but what must."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from fastcam.jobs.view.cohort_scales import CohortScales
from fastcam.jobs.view.query import MapReference
from fastcam.jobs.view.room import Room
from tests.jobs.view.browser_hands import pixels, wait_for
from tests.jobs.view.sample_rooms import patch_request, service_of

# Cases have their highest patches at 0.5, 0.4 and 0.3.
PLACE = {"case": "1", "slice": "3"}


class Slow:
    """A run whose limits over all cases come when they may."""

    def __init__(self, run) -> None:
        self.may_come, self.asked = threading.Event(), 0
        self._limits = run.cohort_limits
        run.cohort_limits = self

    def __call__(self, *which):
        self.asked += 1
        # Far longer than a first picture takes, which compiles its kernels; a test that fails ends.
        assert self.may_come.wait(600)
        return self._limits(*which)


def test_a_picture_does_not_wait_for_it(tmp_path) -> None:
    room = Room(patch_request(tmp_path))
    slow = Slow(room.runs[0])
    cohort, own = {**PLACE, "scale": "cohort"}, {**PLACE, "scale": "patient"}
    early = room.picture(cohort)
    assert early.provisional
    assert (early.pixels == room.picture(own).pixels).all()
    assert room.reading({**cohort, "x": "0.4", "y": "0.4"})["heat"] is not None
    slow.may_come.set()
    room._cohorts.limits(MapReference(run=0, map=0), False)
    late = room.picture(cohort)
    assert not late.provisional
    assert late.limits == (0.0, pytest.approx(0.5))  # the first case's, not this one's 0.4
    assert slow.asked == 1


def test_no_volume_is_read_for_the_highest_attention(tmp_path, monkeypatch) -> None:
    def opened(*which):
        raise AssertionError("a volume was opened")

    (run,) = Room(patch_request(tmp_path)).runs
    monkeypatch.setattr("fastcam.jobs.view.patch_run.open_case", opened)
    assert run.cohort_limits(0, None, False) == (0.0, pytest.approx(0.5))


def test_a_case_without_an_answer_is_an_error_for_all_who_wait() -> None:
    class Broken:
        def cohort_limits(self, *which):
            raise OSError("gone")

    runs: list[Any] = [Broken()]
    scales = CohortScales(runs)
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            scales.limits(MapReference(run=0, map=0), True)


def test_the_page_says_so_and_draws_again(tmp_path, new_page) -> None:
    from fastcam.jobs.view.service import running

    with running(service_of(tmp_path)) as served:
        slow = Slow(served.room.runs[0])
        page = new_page(served.address)
        page.keyboard.press("ArrowRight")
        wait_for(page, case=1)
        before = pixels(page)
        note = page.locator(".pane-waiting")
        assert note.is_hidden()
        page.get_by_label("Scale of").select_option("cohort")
        wait_for(page, scale="cohort")
        note.wait_for(state="visible")
        assert (pixels(page) == before).all()
        slow.may_come.set()
        note.wait_for(state="hidden")
        final = served.room.picture({**PLACE, "scale": "cohort"}).pixels
        assert (pixels(page) == final).all()
        assert np.any(final != before)
        page.close()


def test_the_page_says_that_a_picture_takes_long(tmp_path, new_page) -> None:
    from fastcam.jobs.view.service import running

    with running(service_of(tmp_path)) as served:
        holding, held = threading.Event(), []

        def hold(route) -> None:
            held.append(route) if holding.is_set() else route.continue_()

        page = new_page(served.address, routes={"**/api/picture?*": hold})
        wait_for(page, case=0)
        holding.set()
        page.get_by_role("slider", name="Heat").fill("0.31")  # no neighbor, fetched before
        note = page.locator(".pane-waiting")
        note.wait_for(state="visible")
        assert "being drawn" in note.inner_text()
        holding.clear()
        for route in held:
            route.continue_()
        note.wait_for(state="hidden")
        page.close()

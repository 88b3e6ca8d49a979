"""Everybody can use it: axe-core finds no serious fault, on a desk and on a phone, and every
control can be reached by the keyboard alone."""

from __future__ import annotations

from importlib.resources import files

import pytest

from fastcam.jobs.view.service import running
from tests.jobs.view.browser_hands import wait_for, wait_for_panes
from tests.jobs.view.sample_rooms import service_of

SIZES = [(1400, 900), (390, 844)]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(service_of(tmp_path_factory.mktemp("room"))) as served:
        yield served


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(service, new_page, size, scheme) -> None:
    page = new_page(service.address, *size, color_scheme=scheme, bypass_csp=True)
    page.keyboard.press("t")
    wait_for_panes(page, 3)
    if size[0] < 700:
        page.get_by_role("button", name="Look").click()
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    faults = page.evaluate("async () => (await axe.run()).violations")
    assert not [(fault["id"], fault["nodes"][0]["html"]) for fault in faults]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(service, new_page, size) -> None:
    page = new_page(service.address, *size)
    widths = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] == widths[1]
    box = page.locator(".stage").first.bounding_box()
    assert box["height"] > 200


def test_every_control_is_reached_by_the_tab_key(service, new_page) -> None:
    page = new_page(service.address)
    wanted = set(
        page.evaluate(
            "() => [...document.querySelectorAll('button, select, input, textarea, summary,"
            ' [tabindex="0"]\')].filter((node) => node.checkVisibility() && !node.disabled)'
            ".map((node, number) => (node.dataset.stop = String(number)))"
        )
    )
    reached = set()
    for _ in range(len(wanted) + 20):
        page.keyboard.press("Tab")
        stop = page.evaluate("() => document.activeElement?.dataset?.stop ?? null")
        reached.add(stop)
    assert wanted <= reached
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_the_table_by_keys(service, new_page) -> None:
    page = new_page(service.address)
    page.locator("#table").focus()
    page.keyboard.press("ArrowDown")
    wait_for(page, case=1)
    page.keyboard.press("End")
    wait_for(page, case=2)
    page.keyboard.press("Home")
    wait_for(page, case=0)

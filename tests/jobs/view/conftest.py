"""A browser for the reading room: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Of one module: as long as it is open, no other event loop can run in this thread."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # The 3-D view needs WebGL, which processors draw where there are no graphics.
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def new_page(browser) -> Iterator:
    """Opens pages of a width and height; what their scripts complain of fails the test."""
    contexts, complaints = [], []

    def open_page(
        address: str, width: int = 1400, height: int = 900, errors=False, routes=None, **options
    ):
        """``errors``: the server's refusals are what is tested. ``routes``: handlers of requests
        by their address; one that is set later may miss the next request."""
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type == "error" and not errors else None
            ),
        )
        for pattern, handler in (routes or {}).items():
            page.route(pattern, handler)
        page.goto(address)
        page.wait_for_selector(".pane[data-address]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints

"""The page in a frame: of a notebook, also one that was saved as a file; of no other page."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.jobs.view.request import Sharing
from fastcam.jobs.view.service import open_service, running

from .sample_rooms import patch_request


@pytest.mark.parametrize("embedded", [True, False])
def test_a_saved_notebook_shows_the_room(tmp_path: Path, browser, embedded: bool) -> None:
    request = patch_request(tmp_path, sharing=Sharing(embedded=embedded))
    with running(open_service(request)) as served:
        file = tmp_path / "notebook.html"
        file.write_text(f'<iframe src="{served.address}"></iframe>', encoding="utf-8")
        page = browser.new_page()
        page.goto(file.as_uri())
        panes = page.frame_locator("iframe").locator(".pane[data-address]")
        if embedded:
            panes.first.wait_for(state="attached", timeout=60000)
        assert bool(panes.count()) == embedded
        page.close()

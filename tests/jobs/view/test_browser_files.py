"""SVG files as a browser shows them."""

from __future__ import annotations

from matplotlib.figure import Figure

from fastcam.figures.vector_file import vector_plots
from fastcam.jobs.view.downloads import page_file
from fastcam.jobs.view.room import Room
from tests.jobs.view.sample_rooms import patch_request


def test_a_browser_shows_every_space_of_an_svg_file(tmp_path, browser) -> None:
    """Facts of a header stand two spaces apart; a browser would show one."""
    plots = Figure(figsize=(4, 2))
    plots.text(0.1, 0.5, "two  spaces   and three")
    files = {
        "picture.svg": page_file(Room(patch_request(tmp_path)), [{"slice": "3"}], "svg"),
        "plots.svg": vector_plots(plots, "svg"),
    }
    page = browser.new_page()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        page.goto((tmp_path / name).as_uri())
        # Spaces that a browser leaves out have no place on the screen.
        texts = page.locator("text").evaluate_all(
            "nodes => nodes.map((node) => [node.textContent, node.getNumberOfChars()])"
        )
        assert any("  " in text for text, _ in texts)
        assert [len(text) for text, _ in texts] == [count for _, count in texts]
    page.close()

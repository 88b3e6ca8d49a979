"""Every tutorial runs from top to bottom, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate import notebooks


@pytest.mark.parametrize("source", notebooks.sources(), ids=lambda path: path.stem)
def test_tutorial(source: Path) -> None:
    notebook = notebooks.execute(source)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert pictures
    # Kept small: the notebooks are downloaded with their outputs.
    assert sum(len(output.data["image/png"]) for output in pictures) < 3_000_000

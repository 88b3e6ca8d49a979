"""The tutorials: notebooks in jupytext's percent format, executed, as pages of the site.

python -m docs.generate.notebooks FOLDER      # also as .ipynb files with their outputs
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

from docs.generate.cache import ROOT, cached

SOURCES = ROOT / "docs" / "tutorials"
_TIMEOUT = 600  # seconds a cell, for machines that are busy
# Terminals' colors and cursor movements have no meaning on a page.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|.*\r(?!\n)")


def sources() -> tuple[Path, ...]:
    """The tutorials' files."""
    return tuple(sorted(SOURCES.glob("*.py")))


def execute(source: Path) -> Any:
    """The notebook with its outputs, run in a folder of its own that is removed afterwards."""
    notebook = jupytext.read(source)
    # Cells may call `fastcam`, which lies beside this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=_TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )
        client.execute(env={**os.environ, "PATH": path})
    return notebook


def page(source: Path) -> Path:
    """The folder with the tutorial's Markdown, ``<name>.md``, its pictures and ``<name>.ipynb``."""

    def make(folder: Path) -> None:
        notebook = execute(source)
        nbformat.write(notebook, folder / f"{source.stem}.ipynb")
        text = _markdown(notebook, folder, source.stem)
        (folder / f"{source.stem}.md").write_text(text, encoding="utf-8")

    return cached(f"tutorial-{source.stem}", (source, Path(__file__)), make)


def _markdown(notebook: Any, folder: Path, name: str) -> str:
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(f"```python\n{cell.source}\n```")
            parts += [
                part
                for index, output in enumerate(cell.outputs)
                if (part := _output(output, folder, f"{name}-{number}-{index}"))
            ]
    parts.append(f"[This tutorial as a notebook]({name}.ipynb){{ download }}")
    return "\n\n".join(parts) + "\n"


def _output(output: Any, folder: Path, name: str) -> str:
    """One output as Markdown; pictures are written into ``folder``."""
    if output.output_type == "stream":
        text = _CONTROL.sub("", output.text).strip("\n")
        return f"```text {{ .output }}\n{text}\n```" if text.strip() else ""
    data = output.get("data", {})
    if "image/png" in data:
        (folder / f"{name}.png").write_bytes(base64.b64decode(data["image/png"]))
        return f"![output of the cell above]({name}.png)"
    text = data.get("text/plain", "")
    return f"```text {{ .output }}\n{text}\n```" if text else ""


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for path in sources():
        nbformat.write(execute(path), target / f"{path.stem}.ipynb")

"""What end-to-end tests give to the command line and how they read what it says."""

from __future__ import annotations

import pickle
from pathlib import Path


def pickled(folder: Path, records: object, name: str = "results.pkl") -> Path:
    """``records`` as a results file in ``folder``."""
    path = folder / name
    path.write_bytes(pickle.dumps(records))
    return path


def one_line(said: str) -> str:
    """The message, which must be a single line from fastcam itself."""
    lines = [line for line in said.splitlines() if not line.startswith(("figures: ", "cases "))]
    assert len(lines) == 1, said
    assert lines[0].startswith("fastcam: ")
    assert "Traceback" not in said
    return lines[0]

"""``fastcam render`` on the store of maps of a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture
def maps(fastcam: Call, tmp_path: Path) -> Call:
    """Run ``fastcam render run.zarr`` into ``out``, fast."""

    def call(*options: object, out: Path | None = None) -> Any:
        where = ("--output-dir", out or tmp_path / "out")
        few = () if "--workers" in options else ("--workers", 1)
        small = ("--panel-size", 64)
        return fastcam("render", tmp_path / "run.zarr", *where, *few, *small, *options)

    return call

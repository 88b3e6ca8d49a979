"""The set of grey images, with and without plots."""

from __future__ import annotations

from pathlib import Path

import pytest

from .brightness import write_set


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test set; plots, which take longer than all else, are not drawn."""
    monkeypatch.setattr("fastcam.jobs.evaluate.job.write_plots", lambda *arguments: [])
    return write_set(tmp_path)


@pytest.fixture
def plotted(tmp_path: Path) -> Path:
    """The test set; with plots."""
    return write_set(tmp_path)

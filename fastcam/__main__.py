"""``python -m fastcam``: the command line."""

from __future__ import annotations

from fastcam.cli.main import run

run()

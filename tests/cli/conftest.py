"""A tiny model, and the commands on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.analyses import NET

Call = Callable[..., Any]


@pytest.fixture
def analyze(fastcam: Call, tmp_path: Path) -> Call:
    """Run the command with the tiny model into ``out``."""

    def call(images: Path, *more: object, channels: int = 3, outputs: int = 2) -> Any:
        net = tmp_path / f"net{channels}{outputs}.py"
        net.write_text(NET.replace("CHANNELS", str(channels)).replace("OUTPUTS", str(outputs)))
        return fastcam(
            f"analyze --model {net}:factory --images {images} --image-size 24 "
            f"--output-dir {tmp_path}/out --panel-size 64 --workers 1 --device cpu",
            *more,
        )

    return call

"""fastcam vit --demo: what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastcam.demo import vit

Call = Callable[..., Any]


def test_the_demo(fastcam: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said; the demo itself has its own tests."""

    def short(folder: Path, log: Callable[[str], None]) -> vit.VitDemoScore:
        log(f"figures into {folder}")
        return vit.VitDemoScore(
            images=9,
            accuracy=0.9,
            chance_accuracy=0.2,
            attention_hits=0.96,
            rollout_hits=0.91,
            chance_hits=0.05,
            brightest_hits=0.5,
        )

    monkeypatch.setattr(vit, "run_vit_demo", short)
    made = fastcam("vit", "--demo", "--output-dir", tmp_path)
    assert made.code == 0, made
    assert f"figures into {tmp_path}" in made.err
    lines = [" ".join(line.split()) for line in made.out.splitlines()]
    assert "patch of highest CLS attention on the object 0.960 (a patch at random: 0.050)" in lines
    assert "patch of highest rollout on the object 0.910 (a patch at random: 0.050)" in lines
    said = json.loads(fastcam("vit", "--demo", "--output-dir", tmp_path, "--json").out)
    assert said["rollout_hits"] == 0.91

"""fastcam vit --demo: what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastcam.demo import vit

Call = Callable[..., Any]
FILES = [
    "vis_1_patch_grid.png",
    "vis_2_position_embedding.png",
    "vis_3_attention_layers.png",
    "vis_4_all_heads.png",
    "vis_5_attention_distance.png",
    "vis_6_cls_evolution.png",
    "vis_7_attention_rollout.png",
]
PAGE = "index.html"
OF_EACH = [FILES[at] for at in (0, 2, 3, 5, 6)]
NO_CLS = """
from fastcam.models.vit import VisionTransformer, VitSettings

def factory():
    return VisionTransformer(VitSettings(dim=12, depth=2, heads=3, patch_size=(8, 8),
        image_size=(32, 32), num_classes=3, class_token=False, mean_pooling=True))
"""


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

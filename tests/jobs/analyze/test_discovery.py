"""What ``fastcam analyze`` finds without arguments."""

from __future__ import annotations

import os
from pathlib import Path

from fastcam.jobs.analyze.discovery import find_candidates


def put(path: Path, age: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    os.utime(path, (1_000_000 - age, 1_000_000 - age))


def test_the_newest_checkpoint_and_the_folders_of_images(tmp_path: Path) -> None:
    put(tmp_path / "runs" / "old.pth", age=100)
    put(tmp_path / "runs" / "deep" / "best.safetensors")
    put(tmp_path / ".hidden" / "newer.pt", age=-100)
    for folder, count in (("data/cat", 3), ("data/dog", 2), ("photos", 4)):
        for index in range(count):
            put(tmp_path / folder / f"{index}.JPG")
    found = find_candidates(tmp_path)
    assert found.checkpoint == tmp_path / "runs" / "deep" / "best.safetensors"
    assert list(found.folders.items()) == [(tmp_path / "data", 5), (tmp_path / "photos", 4)]


def test_own_output_and_environments_are_left_out(tmp_path: Path) -> None:
    put(tmp_path / "out" / "run.json")
    put(tmp_path / "out" / "gradcam_heatmaps" / "a.png")
    put(tmp_path / "venv" / "a.png")
    put(tmp_path / "env" / "w.pth")
    found = find_candidates(tmp_path)
    assert found.checkpoint is None
    assert found.folders == {}


def test_images_right_here(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    put(tmp_path / "more" / "b.png")
    put(tmp_path / "other" / "c.png")
    assert find_candidates(tmp_path).folders == {
        tmp_path: 1,
        tmp_path / "more": 1,
        tmp_path / "other": 1,
    }

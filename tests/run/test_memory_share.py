"""``--max-memory``: sizes as people write them, and what workers get of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fastcam.demo.neck_set import make_test_set
from fastcam.errors import InputError
from fastcam.read.volumes.memory_limit import MemoryLimit
from fastcam.run import cgroups, memory_share
from fastcam.run.memory_share import memory_limit


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("12GB", 12_000_000_000),
        ("512MiB", 512 << 20),
        ("2G", 2 << 30),
        ("1.5 TB", 1_500_000_000_000),
        ("80%", 800_000_000),
        (2 << 20, 2 << 20),
        ("3000000", 3_000_000),
    ],
)
def test_sizes(monkeypatch: pytest.MonkeyPatch, text: str | int, count: int) -> None:
    monkeypatch.setattr(memory_share, "machine_memory", lambda: 1_000_000_000)
    assert memory_limit(text, 3) == MemoryLimit(count, 3)


@pytest.mark.parametrize(
    "text", ["", "much", "-1GB", "0", "0%", "120%", "1KB", "5 PB", "nan", "1e9"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match="--max-memory"):
        memory_limit(text, 1)


def test_three_quarters_of_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "memory_limit", lambda: 64 << 20)
    assert memory_limit(None, 2) == MemoryLimit(48 << 20, 2)
    monkeypatch.setattr(cgroups, "memory_limit", lambda: 1 << 62)
    assert memory_share.machine_memory() == _memory_of_proc()


def _memory_of_proc() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("MemTotal:")).split()[1]) * 1024


@pytest.mark.parametrize("workers", [1, 2])
def test_render_refuses_one_volume_and_draws_the_others(
    fastcam: Callable[..., Any],
    rows: Callable[[Path], list[dict[str, str]]],
    tmp_path: Path,
    workers: int,
) -> None:
    data = make_test_set(tmp_path / "data", cases=20, slices=4, size=96)
    volume = next(data.images.glob("*_001*"))
    large: Any = nib.load(volume)
    voxels = np.zeros((1024, 1024, 4), np.int16)
    nib.save(nib.Nifti1Image(voxels, large.affine), volume)
    options = ["--output-dir", tmp_path / "out", "--panel-size", 64, "--max-memory", "12MiB"]
    mode = ["--mode", "all_slices", "--every-slice", "--workers", workers]
    outcome = fastcam("render", data.results, "--root-dir", data.images, *options, *mode)
    if workers == 2:
        assert outcome.code == 3
        (failure,) = rows(tmp_path / "out" / "failures.csv")
        assert failure["place"] == "1"
        assert "would take 10.4MiB of memory" in failure["reason"]
        assert "6MiB are allowed (--max-memory 12MiB, shared by 2 processes)" in failure["reason"]
    else:
        assert "would take" not in outcome.out + outcome.err
    drawn = {path.parent.name for path in (tmp_path / "out").glob("0*/*.png")}
    assert len(drawn) == (20 if workers == 1 else 19)

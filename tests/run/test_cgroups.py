"""Limits of containers and batch systems, on made-up control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastcam.run import cgroups
from fastcam.run.cgroups import cores, cpu_quota, memory_limit


def groups(top: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = top / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (top / "own").write_text(own)
    return top / "cgroup", top / "own"


def test_no_limits_where_there_are_no_groups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none", tmp_path / "none") is None
    assert memory_limit(tmp_path / "none", tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "cores"), [("max 100000\n", None), ("250000 100000\n", 2.5), ("50000 100000\n", 0.5)]
)
def test_quota_of_a_container(tmp_path: Path, text: str, cores: float | None) -> None:
    assert cpu_quota(*groups(tmp_path, "0::/\n", {"cpu.max": text})) == cores


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {
        "slurm/job/cpu.max": "600000 100000\n",
        "slurm/cpu.max": "400000 100000\n",
        "slurm/job/memory.max": "8589934592\n",
        "slurm/memory.max": "17179869184\n",
        "memory.max": "max\n",
        "other/cpu.max": "100000 100000\n",
    }
    where = groups(tmp_path, "0::/slurm/job\n", files)
    assert cpu_quota(*where) == 4
    assert memory_limit(*where) == 8 * 2**30


def test_groups_of_the_first_version(tmp_path: Path) -> None:
    files = {
        "cpu/box/cpu.cfs_quota_us": "300000\n",
        "cpu/box/cpu.cfs_period_us": "100000\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
        "memory/box/memory.limit_in_bytes": "1073741824\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    where = groups(tmp_path, "4:memory:/box\n1:cpu,cpuacct:/box\n", files)
    assert cpu_quota(*where) == 3
    assert memory_limit(*where) == 2**30


def test_a_first_version_group_without_a_limit(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": "9223372036854771712\n"}
    assert memory_limit(*groups(tmp_path, "4:memory:/\n", files)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", 8),
        ("250000 100000\n", 3),
        ("200000 100000\n", 2),
        ("50000 100000\n", 1),
        ("0 100000\n", 1),
        ("1600000 100000\n", 8),
    ],
)
def test_cores_are_the_cpus_within_the_quota_rounded_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert cores(*groups(tmp_path, "0::/\n", {"cpu.max": text})) == expected


def test_all_cpus_count_where_the_system_has_no_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cgroups.usable_cpus() == 6
    assert cores(*groups(tmp_path, "0::/\n", {"cpu.max": "400000 100000\n"})) == 4
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores(tmp_path / "none", tmp_path / "none") == 1

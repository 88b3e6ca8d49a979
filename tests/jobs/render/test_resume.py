"""Finishing what was started: reruns, other settings, Ctrl-C and kills."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastcam.demo.neck_set import SyntheticSet, make_test_set

Call = Callable[..., Any]


def test_a_second_run_draws_nothing(render: Call, tmp_path: Path) -> None:
    assert render("--mode", "all_slices").code == 0
    out = tmp_path / "out"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    listed = (out / "figures.csv").read_text()
    again = render("--mode", "all_slices")
    assert again.code == 0
    assert "0 figures" in again.out
    assert "12 were there already" in again.out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before
    assert (out / "figures.csv").read_text() == listed


def test_only_what_is_missing_is_drawn(
    render: Call, tmp_path: Path, pictures: Call, same: Call
) -> None:
    assert render("--mode", "all_slices").code == 0
    out = tmp_path / "out"
    reference = pictures(out)
    first, *_, last = sorted(out.rglob("*.png"))
    gone = [first, last, out / "002_neck_002" / "_summary.txt"]
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("*.png") if p not in gone}
    for path in gone:
        path.unlink()
    again = render("--mode", "all_slices")
    assert "2 figures" in again.out
    assert all(path.is_file() for path in gone)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert same(pictures(out), reference)


def test_modes_and_selections_share_a_folder(render: Call, tmp_path: Path, rows: Call) -> None:
    assert render("--max-samples", 1).code == 0
    assert render("--offset", 1).code == 0
    assert render("--mode", "all_slices").code == 0
    assert len(rows(tmp_path / "out" / "figures.csv")) == 3 + 12 + 3


def test_other_settings_are_refused(
    render: Call, tmp_path: Path, pictures: Call, same: Call
) -> None:
    assert render().code == 0
    out = tmp_path / "out"
    before = pictures(out)
    refused = render("--colormap", "viridis", "--heat-alpha", 0.4)
    assert refused.code == 2
    assert "colormap jet, now viridis" in refused.err
    assert "heat-alpha 0.5, now 0.4" in refused.err
    assert "--overwrite" in refused.err
    assert same(pictures(out), before)
    assert render().code == 0
    (out / "mine.png").write_bytes(b"kept")
    assert render("--colormap", "viridis", "--format", "jpg", "--overwrite").code == 0
    assert [path.name for path in out.glob("*.png")] == ["mine.png"]
    assert len(list(out.glob("*.jpg"))) == 3


def test_other_results_are_refused(
    render: Call, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert render().code == 0
    records[0]["confidence"] = 0.75
    other = tmp_path / "other.pkl"
    other.write_bytes(pickle.dumps(records))
    refused = render(results=other)
    assert refused.code == 2
    assert str(other) in refused.err
    assert render("--overwrite", results=other).code == 0


def test_a_run_that_drew_nothing_binds_nobody(
    render: Call, neck: SyntheticSet, tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "something").touch()
    assert render(root_dir=tmp_path / "wrong").code == 1
    assert render().code == 0
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_failures_of_cases_not_drawn_again_stay_listed(
    render: Call, neck: SyntheticSet, tmp_path: Path, rows: Call
) -> None:
    shutil.copytree(neck.images, tmp_path / "images")
    spoiled = tmp_path / "images" / "neck_001.nii.gz"
    content = spoiled.read_bytes()
    spoiled.write_bytes(b"no image")
    images = tmp_path / "images"
    assert render("--max-samples", 1, root_dir=images).code == 1
    assert render("--offset", 1, root_dir=images).code == 0
    assert [row["case"] for row in rows(tmp_path / "out" / "failures.csv")] == ["neck_001"]
    spoiled.write_bytes(content)
    assert render(root_dir=images).code == 0
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_leftovers_of_a_killed_run_go(render: Call, tmp_path: Path) -> None:
    assert render("--mode", "all_slices").code == 0
    out = tmp_path / "out"
    (out / "001_neck_001" / ".tmp-slice000.png-1-2").write_bytes(b"half")
    (out / ".tmp-run.json-1-2").write_bytes(b"half")
    (out / ".run.zarr.1.part").mkdir()
    with (out / "figures.csv").open("a") as journal:
        journal.write("003_neck_003/slice0")
    assert render("--mode", "all_slices").code == 0
    assert [path for path in out.rglob(".*")] == []  # noqa: C416


def test_two_runs_do_not_share_a_folder(render: Call, tmp_path: Path) -> None:
    import fcntl

    assert render().code == 0
    with (tmp_path / "out" / "figures.csv").open("a") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        outcome = render()
    assert outcome.code == 2
    assert "another fastcam run is writing" in outcome.err


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> SyntheticSet:
    """Enough figures that two workers are two processes and a run can be stopped in the middle."""
    return make_test_set(tmp_path_factory.mktemp("long"), cases=3, slices=40, size=96)


def _start(made: SyntheticSet, out: Path, workers: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "fastcam.cli.main",
        "render",
        str(made.results),
        "--root-dir",
        str(made.images),
        "--mask-dir",
        str(made.masks),
        "--output-dir",
        str(out),
        "--mode",
        "all_slices",
        "--panel-size",
        "600",
        "--workers",
        str(workers),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _wait_for_pictures(process: subprocess.Popen[str], out: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list(out.glob("*/*.png"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _alive(group: int) -> list[str]:
    """Processes of a group that still run; what waits for its parent is none."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [row[2] for row in rows if row[0] == str(group) and not row[1].startswith("Z")]


def _none_left(group: int) -> bool:
    for _ in range(100):
        if not _alive(group):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c(long: SyntheticSet, tmp_path: Path, whole: Call, rows: Call, workers: int) -> None:
    out = tmp_path / "out"
    process = _start(long, out, workers)
    _wait_for_pictures(process, out, 1)
    os.killpg(process.pid, signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 130, (said, complained)
    lines = [line for line in complained.splitlines() if not line.startswith("figures: ")]
    assert lines == [
        f"fastcam: stopped; finished figures are kept in {out}: run the same command again to go on"
    ]
    assert said == ""
    assert _none_left(process.pid)
    whole(out)
    for row in rows(out / "figures.csv"):
        assert (out / row["path"]).is_file()
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"


def test_killed_and_run_again(
    long: SyntheticSet, tmp_path: Path, whole: Call, rows: Call, pictures: Call, same: Call
) -> None:
    out = tmp_path / "out"
    process = _start(long, out, 1)
    _wait_for_pictures(process, out, 45)
    process.kill()
    process.communicate(timeout=60)
    assert _none_left(process.pid)
    done = {
        row["path"]: (out / row["path"]).stat().st_mtime_ns
        for row in rows(out / "figures.csv")
        if row.get("high")
    }
    assert done
    again = _start(long, out, 1)
    said, complained = again.communicate(timeout=120)
    assert again.returncode == 0, complained
    assert "were there already" in said
    assert {path: (out / path).stat().st_mtime_ns for path in done} == done
    whole(out)
    straight = _start(long, tmp_path / "straight", 2)
    assert straight.wait(timeout=120) == 0
    straight.communicate()
    assert same(pictures(out), pictures(tmp_path / "straight"))
    assert (out / "figures.csv").read_text() == (tmp_path / "straight/figures.csv").read_text()

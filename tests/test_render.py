"""``fastcam render`` from end to end: what is drawn, what is recorded, what a rerun does."""

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

import numpy as np
import pytest
from PIL import Image

from fastcam import api, schedule
from fastcam.read.results import read_results
from fastcam.read.twins import write_json, write_npz
from fastcam.synthetic import SyntheticSet, make_test_set

Records = list[dict[str, Any]]
Call = Callable[..., Any]


def _pictures(folder: Path, suffix: str = "png") -> dict[str, Any]:
    """Path -> decoded pixels."""
    found = {}
    for path in sorted(folder.rglob(f"*.{suffix}")):
        with Image.open(path) as image:
            found[str(path.relative_to(folder))] = np.array(image)
    return found


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def _pickled(folder: Path, records: Records, name: str = "results.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(records))
    return path


def _best(record: dict[str, Any]) -> int:
    """The slice of the highest weight; ties: the lowest index."""
    top = max(record["attention_weights"])
    pairs = zip(record["attention_weights"], record["positions"], strict=True)
    return min(position["slice_idx"] for weight, position in pairs if weight == top)


def _average(record: dict[str, Any], index: int) -> float:
    pairs = zip(record["attention_weights"], record["positions"], strict=True)
    weights = [float(weight) for weight, position in pairs if position["slice_idx"] == index]
    return sum(weights) / len(weights)


# What is drawn and recorded


def test_best_slice(render: Call, records: Records, tmp_path: Path, rows: Call) -> None:
    outcome = render()
    assert outcome.code == 0
    out = tmp_path / "out"
    expected = [
        f"{place:03d}_{record['patient_name']}_slice{_best(record)}.png"
        for place, record in enumerate(records, 1)
    ]
    assert sorted(path.name for path in out.glob("*.png")) == expected
    listed = rows(out / "figures.csv")
    assert [row["path"] for row in listed] == expected
    for row, record in zip(listed, records, strict=True):
        assert (row["case"], row["best"]) == (record["patient_name"], "True")
        assert int(row["slice"]) == _best(record)
        assert float(row["average"]) == pytest.approx(_average(record, _best(record)), rel=1e-6)
        assert float(row["low"]) == 0.0
        assert 0 < float(row["high"]) <= max(record["attention_weights"]) * 1.000001
    assert not (out / "failures.csv").exists()
    run = json.loads((out / "run.json").read_text())
    assert run["status"] == "finished"
    assert run["counts"] == {
        "cases": 3, "figures_planned": 3, "figures_already_there": 0, "figures_drawn": 3,
        "figures_failed": 0, "errors": 0, "warnings": 0,
    }  # fmt: skip
    assert run["scale"]["kind"] == "patient"
    limits = {row["case"]: [float(row["low"]), float(row["high"])] for row in listed}
    assert run["scale"]["limits"] == limits
    assert run["settings"]["heat_alpha"] == 0.5
    assert {"numpy", "numba", "zarr", "dask"} <= run["libraries"].keys()
    assert "draw" in run["seconds"]


def test_all_slices(render: Call, records: Records, tmp_path: Path, rows: Call) -> None:
    assert render("--mode", "all_slices").code == 0
    out = tmp_path / "out"
    for place, record in enumerate(records, 1):
        names = {"_summary.txt"}
        for index in {position["slice_idx"] for position in record["positions"]}:
            best = "BEST_" if index == _best(record) else ""
            names.add(f"slice{index:03d}_{best}avg{_average(record, index):.4f}.png")
        folder = out / f"{place:03d}_{record['patient_name']}"
        assert {path.name for path in folder.iterdir()} == names
        summary = (folder / "_summary.txt").read_text()
        assert record["patient_name"] in summary
        assert summary.count("BEST") == 1
    listed = rows(out / "figures.csv")
    assert len(listed) == 15
    assert all((out / row["path"]).is_file() for row in listed)


def test_without_masks_the_figure_has_three_panels(render: Call, tmp_path: Path) -> None:
    assert render().code == 0
    assert render(mask_dir=None, output_dir=tmp_path / "three").code == 0
    four = next(iter(_pictures(tmp_path / "out").values()))
    three = next(iter(_pictures(tmp_path / "three").values()))
    assert four.shape[1] - three.shape[1] > 96


def test_two_processes_draw_the_same_bytes(
    neck: SyntheticSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_FEW", 0)
    drawn = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        report = api.render(
            neck.results, root_dir=neck.images, mask_dir=neck.masks, output_dir=out,
            mode="all_slices", panel_size=96, workers=workers,
        )  # fmt: skip
        assert report.drawn == 12
        names = [*out.rglob("*.png"), *out.rglob("*.txt"), out / "figures.csv"]
        drawn.append({str(path.relative_to(out)): path.read_bytes() for path in names})
    assert drawn[0] == drawn[1]


def test_twins_and_the_run_store_give_the_same_figures(
    render: Call, neck: SyntheticSet, tmp_path: Path
) -> None:
    cases = read_results(neck.results).cases
    write_npz(tmp_path / "results.npz", cases)
    write_json(tmp_path / "results.json", cases)
    assert render().code == 0
    given = [tmp_path / "results.npz", tmp_path / "results.json", tmp_path / "out" / "run.zarr"]
    for results in given:
        out = tmp_path / f"from_{results.suffix[1:]}"
        assert render(results=results, output_dir=out).code == 0
        assert _same(_pictures(out), _pictures(tmp_path / "out"))


def test_the_run_store_in_the_output_folder_survives_overwriting(
    render: Call, tmp_path: Path
) -> None:
    assert render().code == 0
    store = tmp_path / "out" / "run.zarr"
    assert render("--overwrite", "--colormap", "viridis", results=store).code == 0
    assert render("--overwrite", results=store).code == 0


# Which figures


def _wrong(records: Records, place: int) -> None:
    record = records[place - 1]
    record["predicted_label"] = 1 - record["true_label"]
    record["is_correct"] = False


@pytest.mark.parametrize(
    ("options", "places"),
    [
        (("--only-errors",), [2, 3]),
        (("--only-errors", "--offset", 1), [3]),
        (("--only-errors", "--max-samples", 1), [2]),
        (("--offset", 1), [2, 3]),
        (("--offset", 1, "--max-samples", 1), [2]),
        (("--max-samples", 99), [1, 2, 3]),
        (("--patient", "neck_003"), [3]),
        (("--patient", "neck_003", "--patient", "neck_001"), [1, 3]),
        (("--patient", "neck_001", "--only-errors"), []),
        (("--offset", 3), []),
    ],
)
def test_selection(
    render: Call, records: Records, tmp_path: Path, options: tuple[object, ...], places: list[int]
) -> None:
    _wrong(records, 2)
    _wrong(records, 3)
    outcome = render(*options, results=_pickled(tmp_path, records))
    assert outcome.code == 0
    drawn = [int(name[:3]) for name in _pictures(tmp_path / "out")]
    assert drawn == places
    if not places:
        assert "no case is left of 3" in outcome.out


def test_unknown_patient(render: Call, tmp_path: Path) -> None:
    outcome = render("--patient", "neck_01")
    assert outcome.code == 2
    assert "'neck_01' is not among the 3 cases" in outcome.err
    assert "neck_001" in outcome.err
    assert not (tmp_path / "out").exists()


def test_every_slice(render: Call, records: Records, tmp_path: Path) -> None:
    record = records[0]
    kept = [i for i, position in enumerate(record["positions"]) if position["slice_idx"] == 2]
    record["positions"] = [record["positions"][i] for i in kept]
    record["attention_weights"] = record["attention_weights"][kept]
    record["num_patches"] = len(kept)
    path = _pickled(tmp_path, records)
    few = ("--mode", "all_slices", "--patient", "neck_001")
    assert render(*few, results=path).code == 0
    assert len(_pictures(tmp_path / "out")) == 1
    assert render(*few, "--every-slice", results=path).code == 0
    names = [Path(name).name[:8] for name in _pictures(tmp_path / "out")]
    assert names == ["slice000", "slice001", "slice002", "slice003"]


def test_middle_slices(render: Call, records: Records, tmp_path: Path) -> None:
    for record in records:
        kept = [i for i, p in enumerate(record["positions"]) if p["slice_idx"] in (1, 2)]
        record["positions"] = [record["positions"][i] for i in kept]
        record["attention_weights"] = record["attention_weights"][kept]
        record["num_patches"] = len(kept)
    whole = _pickled(tmp_path, records, "whole.pkl")
    for record in records:
        record["positions"] = [dict(p, slice_idx=p["slice_idx"] - 1) for p in record["positions"]]
    middle = _pickled(tmp_path, records, "middle.pkl")
    assert render("--mode", "all_slices", results=whole).code == 0
    out = tmp_path / "middle"
    shifted = render("--mode", "all_slices", "--slices", "middle:2", results=middle, output_dir=out)
    assert shifted.code == 0
    one, other = _pictures(tmp_path / "out"), _pictures(out)
    assert len(one) == len(other) == 6
    for whole_picture, middle_picture in zip(one.values(), other.values(), strict=True):
        # Headers differ in the slice's number; everything below them is the same.
        half = len(whole_picture) // 2
        assert np.array_equal(whole_picture[half:], middle_picture[half:])
    beyond = render("--slices", "middle:1", results=middle, output_dir=tmp_path / "beyond")
    assert beyond.code in (1, 3)
    assert "past the 1 slices" in beyond.out


# How they look


def test_cohort_scale(render: Call, tmp_path: Path, rows: Call) -> None:
    assert render("--scale", "cohort", "--patient", "neck_002").code == 0
    assert render("--scale", "cohort").code == 0
    assert render("--scale", "cohort").code == 0
    highs = {row["high"] for row in rows(tmp_path / "out" / "figures.csv")}
    assert len(highs) == 1
    assert render(output_dir=tmp_path / "own").code == 0
    own = [float(row["high"]) for row in rows(tmp_path / "own" / "figures.csv")]
    assert float(highs.pop()) == max(own)


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_formats(render: Call, tmp_path: Path, kind: str) -> None:
    assert render(output_dir=tmp_path / "png").code == 0
    assert render("--format", kind).code == 0
    other = _pictures(tmp_path / "out", kind)
    for (name, pixels), reference in zip(
        other.items(), _pictures(tmp_path / "png").values(), strict=True
    ):
        assert name.endswith(kind)
        assert np.abs(pixels.astype(int) - reference).mean() < 6


def test_chinese_summary(render: Call, tmp_path: Path) -> None:
    assert render("--mode", "all_slices", "--language", "zh").code == 0
    summary = (tmp_path / "out" / "001_neck_001" / "_summary.txt").read_text(encoding="utf-8")
    for word in ("患者", "预测", "真实标签", "置信度", "是否正确", "总切片数", "总patch数",
                 "最重要切片", "最高attention权重", "各切片平均attention"):  # fmt: skip
        assert word in summary


def test_statistics(render: Call, tmp_path: Path, rows: Call) -> None:
    outcome = render("--analyze-stats")
    assert outcome.code == 0
    out = tmp_path / "out"
    found = json.loads((out / "statistics.json").read_text())
    assert [case["case"] for case in found["cases"]] == ["neck_001", "neck_002", "neck_003"]
    assert len(rows(out / "statistics.csv")) == 3
    Image.open(out / "statistics.png").load()
    assert outcome.out.count("statistics: ") == 3
    for path in out.glob("statistics.*"):
        path.unlink()
    again = render("--analyze-stats")
    assert again.code == 0
    assert json.loads((out / "statistics.json").read_text()) == found


def test_json(render: Call, neck: SyntheticSet, tmp_path: Path) -> None:
    shutil.copytree(neck.images, tmp_path / "images")
    (tmp_path / "images" / "neck_002.nii.gz").write_bytes(b"no image")
    outcome = render("--json", root_dir=tmp_path / "images")
    assert outcome.code == 3
    found = json.loads(outcome.out)
    assert found["exit_code"] == 3
    assert found["output_dir"] == str(tmp_path / "out")
    assert (found["figures_planned"], found["figures_drawn"], found["figures_failed"]) == (3, 2, 1)
    (trouble,) = found["troubles"]
    assert (trouble["level"], trouble["case"]) == ("error", "neck_002")
    assert "neck_002.nii.gz" in trouble["reason"]
    assert "neck_002.nii.gz" in outcome.err


# Finishing what was started


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


def test_only_what_is_missing_is_drawn(render: Call, tmp_path: Path) -> None:
    assert render("--mode", "all_slices").code == 0
    out = tmp_path / "out"
    reference = _pictures(out)
    first, *_, last = sorted(out.rglob("*.png"))
    gone = [first, last, out / "002_neck_002" / "_summary.txt"]
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("*.png") if p not in gone}
    for path in gone:
        path.unlink()
    again = render("--mode", "all_slices")
    assert "2 figures" in again.out
    assert all(path.is_file() for path in gone)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert _same(_pictures(out), reference)


def test_modes_and_selections_share_a_folder(render: Call, tmp_path: Path, rows: Call) -> None:
    assert render("--max-samples", 1).code == 0
    assert render("--offset", 1).code == 0
    assert render("--mode", "all_slices").code == 0
    assert len(rows(tmp_path / "out" / "figures.csv")) == 3 + 12 + 3


def test_other_settings_are_refused(render: Call, tmp_path: Path) -> None:
    assert render().code == 0
    out = tmp_path / "out"
    before = _pictures(out)
    refused = render("--colormap", "viridis", "--heat-alpha", 0.4)
    assert refused.code == 2
    assert "colormap jet, now viridis" in refused.err
    assert "heat-alpha 0.5, now 0.4" in refused.err
    assert "--overwrite" in refused.err
    assert _same(_pictures(out), before)
    assert render().code == 0
    (out / "mine.png").write_bytes(b"kept")
    assert render("--colormap", "viridis", "--format", "jpg", "--overwrite").code == 0
    assert [path.name for path in out.glob("*.png")] == ["mine.png"]
    assert len(list(out.glob("*.jpg"))) == 3


def test_other_results_are_refused(render: Call, records: Records, tmp_path: Path) -> None:
    assert render().code == 0
    _wrong(records, 1)
    other = _pickled(tmp_path, records)
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
        sys.executable, "-m", "fastcam.cli.main", "render", str(made.results),
        "--root-dir", str(made.images), "--mask-dir", str(made.masks), "--output-dir", str(out),
        "--mode", "all_slices", "--panel-size", "600", "--workers", str(workers),
    ]  # fmt: skip
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
def test_ctrl_c(
    long: SyntheticSet, tmp_path: Path, whole: Call, rows: Call, workers: int
) -> None:
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


def test_killed_and_run_again(long: SyntheticSet, tmp_path: Path, whole: Call, rows: Call) -> None:
    out = tmp_path / "out"
    process = _start(long, out, 1)
    _wait_for_pictures(process, out, 45)
    process.kill()
    process.communicate(timeout=60)
    assert _none_left(process.pid)
    done = {row["path"]: (out / row["path"]).stat().st_mtime_ns
            for row in rows(out / "figures.csv") if row.get("high")}  # fmt: skip
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
    assert _same(_pictures(out), _pictures(tmp_path / "straight"))
    assert (out / "figures.csv").read_text() == (tmp_path / "straight/figures.csv").read_text()

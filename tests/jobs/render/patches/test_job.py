"""``fastcam render`` from end to end: what is drawn, what is recorded, what a rerun does."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.api import render as api
from fastcam.demo.neck_set import SyntheticSet
from fastcam.read.results.results import read_results
from fastcam.run import scheduler
from tests.read.results.plain_files import write_json, write_npz

from ....messages import pickled

Records = list[dict[str, Any]]
Call = Callable[..., Any]


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
        "cases": 3,
        "figures_planned": 3,
        "figures_already_there": 0,
        "figures_drawn": 3,
        "figures_failed": 0,
        "errors": 0,
        "warnings": 0,
    }
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
        # Each name in the ranking finds one figure, and the best slice's name the BEST one.
        ranked = re.findall(r"^ +\d+  (slice\d+) ", summary, flags=re.M)
        assert sorted(ranked) == sorted(name[:8] for name in names if name.endswith(".png"))
        (best_name,) = re.findall(r"^Best slice: +(\S+)$", summary, flags=re.M)
        assert [path.name[:8] for path in folder.glob("*BEST*")] == [best_name]
    listed = rows(out / "figures.csv")
    assert len(listed) == 15
    assert all((out / row["path"]).is_file() for row in listed)


def test_without_masks_the_figure_has_three_panels(
    render: Call, tmp_path: Path, pictures: Call
) -> None:
    assert render().code == 0
    assert render(mask_dir=None, output_dir=tmp_path / "three").code == 0
    four = next(iter(pictures(tmp_path / "out").values()))
    three = next(iter(pictures(tmp_path / "three").values()))
    assert four.shape[1] - three.shape[1] > 96


def test_two_processes_draw_the_same_bytes(
    neck: SyntheticSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_FEW", 0)
    drawn = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        report = api.render(
            neck.results,
            root_dir=neck.images,
            mask_dir=neck.masks,
            output_dir=out,
            mode="all_slices",
            panel_size=96,
            workers=workers,
        )
        assert report.drawn == 12
        names = [*out.rglob("*.png"), *out.rglob("*.txt"), out / "figures.csv"]
        drawn.append({str(path.relative_to(out)): path.read_bytes() for path in names})
    assert drawn[0] == drawn[1]


def test_twins_and_the_run_store_give_the_same_figures(
    render: Call, neck: SyntheticSet, tmp_path: Path, pictures: Call, same: Call
) -> None:
    cases = read_results(neck.results).cases
    write_npz(tmp_path / "results.npz", cases)
    write_json(tmp_path / "results.json", cases)
    assert render().code == 0
    given = [tmp_path / "results.npz", tmp_path / "results.json", tmp_path / "out" / "run.zarr"]
    for results in given:
        out = tmp_path / f"from_{results.suffix[1:]}"
        assert render(results=results, output_dir=out).code == 0
        assert same(pictures(out), pictures(tmp_path / "out"))


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
    render: Call,
    records: Records,
    tmp_path: Path,
    options: tuple[object, ...],
    places: list[int],
    pictures: Call,
) -> None:
    _wrong(records, 2)
    _wrong(records, 3)
    outcome = render(*options, results=pickled(tmp_path, records))
    assert outcome.code == 0
    drawn = [int(name[:3]) for name in pictures(tmp_path / "out")]
    assert drawn == places
    if not places:
        assert "no case is left of 3" in outcome.out


def test_unknown_patient(render: Call, tmp_path: Path) -> None:
    outcome = render("--patient", "neck_01")
    assert outcome.code == 2
    assert "'neck_01' is not among the 3 cases" in outcome.err
    assert "neck_001" in outcome.err
    assert not (tmp_path / "out").exists()


def test_every_slice(render: Call, records: Records, tmp_path: Path, pictures: Call) -> None:
    record = records[0]
    kept = [i for i, position in enumerate(record["positions"]) if position["slice_idx"] == 2]
    record["positions"] = [record["positions"][i] for i in kept]
    record["attention_weights"] = record["attention_weights"][kept]
    record["num_patches"] = len(kept)
    path = pickled(tmp_path, records)
    few = ("--mode", "all_slices", "--patient", "neck_001")
    assert render(*few, results=path).code == 0
    assert len(pictures(tmp_path / "out")) == 1
    assert render(*few, "--every-slice", results=path).code == 0
    names = [Path(name).name[:8] for name in pictures(tmp_path / "out")]
    assert names == ["slice000", "slice001", "slice002", "slice003"]


def test_middle_slices(render: Call, records: Records, tmp_path: Path, pictures: Call) -> None:
    for record in records:
        kept = [i for i, p in enumerate(record["positions"]) if p["slice_idx"] in (1, 2)]
        record["positions"] = [record["positions"][i] for i in kept]
        record["attention_weights"] = record["attention_weights"][kept]
        record["num_patches"] = len(kept)
    whole = pickled(tmp_path, records, "whole.pkl")
    for record in records:
        record["positions"] = [dict(p, slice_idx=p["slice_idx"] - 1) for p in record["positions"]]
    middle = pickled(tmp_path, records, "middle.pkl")
    assert render("--mode", "all_slices", results=whole).code == 0
    out = tmp_path / "middle"
    shifted = render("--mode", "all_slices", "--slices", "middle:2", results=middle, output_dir=out)
    assert shifted.code == 0
    one, other = pictures(tmp_path / "out"), pictures(out)
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
def test_formats(render: Call, tmp_path: Path, kind: str, pictures: Call) -> None:
    assert render(output_dir=tmp_path / "png").code == 0
    assert render("--format", kind).code == 0
    other = pictures(tmp_path / "out", kind)
    for (name, pixels), reference in zip(
        other.items(), pictures(tmp_path / "png").values(), strict=True
    ):
        assert name.endswith(kind)
        assert np.abs(pixels.astype(int) - reference).mean() < 6


def test_chinese_summary(render: Call, tmp_path: Path) -> None:
    assert render("--mode", "all_slices", "--language", "zh").code == 0
    summary = (tmp_path / "out" / "001_neck_001" / "_summary.txt").read_text(encoding="utf-8")
    for word in (
        "患者",
        "预测",
        "真实标签",
        "置信度",
        "是否正确",
        "总切片数",
        "总patch数",
        "最重要切片",
        "最高attention权重",
        "各切片平均attention",
    ):
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
    (failure,) = found["troubles"]
    assert (failure["level"], failure["case"]) == ("error", "neck_002")
    assert "neck_002.nii.gz" in failure["reason"]
    assert "neck_002.nii.gz" in outcome.err

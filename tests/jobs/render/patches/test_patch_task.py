"""One work item, from a store and volumes on disk to files: what one bad case may cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError, OutputError
from fastcam.jobs.render.patches import case as case_module
from fastcam.jobs.render.patches import patch_task
from fastcam.jobs.render.patches.patch_task import render_item
from fastcam.run.work_items import CaseSlices

from .... import sample_runs


def case_slices(tmp_path: Path, case: int, name: str, slices, summary=False, mask=None, missing=""):
    image = str(tmp_path / "images" / f"{name}.npy")
    return CaseSlices(case, tuple(slices), summary, image, "", mask, missing)


@pytest.fixture
def job(tmp_path):
    sample_runs.make_volumes(tmp_path, "a", "b")
    cases = (
        sample_runs.make_case(1, "a", [1, 3, 3], [0.5, 0.25, 0.25]),
        sample_runs.make_case(2, "b", [4]),
    )
    return sample_runs.make_job(sample_runs.make_store(tmp_path, *cases), tmp_path)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_figures_and_summaries_are_written_and_told(tmp_path):
    sample_runs.make_volumes(tmp_path, "a")
    store = sample_runs.make_store(
        tmp_path, sample_runs.make_case(1, "a", [1, 3, 3], [0.5, 0.25, 0.125])
    )
    job = sample_runs.make_job(store, tmp_path, "all_slices")
    result = render_item(job, (case_slices(tmp_path, 0, "a", (1, 3, 5), summary=True),))
    assert result.failures == ()
    assert [(d.path, d.slice, d.best, d.average) for d in result.figures] == [
        ("001_a/slice001_BEST_avg0.5000.png", 1, True, 0.5),
        ("001_a/slice003_avg0.1875.png", 3, False, 0.1875),
        ("001_a/slice005_avg0.0000.png", 5, False, 0.0),
        ("001_a/_summary.txt", None, False, 0.0),
    ]
    assert {(d.low, d.high) for d in result.figures[:3]} == {(0.0, 0.5)}
    assert files(tmp_path / "out") == {d.path for d in result.figures}


def test_the_limits_told_are_those_of_the_scale(tmp_path):
    sample_runs.make_volumes(tmp_path, "a")
    boxes = [[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 48, 40]]
    store = sample_runs.make_store(
        tmp_path, sample_runs.make_case(1, "a", [1, 1, 3], [0.5, 0.25, 0.125], boxes)
    )
    expected = {
        "slice": [(0.0, 0.375), (0.0, 0.125)],
        "patient": [(0.0, 0.375)] * 2,
        "cohort": [(0.0, 0.75)] * 2,
        "rank": [(0.0, 1.0)] * 2,
    }
    for scale, limits in expected.items():
        job = sample_runs.make_job(store, tmp_path, "all_slices", high=0.75, scale=scale)
        drawn = render_item(job, (case_slices(tmp_path, 0, "a", (1, 3)),)).figures
        assert [(d.low, d.high) for d in drawn] == limits


def test_a_figure_shows_its_own_slice(tmp_path, job):
    """The first panel is the slice, pixel by pixel: volumes are not mixed up between cases."""
    for _ in range(2):
        item = (case_slices(tmp_path, 0, "a", (1, 3)), case_slices(tmp_path, 1, "b", (4,)))
        for drawn, (name, z) in zip(
            render_item(job, item).figures, [("a", 1), ("a", 3), ("b", 4)], strict=True
        ):
            voxels = np.load(tmp_path / "images" / f"{name}.npy").astype(float)
            low, high = np.percentile(voxels, [0.5, 99.5])
            grey = ((voxels[z] - low) / (high - low) * 255).clip(0, 255)
            canvas = np.asarray(Image.open(tmp_path / "out" / drawn.path)).astype(float)
            found = [
                np.abs(canvas[y : y + 40, x : x + 48, 0] - grey).max()
                for y in range(40, canvas.shape[0] - 40)
                for x in (11, 12, 13)
            ]
            assert min(found) <= 0.51


def test_one_bad_case_costs_only_its_own_figures(tmp_path, job):
    (tmp_path / "images" / "a.npy").write_bytes(b"no array")
    item = (case_slices(tmp_path, 0, "a", (1, 3)), case_slices(tmp_path, 1, "b", (4,)))
    result = render_item(job, item)
    assert [d.path for d in result.figures] == ["002_b_slice4.png"]
    (failure,) = result.failures
    assert (failure.level, failure.place, failure.case) == ("error", 1, "a")
    assert (failure.slice, failure.figures) == (None, 2)
    assert "a.npy" in failure.reason
    assert files(tmp_path / "out") == {"002_b_slice4.png"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CaseError("slice is broken"), "slice is broken"),
        (ZeroDivisionError("a bug"), "unexpected ZeroDivisionError: a bug"),
    ],
)
def test_one_bad_slice_costs_only_itself(tmp_path, job, monkeypatch, error, reason):
    cut = case_module.cut_slice

    def fail_on_1(opened, index, *rest):
        if index == 1:
            raise error
        return cut(opened, index, *rest)

    monkeypatch.setattr(patch_task, "cut_slice", fail_on_1)
    result = render_item(job, (case_slices(tmp_path, 0, "a", (1, 3)),))
    assert [d.slice for d in result.figures] == [3]
    assert [(t.level, t.slice, t.figures, t.reason) for t in result.failures] == [
        ("error", 1, 1, reason)
    ]


def test_a_surprise_while_opening_is_told_and_costs_only_the_case(tmp_path, job, monkeypatch):
    opened = case_module.open_case

    def fail_on_a(case, *rest):
        if case.name == "a":
            raise RuntimeError("decoder went mad")
        return opened(case, *rest)

    monkeypatch.setattr(patch_task, "open_case", fail_on_a)
    item = (case_slices(tmp_path, 0, "a", (1, 3)), case_slices(tmp_path, 1, "b", (4,)))
    result = render_item(job, item)
    assert [d.case for d in result.figures] == ["b"]
    assert [t.reason for t in result.failures] == ["unexpected RuntimeError: decoder went mad"]


def test_a_missing_mask_is_a_warning(tmp_path, job):
    item = (case_slices(tmp_path, 0, "a", (1, 3), missing="no mask for a"),)
    result = render_item(job, item)
    assert len(result.figures) == 2
    assert [(t.level, t.figures, t.reason) for t in result.failures] == [
        ("warning", 0, "no mask for a")
    ]


def test_a_file_that_cannot_be_written_ends_the_job(tmp_path, job):
    (tmp_path / "out" / "001_a_slice1.png").mkdir()
    (tmp_path / "out" / "001_a_slice1.png" / "x").touch()
    with pytest.raises(OutputError, match=r"001_a_slice1\.png"):
        render_item(job, (case_slices(tmp_path, 0, "a", (1, 3)),))
    assert not [name for name in files(tmp_path / "out") if ".tmp" in name]


def test_a_volume_is_decoded_once_for_all_items_of_its_case(tmp_path, job, monkeypatch):
    opened = []
    open_case = case_module.open_case
    monkeypatch.setattr(
        patch_task,
        "open_case",
        lambda case, *rest: opened.append(case.name) or open_case(case, *rest),
    )
    for slices in ((1,), (3,), (1, 3)):
        render_item(job, (case_slices(tmp_path, 0, "a", slices),))
    render_item(job, (case_slices(tmp_path, 1, "b", (4,)),))
    assert opened == ["a", "b"]


def test_a_slice_too_wide_for_its_format_costs_only_itself(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    np.save(root / "wide.npy", np.arange(2 * 5400, dtype=np.uint16).reshape(1, 2, 5400))
    store = sample_runs.make_store(
        tmp_path, sample_runs.make_case(1, "wide", [0], boxes=[[0, 0, 2, 2]])
    )
    job = sample_runs.make_job(store, tmp_path, format="webp")
    result = render_item(job, (case_slices(tmp_path, 0, "wide", (0,)),))
    (failure,) = result.failures
    assert (failure.slice, failure.figures) == (0, 1)
    assert "--format png" in failure.reason
    assert files(tmp_path / "out") == set()


@pytest.mark.parametrize("name", ["患者 7", "../../up", "a/b", "x" * 300, "\n"])
def test_odd_names_stay_in_the_folder(tmp_path, name):
    root = tmp_path / "images"
    root.mkdir()
    np.save(root / "v.npy", np.arange(2 * 40 * 48, dtype=np.uint16).reshape(2, 40, 48))
    store = sample_runs.make_store(tmp_path, sample_runs.make_case(1, name, [0]))
    for mode in ("best_slice", "all_slices"):
        job = sample_runs.make_job(store, tmp_path, mode)
        result = render_item(
            job, (case_slices(tmp_path, 0, "v", (0,), summary=mode != "best_slice"),)
        )
        assert result.failures == ()
        for drawn in result.figures:
            path = (tmp_path / "out" / drawn.path).resolve()
            assert path.is_relative_to(tmp_path / "out")
            assert path.is_file()

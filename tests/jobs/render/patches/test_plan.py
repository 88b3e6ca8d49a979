from __future__ import annotations

import numpy as np

from fastcam.jobs.render.patches.plan import locate, plan_drawing
from fastcam.options import Selection, Sources, Style
from fastcam.read.volumes.sources import SourceIndex

from .... import sample_runs

CASES = (
    sample_runs.make_case(1, "a", [3, 3, 1], [0.2, 0.2, 0.6]),
    sample_runs.make_case(2, "b", [4], [1.0]),
    sample_runs.make_case(3, "gone", [0, 2], [0.5, 0.5]),
)
ALL = Selection("all_slices")


def plan(tmp_path, selection, finished=(), style=Style(), masks=None, chosen=(0, 1, 2), **sources):  # noqa: B008
    root = sample_runs.make_volumes(tmp_path, "a", "b")
    store = sample_runs.make_store(tmp_path, *CASES)
    index = SourceIndex(masks, mask=True) if masks else None
    located = locate(store, chosen, SourceIndex(root), index)
    return plan_drawing(store, located, selection, Sources(root, masks, **sources), style, finished)


def test_the_best_slice_of_each_case(tmp_path):
    drawing = plan(tmp_path, Selection())
    assert [(p.case, p.slices, p.summary) for p in drawing.cases] == [
        (0, (1,), False),
        (1, (4,), False),
    ]
    assert drawing.cases[0].image == str(tmp_path / "images" / "a.npy")
    assert (drawing.planned, drawing.already, drawing.left) == (3, 0, 2)
    (failure,) = drawing.failures
    assert (failure.level, failure.place, failure.case, failure.figures) == ("error", 3, "gone", 1)
    assert str(tmp_path / "images") in failure.reason


def test_all_slices_with_patches_and_a_summary_each(tmp_path):
    drawing = plan(tmp_path, ALL)
    assert [(p.case, p.slices, p.summary) for p in drawing.cases] == [
        (0, (1, 3), True),
        (1, (4,), True),
    ]
    assert [failure.figures for failure in drawing.failures] == [2]
    assert (drawing.planned, drawing.left) == (5, 3)


def test_every_slice_of_the_volume(tmp_path):
    every = Selection("all_slices", every_slice=True)
    drawing = plan(tmp_path, every, chosen=(0, 1))
    assert [p.slices for p in drawing.cases] == [tuple(range(6))] * 2


def test_every_slice_counts_within_the_middle_ones(tmp_path):
    every = Selection("all_slices", every_slice=True)
    drawing = plan(tmp_path, every, chosen=(0,), slices="middle:4")
    assert [p.slices for p in drawing.cases] == [(0, 1, 2, 3)]


def test_a_volume_whose_slices_cannot_be_counted_costs_its_case_only(tmp_path):
    root = sample_runs.make_volumes(tmp_path, "a", "b")
    store = sample_runs.make_store(tmp_path, *CASES)
    (root / "a.npy").write_bytes(b"no array")
    located = locate(store, (0, 1), SourceIndex(root), None)
    every = Selection("all_slices", every_slice=True)
    drawing = plan_drawing(store, located, every, Sources(root), Style(), ())
    assert [p.case for p in drawing.cases] == [1]
    assert [(t.case, "a.npy" in t.reason) for t in drawing.failures] == [("a", True)]


def test_what_is_finished_is_not_planned_again(tmp_path):
    finished = {
        "001_a/slice001_BEST_avg0.6000.png",
        "001_a/_summary.txt",
        "002_b/slice004_BEST_avg1.0000.png",
        "003_gone/slice000_BEST_avg0.5000.png",
        "003_gone/slice002_avg0.5000.png",
        "003_gone/_summary.txt",
    }
    drawing = plan(tmp_path, ALL, finished)
    assert [(p.case, p.slices, p.summary) for p in drawing.cases] == [
        (0, (3,), False),
        (1, (), True),
    ]
    assert (drawing.planned, drawing.already, drawing.left) == (5, 4, 1)
    assert drawing.failures == ()  # nothing of the third case is left to draw


def test_another_format_is_another_file(tmp_path):
    drawing = plan(tmp_path, Selection(), {"002_b_slice4.png"}, Style(format="jpg"), chosen=(1,))
    assert drawing.left == 1
    assert plan_is_empty(tmp_path, "002_b_slice4.jpg")


def plan_is_empty(tmp_path, finished) -> bool:
    folder = tmp_path / "again"
    folder.mkdir()
    drawing = plan(folder, Selection(), {finished}, Style(format="jpg"), chosen=(1,))
    return not drawing.cases


def test_masks_are_found_and_missing_ones_told(tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    np.save(masks / "a_mask.npy", np.zeros(sample_runs.SHAPE, np.uint8))
    one, two = plan(tmp_path, Selection(), masks=masks, chosen=(0, 1)).cases
    assert (one.mask, one.mask_missing) == (str(masks / "a_mask.npy"), "")
    assert two.mask is None
    assert str(masks) in two.mask_missing


def test_without_mask_dir_nothing_is_missing(tmp_path):
    assert {(p.mask, p.mask_missing) for p in plan(tmp_path, Selection()).cases} == {(None, "")}

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastcam.jobs.render.patches.measure import measure_item, peak_item
from fastcam.jobs.render.patches.patch_task import PatchTask
from fastcam.options import Sources
from fastcam.run.work_items import CaseSlices

from .... import sample_runs


def case_slices(case: int, image: Path | None = None, mask: Path | None = None) -> CaseSlices:
    def path(given: Path | None) -> str | None:
        return None if given is None else str(given)

    return CaseSlices(case, (), False, path(image), "" if image else "gone", path(mask), "")


def job_of(tmp_path: Path, case, **sources) -> PatchTask:
    job = sample_runs.make_job(sample_runs.make_store(tmp_path, case), tmp_path)
    return replace(job, sources=Sources(tmp_path, tmp_path, **sources))


def test_the_share_of_the_weight_inside_the_mask(tmp_path):
    """Slice 0: a box of 10 x 10 with 4 of its columns inside; slice 3: one wholly outside."""
    np.save(tmp_path / "v.npy", np.zeros((4, 40, 48), np.uint8))
    mask = np.zeros((4, 40, 48), np.uint8)
    mask[0, :, :14] = 255
    np.save(tmp_path / "m.npy", mask)
    case = sample_runs.make_case(1, "p", [0, 3], [0.75, 0.25], [[10, 5, 20, 15], [10, 5, 20, 15]])
    job = job_of(tmp_path, case)
    (found,) = measure_item(job, (case_slices(0, tmp_path / "v.npy", tmp_path / "m.npy"),))
    assert found.inside_mask == pytest.approx(0.75 * 0.4)
    assert (found.place, found.case, found.patches, found.slices) == (1, "p", 2, 2)


def test_slices_count_within_the_middle_ones(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((10, 40, 48), np.uint8))
    mask = np.zeros((10, 40, 48), np.uint8)
    mask[4] = 255
    np.save(tmp_path / "m.npy", mask)
    case = sample_runs.make_case(1, "p", [0, 1, 2], [0.25, 0.5, 0.25])
    item = (case_slices(0, tmp_path / "v.npy", tmp_path / "m.npy"),)
    (found,) = measure_item(job_of(tmp_path, case, slices="middle:4"), item)
    assert found.inside_mask == pytest.approx(0.5)


def test_boxes_in_a_crop_are_compared_with_the_cropped_mask(tmp_path):
    """The region of 20 x 20 lands in the middle of a 40 x 40 crop: at 10."""
    np.save(tmp_path / "v.npy", np.zeros((1, 60, 70), np.uint8))
    mask = np.zeros((1, 60, 70), np.uint8)
    mask[0, 30:51, 5:26] = 255
    np.save(tmp_path / "m.npy", mask)
    case = sample_runs.make_case(1, "p", [0, 0], [0.5, 0.5], [[10, 10, 30, 30], [0, 0, 20, 20]])
    item = (case_slices(0, tmp_path / "v.npy", tmp_path / "m.npy"),)
    (found,) = measure_item(job_of(tmp_path, case, frame="mask-crop:40"), item)
    assert found.inside_mask == pytest.approx(0.5 * 1 + 0.5 * 0.25)


def test_boxes_on_nibabels_order_are_compared_with_the_turned_mask(tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((40, 48, 2), np.uint8))
    mask = np.zeros((40, 48, 2), np.uint8)
    mask[5:15, 30:40, 1] = 255  # rows 5 to 15, columns 30 to 40 of array[:, :, 1]
    np.save(tmp_path / "m.npy", mask)
    case = sample_runs.make_case(1, "p", [1, 1], [0.75, 0.25], [[30, 5, 40, 15], [5, 30, 15, 40]])
    item = (case_slices(0, tmp_path / "v.npy", tmp_path / "m.npy"),)
    (found,) = measure_item(job_of(tmp_path, case, axes="xyz"), item)
    assert found.inside_mask == pytest.approx(0.75)


@pytest.mark.parametrize("mask_shape", [None, (4, 40, 47), "broken"])
def test_without_a_usable_mask_the_rest_is_still_measured(tmp_path, mask_shape):
    np.save(tmp_path / "v.npy", np.zeros((4, 40, 48), np.uint8))
    path = tmp_path / "m.npy"
    if mask_shape == "broken":
        path.write_bytes(b"none")
    elif mask_shape is not None:
        np.save(path, np.zeros(mask_shape, np.uint8))
    case = sample_runs.make_case(1, "p", [0, 3], [0.75, 0.25])
    item = (case_slices(0, tmp_path / "v.npy", path if mask_shape else None),)
    (found,) = measure_item(job_of(tmp_path, case), item)
    assert found.top1 == pytest.approx(0.75)


def test_a_slice_past_the_volume_is_no_error_here(tmp_path):
    for name in ("v.npy", "m.npy"):
        np.save(tmp_path / name, np.ones((4, 40, 48), np.uint8))
    case = sample_runs.make_case(1, "p", [0, 9], [0.75, 0.25])
    measure_item(job_of(tmp_path, case), (case_slices(0, tmp_path / "v.npy", tmp_path / "m.npy"),))


def test_the_peak_of_an_item_is_its_highest_heat(tmp_path):
    root = sample_runs.make_volumes(tmp_path, "a", "b")
    overlapping = sample_runs.make_case(
        2, "b", [0, 0, 1], [0.5, 0.25, 0.125], [[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 4, 4]]
    )
    job = sample_runs.make_job(
        sample_runs.make_store(tmp_path, sample_runs.make_case(1, "a", [0], [0.25]), overlapping),
        tmp_path,
    )
    one, two = case_slices(0, root / "a.npy"), case_slices(1, root / "b.npy")
    assert peak_item(job, (one,)) == ((0.0, 0.25),)
    assert peak_item(job, (two,)) == ((0.0, 0.375),)
    assert peak_item(job, (one, two)) == ((0.0, 0.375),)


def test_a_box_counts_as_far_as_it_lies_on_the_slice(tmp_path):
    """Where the two boxes part from each other lies beyond the 40 x 48 pixels."""
    root = sample_runs.make_volumes(tmp_path, "a")
    boxes = [[40, 0, 60, 9], [40, 0, 48, 9]]
    job = sample_runs.make_job(
        sample_runs.make_store(tmp_path, sample_runs.make_case(1, "a", [0, 0], [0.5, 0.25], boxes)),
        tmp_path,
    )
    assert peak_item(job, (case_slices(0, root / "a.npy"),)) == ((0.0, 0.375),)
    assert peak_item(job, (case_slices(0),)) == ((0.0, 0.5),)


def test_a_case_without_a_volume_counts_wherever_its_boxes_lie(tmp_path):
    far = 2**31 - 20
    boxes = [[far, 0, far + 9, far], [0, 0, far + 5, 9], [-far, -far, -9, -9]]
    job = sample_runs.make_job(
        sample_runs.make_store(
            tmp_path, sample_runs.make_case(1, "a", [0, 0, 1], [0.5, 0.25, 0.125], boxes)
        ),
        tmp_path,
    )
    assert peak_item(job, (case_slices(0),)) == ((0.0, 0.5),)
    assert peak_item(job, (case_slices(0, tmp_path / "broken.npy"),)) == ((0.0, 0.5),)

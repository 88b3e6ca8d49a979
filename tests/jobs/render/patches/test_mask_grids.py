"""A mask means the same however its file stores it: figures, statistics, left and right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastcam.api.export import export
from fastcam.figures import layout
from fastcam.jobs.render.patches.case import cut_slice, open_case
from fastcam.jobs.render.patches.measure import measure_item
from fastcam.jobs.render.patches.patch_task import PatchTask, render_item
from fastcam.jobs.render.patches.statistics_files import write_statistics
from fastcam.options import Sources
from fastcam.run.work_items import CaseSlices

from .... import sample_runs
from ....messages import pickled
from ....stored_volumes import CODES, right_handed, save_masks, save_turned, turned, write_series

AFFINE = np.array([[0.8, 0, 0, -20.0], [0, 0.9, 0, 7.0], [0, 0, 2.5, 40.0], [0, 0, 0, 1.0]])
SHAPE = (30, 26, 6)  # x, y, z


def image_and_mask() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:17, 3:21, 1:5] = rng.integers(0, 2, (13, 18, 4))
    mask[2:20, 10:14, 2] = 1
    return rng.integers(0, 900, SHAPE).astype(np.int16), mask


def record(name: str, slices: list[int], boxes: list[list[int]]) -> dict[str, Any]:
    count = len(slices)
    weights = np.linspace(1, 2, count, dtype=np.float32)
    positions = [
        {"bbox": tuple(box), "slice_idx": index, "center_x": 0, "center_y": 0, "roi_id": 0}
        for box, index in zip(boxes, slices, strict=True)
    ]
    return {
        "patient_name": name,
        "true_label": 1,
        "predicted_label": 1,
        "is_correct": True,
        "prob_class_0": 0.1,
        "prob_class_1": 0.9,
        "confidence": 0.9,
        "num_patches": count,
        "attention_weights": weights / weights.sum(),
        "positions": positions,
    }


BOXES = [[2, 3, 12, 11], [5, 1, 15, 12], [4, 6, 16, 16]]


@pytest.mark.parametrize("frame", ["image", "mask-crop:16"])
def test_a_mask_on_another_grid_gives_the_same_files(tmp_path: Path, frame: str) -> None:
    image, mask = image_and_mask()
    save_turned(tmp_path / "p.nii.gz", image, AFFINE, "RAS")
    case = sample_runs.make_case(1, "p", [1, 2, 4], [0.1, 0.7, 0.2], BOXES)
    store, found = sample_runs.make_store(tmp_path, case), {}
    for name in save_masks(tmp_path / "masks", mask, AFFINE):
        folder = tmp_path / name
        folder.mkdir()
        job = sample_runs.make_job(store, folder, mode="all_slices")
        task = replace(job, sources=Sources(tmp_path, tmp_path / "masks", frame=frame))
        files = str(tmp_path / "p.nii.gz"), "", str(tmp_path / "masks" / f"{name}.nii.gz"), ""
        item = (CaseSlices(0, (1, 2, 4), True, *files),)
        failures = render_item(task, item).failures
        write_statistics(folder / "out", measure_item(task, item))
        drawn = sorted(path for path in folder.rglob("*") if path.is_file())
        found[name] = {str(path.relative_to(folder)): path.read_bytes() for path in drawn}
        if name == "away":
            ((level, reason),) = [(failure.level, failure.reason) for failure in failures]
            assert level == ("warning" if frame == "image" else "error")
            assert "covers x 479.6 to 503.6" in reason
            assert "the image x -20.4 to 3.6" in reason
            continue
        assert len(found[name]) == 3 + 1 + 3
        assert found[name] == found["same"]
        assert [failure.level for failure in failures] == ["warning"] * (name == "halves")


def test_the_warnings_of_masks_reach_the_user_once(
    tmp_path: Path, fastcam: Callable[..., Any], rows: Callable[[Path], list[dict[str, str]]]
) -> None:
    image, mask = image_and_mask()
    names = save_masks(tmp_path / "masks", mask, AFFINE)
    (tmp_path / "images").mkdir()
    for name in names:
        save_turned(tmp_path / "images" / f"{name}.nii.gz", image, AFFINE, "RAS")
    results = pickled(tmp_path, [record(name, [1, 2, 4], BOXES) for name in names])
    outcome = fastcam(
        f"render {results} --root-dir {tmp_path}/images --mask-dir {tmp_path}/masks "
        f"--output-dir {tmp_path}/out --mode all_slices --analyze-stats "
        "--panel-size 32 --workers 1"
    )
    assert outcome.code == 0
    told = rows(tmp_path / "out" / "failures.csv")
    assert [(row["level"], row["case"]) for row in told] == [
        ("warning", "halves"),
        ("warning", "away"),
    ]
    for row in told:
        said = " ".join(outcome.out.split())
        assert said.count(" ".join(row["reason"].split())) == 1
    measured = [
        {**row, "case": "", "place": ""} for row in rows(tmp_path / "out" / "statistics.csv")
    ]
    assert len(measured) == 5
    assert all(row == measured[0] for row in measured[:4])
    assert measured[4] != measured[0]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PatchTask]:
    """An image with masks in all 48 orientations, and what measures them."""
    folder = tmp_path_factory.mktemp("measured")
    image, mask = image_and_mask()
    save_turned(folder / "image.nii", image, AFFINE, "RAS")
    for codes in CODES:
        save_turned(folder / f"{codes}.nii", mask, AFFINE, codes)
    case = sample_runs.make_case(1, "p", [1, 2, 4], [0.1, 0.7, 0.2], BOXES)
    job = sample_runs.make_job(sample_runs.make_store(folder, case), folder)
    return folder, replace(job, sources=Sources(folder, folder))


@pytest.mark.parametrize("codes", CODES)
def test_statistics_are_equal_to_the_last_digit(
    measured: tuple[Path, PatchTask], codes: str
) -> None:
    folder, task = measured
    found, same = (
        measure_item(
            task,
            (CaseSlices(0, (), False, str(folder / "image.nii"), "", str(folder / name), ""),),
        )
        for name in (f"{codes}.nii", "RAS.nii")
    )
    assert found == same
    # By hand: each box's share of mask voxels, weighed.
    _, mask = image_and_mask()
    parts = [mask[2:12, 3:11, 1], mask[5:15, 1:12, 2], mask[4:16, 6:16, 4]]
    shares = [float(part.mean()) for part in parts]
    assert found[0].inside_mask == pytest.approx(np.dot([0.1, 0.7, 0.2], shares))


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_mask_in_any_orientation_is_measured_alike(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    shape = data.draw(st.tuples(*[st.integers(2, 9)] * 3))
    sizes = data.draw(st.tuples(*[st.integers(3, 40).map(lambda size: size / 10)] * 3))
    image_codes, mask_codes = data.draw(st.sampled_from(CODES)), data.draw(st.sampled_from(CODES))
    seed = data.draw(st.integers(0, 99))
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = np.random.default_rng(seed).normal(0, 80, 3)
    mask = np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8)
    save_turned(folder / "image.nii", np.zeros(shape, np.int16), affine, image_codes)
    save_turned(folder / "same.nii", mask, affine, image_codes)
    save_turned(folder / "other.nii", mask, affine, mask_codes)
    x, y, z = turned(mask, affine, image_codes).shape
    case = sample_runs.make_case(1, "p", [z - 1], [1.0], [[0, y // 2, max(1, x // 2), y]])
    job = sample_runs.make_job(sample_runs.make_store(folder, case), folder)
    task = replace(job, sources=Sources(folder, folder))
    found, same = (
        measure_item(
            task, (CaseSlices(0, (), False, str(folder / "image.nii"), "", str(folder / name), ""),)
        )
        for name in ("other.nii", "same.nii")
    )
    assert found == same
    assert found[0].inside_mask is not None


# One corner of the patient is marked: right, anterior, superior.


def marked_corner() -> np.ndarray:
    corner = np.zeros((34, 36, 38), np.int16)
    corner[-5:, -5:, -5:] = 900
    return corner


def corner_of(picture: np.ndarray) -> str:
    """Which corner of a picture alone is marked."""
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    height, width = picture.shape
    top, left = rows[0] == 0 and rows[-1] < height - 1, columns[0] == 0 and columns[-1] < width - 1
    bottom = rows[-1] == height - 1 and rows[0] > 0
    right = columns[-1] == width - 1 and columns[0] > 0
    assert top != bottom
    assert left != right
    return f"{'top' if top else 'bottom'} {'left' if left else 'right'}"


def stored_corner(array: np.ndarray) -> tuple[int, list[int]]:
    """(slice, box) of the marked corner of nibabel's array (x, y, z)."""
    x, y, z = (np.flatnonzero(array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    return int(z[0]), [int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1]


# What a radiologist sees: axial slices from the feet, anterior up; coronal from the front, superior
# up; sagittal from the left, superior up, anterior on the left. Right, anterior and superior are
# then always at the top and the left.
LETTER = {"R": "A", "L": "A", "A": "R", "P": "R", "S": "R", "I": "R"}


def check_figure(case: Any, image: Path, mask: Path, folder: Path, letter: str) -> None:
    """Picture, mask and box of a case's best slice, as cut and as drawn into its file."""
    sources = Sources(folder, folder)
    opened = open_case(case, str(image), str(mask), "", sources)
    assert opened.warnings == ()
    index = int(case.slices[0])
    picture = cut_slice(opened, index)
    assert picture.mask is not None
    assert corner_of(picture.grey) == "top left"
    assert corner_of(picture.mask) == "top left"
    assert picture.patches.boxes.tolist() == [[0, 0, 5, 5]]
    assert picture.left_side == letter
    out = folder / f"out_{image.name}"
    out.mkdir()
    store = sample_runs.make_store(out, case)
    task = replace(sample_runs.make_job(store, out), sources=sources)
    item = (CaseSlices(0, (index,), False, str(image), "", str(mask), ""),)
    result = render_item(task, item)
    assert not result.failures
    drawn = np.asarray(Image.open(out / "out" / result.figures[0].path).convert("RGB"))
    aspect = opened.geometry.facts.pixel_aspect
    height, width = layout.enlarged(*opened.shown_size, 32, aspect)
    cell = layout.Cell(width, height)
    cells = (cell, cell, layout.Cell(width, height, bar=True), cell)
    plans = [
        layout.arrange((cells,), lines, 1.0, captions) for captions in (1, 2, 3) for lines in (1, 2)
    ]
    plan = next(p for p in plans if (p.height, p.width) == drawn.shape[:2])
    panels = [a.panel for a in plan.areas]
    shown = [drawn[p.y : p.y + p.height, p.x : p.x + p.width] for p in panels]
    assert corner_of(np.all(shown[1] > 127, axis=2)) == "top left"
    assert corner_of(np.all(shown[3] == (0, 255, 0), axis=2)) == "top left"


@pytest.mark.parametrize("number", range(48))
def test_the_marked_corner_is_top_left_however_image_and_mask_lie(
    tmp_path: Path, number: int
) -> None:
    image_codes, mask_codes = CODES[number], CODES[(7 * number + 29) % 48]
    corner = marked_corner()
    save_turned(tmp_path / "image.nii", corner, AFFINE, image_codes)
    save_turned(tmp_path / "mask.nii", (corner > 0).astype(np.uint8), AFFINE, mask_codes)
    stored = turned(corner, AFFINE, image_codes)
    index, box = stored_corner(np.asarray(stored.dataobj))
    case = sample_runs.make_case(1, "image", [index], [1.0], [box])
    letter = LETTER[image_codes[2]]
    check_figure(case, tmp_path / "image.nii", tmp_path / "mask.nii", tmp_path, letter)
    store = sample_runs.make_store(tmp_path, case, name="export.zarr")
    export(store.path, root_dir=tmp_path, output_dir=tmp_path / "maps")
    exported = nib.Nifti1Image.from_filename(tmp_path / "maps" / "image_attention.nii.gz")
    assert exported.shape == stored.shape
    np.testing.assert_allclose(exported.affine, stored.affine, atol=1e-5)
    heat = np.asarray(nib.as_closest_canonical(exported).dataobj)
    inside = marked_corner() > 0
    assert heat[inside].any()
    assert not heat[~inside].any()


@pytest.mark.parametrize(
    "codes", [c for c in CODES if right_handed(turned(marked_corner(), AFFINE, c).affine)]
)
def test_the_marked_corner_of_a_dicom_series(tmp_path: Path, codes: str) -> None:
    corner = marked_corner()
    stored = turned(corner, AFFINE, codes)
    array = np.asarray(stored.dataobj)
    write_series(tmp_path / "image", array.T, stored.affine)
    mask_codes = CODES[(5 * CODES.index(codes) + 3) % 48]
    save_turned(tmp_path / "mask.nii", (corner > 0).astype(np.uint8), AFFINE, mask_codes)
    index, box = stored_corner(array)
    case = sample_runs.make_case(1, "image", [index], [1.0], [box])
    image, mask = tmp_path / "image", tmp_path / "mask.nii"
    check_figure(case, image, mask, tmp_path, LETTER[codes[2]])
    store = sample_runs.make_store(tmp_path, case, name="export.zarr")
    export(store.path, root_dir=tmp_path, output_dir=tmp_path / "maps")
    exported = nib.Nifti1Image.from_filename(tmp_path / "maps" / "image_attention.nii.gz")
    heat = np.asarray(nib.as_closest_canonical(exported).dataobj)
    assert heat[marked_corner() > 0].any()
    assert not heat[marked_corner() == 0].any()

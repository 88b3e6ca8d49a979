"""The demo's learning problem: what is in it, and how it is scored."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fastcam.demo.lesion_set import (
    DemoScore,
    DemoSet,
    lesion_case,
    lesion_hit,
    prepare_demo,
    score_demo,
    touching,
)
from fastcam.errors import InputError, OutputError
from fastcam.models.patch_attention.patches import plan_patches
from fastcam.read.results.results import Results
from fastcam.store.patches import create_from_results
from tests.sample_runs import make_case

SMALL: dict[str, Any] = {"train_cases": 2, "test_cases": 4, "slices": 8, "size": 128}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoSet:
    return prepare_demo(tmp_path_factory.mktemp("demo"), **SMALL)


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj).T


def test_files_and_training_cases(made: DemoSet) -> None:
    assert made.labels.read_text() == "".join(
        ["id,label,image\n", *(f"test_00{i},{1 - i % 2},test_00{i}.nii.gz\n" for i in range(1, 5))]
    )
    assert [(case.name, case.label) for case in made.train] == [("train_001", 0), ("train_002", 1)]
    for case in made.train:
        assert case.patches.shape[1:] == (1, 24, 24)
        assert 0.0 <= case.patches.min() < case.patches.max() <= 1.0
    for index in range(4):
        image, mask, lesion = (
            voxels(folder / f"test_{index + 1:03d}.nii.gz")
            for folder in (made.images, made.masks, made.lesions)
        )
        assert image.shape == mask.shape == lesion.shape == (8, 128, 128)
        assert image.dtype == np.int16
        assert lesion.any() == (index % 2 == 1)
        assert not (lesion > mask).any()


def test_the_seed_decides_every_byte(made: DemoSet, tmp_path: Path) -> None:
    same = prepare_demo(tmp_path / "same", **SMALL)
    other = prepare_demo(tmp_path / "other", **SMALL, seed=1)
    for path in made.images.parent.rglob("*.nii.gz"):
        place = path.relative_to(made.images.parent)
        assert (same.images.parent / place).read_bytes() == path.read_bytes()
    assert np.array_equal(same.train[1].patches, made.train[1].patches)
    for name in ("test_001.nii.gz", "test_002.nii.gz"):
        assert (other.images / name).read_bytes() != (made.images / name).read_bytes()


def test_brightness_decides_nothing_and_every_plaque_has_patches() -> None:
    labels = np.arange(30) % 2
    cases = [
        lesion_case(np.random.default_rng([5, index]), 8, 128, bool(label))
        for index, label in enumerate(labels)
    ]
    cues = {
        "mean": [image.mean() for image, _, _ in cases],
        "mean inside": [image[mask > 0].mean() for image, mask, _ in cases],
        "bright": [np.count_nonzero(image > 600) for image, _, _ in cases],
    }
    for name, cue in cues.items():
        rank = np.argsort(np.argsort(cue))
        pairs = rank[labels == 1][:, None] > rank[labels == 0]
        assert 0.2 < pairs.mean() < 0.8, name  # area under the curve; 0.5 is none
    for (_, mask, lesion), label in zip(cases, labels, strict=True):
        if label:
            plan = plan_patches(mask)
            assert touching(plan.boxes, plan.slices, lesion).any()


def test_bright_nodes_lie_inside_masks_without_a_plaque() -> None:
    bright = 0
    for index in range(12):
        image, mask, _ = lesion_case(np.random.default_rng([5, index]), 8, 128, False)
        bright += bool((image[mask > 0] > 550).any())
    assert bright >= 4


def test_touching_is_by_voxel_and_by_slice() -> None:
    lesion = np.zeros((2, 40, 40), np.uint8)
    lesion[1, 10, 20] = 1
    boxes = np.array([[0, 0, 24, 24], [0, 0, 24, 24], [0, 0, 20, 24], [20, 10, 44, 34]], np.int32)
    slices = np.array([0, 1, 1, 1], np.int32)
    assert touching(boxes, slices, lesion).tolist() == [False, True, False, True]
    for best, hit in enumerate((False, True, False, True)):
        weights = np.full(4, 0.1, np.float32)
        weights[best] = 0.7
        assert lesion_hit(weights, boxes, slices, lesion) == hit


def scored(
    made: DemoSet, folder: Path, names: tuple[str, ...], looks: tuple[bool, ...]
) -> DemoScore:
    """Predicts 1 always; ``looks``: whether the heaviest patch is one on the plaque."""
    cases = []
    for place, (name, look) in enumerate(zip(names, looks, strict=True), start=1):
        plan = plan_patches(voxels(made.masks / f"{name}.nii.gz"))
        on = touching(plan.boxes, plan.slices, voxels(made.lesions / f"{name}.nii.gz"))
        weights = np.full(len(on), 0.1, np.float32)
        weights[int(np.argmax(on == look))] = 0.9
        cases.append(
            make_case(
                place,
                name,
                plan.slices,
                weights,
                plan.boxes,
                roi=plan.roi,
                mask_ratio=plan.mask_ratio,
            )
        )
    results = Results(Path("m"), "ab" * 32, tuple(cases), (), ())
    shutil.rmtree(folder / "run.zarr", ignore_errors=True)
    return score_demo(create_from_results(folder / "run.zarr", results), made)


def test_the_score(made: DemoSet, tmp_path: Path) -> None:
    score = scored(
        made,
        tmp_path,
        ("test_001", "test_002", "test_003", "test_004"),
        (False, True, False, False),
    )
    assert (score.accuracy, score.majority, score.hits) == (0.5, 0.5, 0.5)
    shares = []
    for name in ("test_002", "test_004"):
        plan = plan_patches(voxels(made.masks / f"{name}.nii.gz"))
        lesion = voxels(made.lesions / f"{name}.nii.gz")
        shares.append(
            np.mean(
                [
                    lesion[z, b[1] : b[3], b[0] : b[2]].any()
                    for z, b in zip(plan.slices, plan.boxes, strict=True)
                ]
            )
        )
    assert score.chance_hits == pytest.approx(np.mean(shares))
    three = scored(made, tmp_path, ("test_002", "test_004", "test_001"), (True, True, False))
    assert three.majority == pytest.approx(2 / 3)
    assert three.hits == 1.0


def test_what_cannot_be_scored(made: DemoSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no case with a plaque"):
        scored(made, tmp_path, ("test_001",), (False,))
    shutil.copy(made.masks / "test_001.nii.gz", made.masks / "zz.nii.gz")
    shutil.copy(made.lesions / "test_001.nii.gz", made.lesions / "zz.nii.gz")
    with pytest.raises(InputError, match="'zz' is not in"):
        scored(made, tmp_path, ("zz",), (False,))


@pytest.mark.parametrize("name", ["train_cases", "test_cases", "slices", "size"])
def test_settings_out_of_range(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} 1 is too small"):
        prepare_demo(tmp_path / "set", **{name: 1})
    assert not (tmp_path / "set").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file/images"):
        prepare_demo(tmp_path / "file", **SMALL)

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from fastcam.demo.neck_set import SyntheticSet, make_test_set
from fastcam.errors import InputError, OutputError


def touches(first: Any, second: Any) -> bool:
    return bool(
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SyntheticSet:
    return make_test_set(tmp_path_factory.mktemp("set"), cases=6, slices=20, size=128, seed=3)


@pytest.fixture(scope="module")
def results(made: SyntheticSet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pickle.loads(made.results.read_bytes())
    return found


@pytest.fixture(scope="module")
def truth(made: SyntheticSet) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.truth.read_text())
    return found


def voxels(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj).T


def test_volumes_are_readable_and_lie_as_a_radiologist_expects(
    made: SyntheticSet, results: list[dict[str, Any]]
) -> None:
    for case in results:
        image = nib.Nifti1Image.from_filename(made.images / f"{case['patient_name']}.nii.gz")
        mask = nib.Nifti1Image.from_filename(made.masks / f"{case['patient_name']}.nii.gz")
        assert image.shape == mask.shape == (128, 128, 20)
        assert image.get_data_dtype() == np.int16
        assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
        assert np.array_equal(image.affine, mask.affine)
        assert np.allclose(image.get_qform(), image.affine)
        assert (float(image.header["cal_min"]), float(image.header["cal_max"])) == (-200, 500)
        assert set(np.unique(mask.dataobj).tolist()) == {0, 1}
        volume = voxels(made.images / f"{case['patient_name']}.nii.gz")
        assert volume[:, :4].max() < -800  # air around the neck
        assert volume[:, 30:100, 30:100].max() > 300  # arteries
        vessels = voxels(made.masks / f"{case['patient_name']}.nii.gz") > 0
        assert volume[vessels].mean() > volume[:, 30:100, 30:100].mean()


def test_results_have_the_documented_keys_and_types(results: list[dict[str, Any]]) -> None:
    assert len(results) == len({case["patient_name"] for case in results}) == 6
    for case in results:
        assert [type(case[key]) for key in ("patient_name", "true_label", "is_correct")] == [
            str,
            int,
            bool,
        ]
        assert case["is_correct"] == (case["true_label"] == case["predicted_label"])
        probabilities = [case["prob_class_0"], case["prob_class_1"]]
        assert case["confidence"] == max(probabilities)
        assert int(np.argmax(probabilities)) == case["predicted_label"]
        assert sum(probabilities) == pytest.approx(1)
        weights = case["attention_weights"]
        assert weights.dtype == np.float32
        assert weights.shape == (case["num_patches"],) == (len(case["positions"]),)
        assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
        assert (weights >= 0).all()


def test_patches_follow_the_rules(made: SyntheticSet, results: list[dict[str, Any]]) -> None:
    for case in results:
        mask = voxels(made.masks / f"{case['patient_name']}.nii.gz")
        members: Counter[tuple[int, int]] = Counter()
        for place in case["positions"]:
            x1, y1, x2, y2 = place["bbox"]
            assert (x2 - x1, y2 - y1) == (24, 24)
            assert (place["center_x"], place["center_y"]) == (x1 + 12, y1 + 12)
            assert 0 <= x1 < x2 <= 128
            assert 0 <= y1 < y2 <= 128
            inside = mask[place["slice_idx"], y1:y2, x1:x2].mean()
            assert place["mask_ratio"] == pytest.approx(inside)
            assert inside >= 0.3
            members[place["slice_idx"], place["roi_id"]] += 1
        assert max(members.values()) <= 12
        for index in range(len(mask)):
            count = label(mask[index])[1]
            assert {roi for at, roi in members if at == index} == set(range(count))


def test_lesions_lie_in_the_mask_and_the_right_predictions_look_at_them(
    made: SyntheticSet, results: list[dict[str, Any]], truth: dict[str, Any]
) -> None:
    assert set(truth) == {case["patient_name"] for case in results}
    focused = 0
    for case in results:
        expected = truth[case["patient_name"]]
        assert expected["label"] == case["true_label"] == int(bool(expected["lesions"]))
        mask = voxels(made.masks / f"{case['patient_name']}.nii.gz")
        for lesion in expected["lesions"]:
            x1, y1, x2, y2 = lesion["bbox"]
            assert mask[lesion["slice"], y1:y2, x1:x2].all()
        best = case["positions"][int(case["attention_weights"].argmax())]
        if expected["focus"]:
            focused += 1
            assert any(
                lesion["slice"] == best["slice_idx"] and touches(lesion["bbox"], best["bbox"])
                for lesion in expected["lesions"]
            )
    assert focused == 2
    assert [case["is_correct"] for case in results].count(False) == 1


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_test_set(tmp_path / name, cases=2, slices=3, size=96, seed=seed)
    first, same, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name in "abc"
        for files in [[path for path in (tmp_path / name).rglob("*") if path.is_file()]]
    )
    assert first == same
    assert len(first) == 6
    assert all(first[path] != other[path] for path in first if path.name != "truth.json")


def test_every_source_has_the_same_pictures(tmp_path: Path) -> None:
    sets = {
        source: make_test_set(tmp_path / source, cases=1, slices=4, size=96, source=source)
        for source in ("nii.gz", "nii", "npy", "jpg")
    }
    results = {made.results.read_bytes() for made in sets.values()}
    assert len(results) == 1
    expected = voxels(sets["nii.gz"].images / "neck_001.nii.gz")
    mask = voxels(sets["nii.gz"].masks / "neck_001.nii.gz")
    assert np.array_equal(voxels(sets["nii"].images / "neck_001.nii"), expected)
    assert np.array_equal(np.load(sets["npy"].images / "neck_001.npy"), expected)
    assert np.array_equal(np.load(sets["npy"].masks / "neck_001.npy"), mask)
    pictures = sorted((sets["jpg"].images / "neck_001" / "scan_JPG").iterdir())
    masks = sorted((sets["jpg"].masks / "neck_001" / "scan_JPG").iterdir())
    assert [path.name for path in pictures] == ["000.jpg", "001.jpg", "002.jpg", "003.jpg"]
    for index in range(4):
        grey = np.asarray(Image.open(pictures[index])).astype(float)
        wanted = np.clip((expected[index] + 200) / 700 * 255, 0, 255)
        assert np.abs(grey - wanted).mean() < 4
        assert np.array_equal(np.asarray(Image.open(masks[index])), mask[index] * 255)


def test_a_number_of_patches_can_be_forced(tmp_path: Path) -> None:
    made = make_test_set(tmp_path, cases=1, slices=3, size=128, patches_per_slice=24)
    positions = pickle.loads(made.results.read_bytes())[0]["positions"]
    assert Counter(place["slice_idx"] for place in positions) == {0: 24, 1: 24, 2: 24}
    assert len({(place["slice_idx"], place["bbox"]) for place in positions}) == 72


def test_large_components_give_their_twelve_best_patches(tmp_path: Path) -> None:
    made = make_test_set(tmp_path, cases=1, slices=2, size=512)
    positions = pickle.loads(made.results.read_bytes())[0]["positions"]
    members = Counter((place["slice_idx"], place["roi_id"]) for place in positions)
    assert set(members.values()) == {12}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cases": 0}, "cases 0"),
        ({"slices": 0}, "slices 0"),
        ({"size": 64}, "size 64"),
        ({"source": "bmp"}, "source 'bmp'"),
        ({"size": 96, "patches_per_slice": 50}, "patches_per_slice 50.* 1 to 49"),
    ],
)
def test_settings_out_of_range_are_named(
    tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        make_test_set(tmp_path / "set", **settings)
    assert not (tmp_path / "set").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/images"):
        make_test_set(tmp_path / "file", cases=1, slices=1, size=96)

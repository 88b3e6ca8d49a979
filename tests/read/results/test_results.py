"""Results files: every key checked, one bad case costs only itself."""

# ruff: noqa: E501  (one bad value a line reads best)
from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from fastcam.errors import InputError
from fastcam.read.results.results import read_results

from .plain_files import write_json
from .records import read, record, with_position


def test_a_good_file(tmp_path: Path) -> None:
    results = read(tmp_path, [record("A"), record("颈/..", 1)])
    assert results.rejected == ()
    assert results.warnings == ()
    assert results.source == tmp_path / "results.pkl"
    digest = hashlib.sha256((tmp_path / "results.pkl").read_bytes()).hexdigest()
    assert results.sha256 == digest
    first, second = results.cases
    assert (second.place, second.name) == (2, "颈/..")
    assert (first.place, first.true_label, first.predicted_label) == (1, 1, 1)
    assert first.correct is True
    assert first.probabilities == (0.25, 0.75)
    assert first.boxes.dtype == first.slices.dtype == first.roi.dtype == np.int32
    assert first.weights.dtype == first.mask_ratio.dtype == np.float32
    np.testing.assert_array_equal(first.boxes, [[0, 2, 24, 26], [1, 2, 25, 26], [2, 2, 26, 26]])
    np.testing.assert_array_equal(first.slices, [5, 6, 7])
    np.testing.assert_array_equal(first.roi, [0, 1, 0])
    np.testing.assert_array_equal(first.mask_ratio, [0.5, 0.5, 0.5])


BAD = {
    "missing": (record("B", is_correct=...), "'is_correct' is missing"),
    "near miss": (
        record("B", attention_weights=..., attention_weight=[1, 0, 0]),
        "'attention_weights' is missing (rename 'attention_weight'?)",
    ),
    "no name": (record(patient_name=...), "'patient_name' is missing"),
    "name a number": (record(patient_name=5), "patient_name is 5, must be text"),
    "name empty": (record(" "), "must not be empty"),
    "name NUL": (record("a\0b"), "NUL"),
    "name surrogate": (record("a\ud800"), "not valid Unicode"),
    "no dict": ([1, 2], "case 2 is [1, 2], must be a dict"),
    "label": (record("B", true_label=1.5), "true_label is 1.5, must be a whole number"),
    "label text": (record("B", predicted_label="1"), "predicted_label is '1'"),
    "label huge": (record("B", true_label=2**31), "too large"),
    "label nan": (record("B", true_label=float("nan")), "true_label is nan"),
    "correct": (record("B", is_correct="yes"), "is_correct is 'yes', must be True or False"),
    "correct 2": (record("B", is_correct=2), "is_correct is 2"),
    "probability": (record("B", prob_class_1=1.5), "prob_class_1 is 1.5, must be from 0 to 1"),
    "probability nan": (record("B", prob_class_0=np.float32("nan")), "prob_class_0 is nan"),
    "probability gap": (record("B", prob_class_1=..., prob_class_2=0.1), "'prob_class_1' is missing"),
    "confidence": (record("B", confidence=None), "confidence is None"),
    "count": (record("B", num_patches=4), "num_patches is 4, but positions has 3"),
    "no patches": (record("B", 0), "no patches"),
    "lengths": (
        record("B", attention_weights=np.ones(4, "f4") / 4, num_patches=...),
        "attention_weights has 4 values, but positions has 3",
    ),
    "nan": (record("B", attention_weights=[0.5, np.nan, 0.5]), "attention_weights[1] is nan"),
    "inf": (record("B", attention_weights=[0.5, 0.5, np.inf]), "attention_weights[2] is inf"),
    "overflow": (record("B", attention_weights=[0.5, 0.5, 1e300]), "attention_weights[2] is 1e+300"),
    "negative": (record("B", attention_weights=[-0.5, 1, 0.5]), "attention_weights[0] is -0.5"),
    "2-d": (record("B", attention_weights=np.ones((3, 1), "f4")), "shape (3, 1)"),
    "text": (record("B", attention_weights="abc"), "attention_weights is 'abc'"),
    "ragged": (record("B", attention_weights=[[1], [1, 2]]), "must be N numbers"),
    "positions": (record("B", positions=5), "positions is a int, must be a list"),
    "position": (record("B", positions=[{}, 7, {}]), "positions[1] is 7, must be a dict"),
    "no bbox": (with_position(bbox=...), "positions[1] has no key 'bbox'"),
    "no slice": (with_position(slice_idx=...), "positions[1] has no key 'slice_idx'"),
    "bbox turned": (
        with_position(bbox=(9, 1, 5, 4)),
        "positions[1]: bbox is (9, 1, 5, 4), must be x1, y1, x2, y2 with x2 > x1",
    ),
    "bbox flat": (with_position(bbox=(1, 4, 5, 4)), "positions[1]: bbox is (1, 4, 5, 4)"),
    "bbox three": (with_position(bbox=(1, 2, 3)), "positions[1]: bbox is (1, 2, 3), must be four"),
    "bbox none": (with_position(bbox=None), "positions[1]: bbox is None"),
    "bbox part": (with_position(bbox=(0, 0, 1.5, 2)), "positions[1]: bbox is (0, 0, 1.5, 2)"),
    "bbox nan": (with_position(bbox=(0, 0, np.nan, 2)), "positions[1]: bbox is (0, 0, nan, 2)"),
    "bbox huge": (with_position(bbox=(0, 0, 10**12, 2)), "less than 32 bits"),
    "bbox text": (with_position(bbox=("0", 0, 1, 2)), "positions[1]: bbox is ('0', 0, 1, 2)"),
    "slice": (with_position(slice_idx=-1), "positions[1]: slice_idx is -1, must be 0 or more"),
    "slice part": (with_position(slice_idx=1.5), "positions[1]: slice_idx is 1.5"),
    "slice text": (with_position(slice_idx="3"), "positions[1]: slice_idx is '3'"),
    "slice huge": (with_position(slice_idx=10**30), "positions[1]: slice_idx is 1000"),
    "center": (with_position(center_x=np.inf), "positions[1]: center_x is inf"),
    "center text": (with_position(center_y="a"), "positions[1]: center_y is 'a'"),
    "roi": (with_position(roi_id=0.5), "positions[1]: roi_id is 0.5"),
    "mask_ratio": (with_position(mask_ratio=1.2), "positions[1]: mask_ratio is 1.2, must be from 0"),
    "mask_ratio nan": (with_position(mask_ratio=np.nan), "positions[1]: mask_ratio is nan"),
    "twice": (record("A"), "case 1 has the same patient_name"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_case_costs_only_itself(tmp_path: Path, bad: object, message: str) -> None:
    results = read(tmp_path, [record("A"), bad, record("C")])
    assert [(case.place, case.name) for case in results.cases] == [(1, "A"), (3, "C")]
    (entry,) = results.rejected
    assert entry.place == 2
    assert entry.reason.startswith("case 2")
    assert message in entry.reason
    assert "\n" not in entry.reason
    entry.reason.encode()
    if isinstance(bad, dict) and bad.get("patient_name") == "B":
        assert entry.name == "B"
        assert "case 2 'B': " in entry.reason


def test_optional_keys_may_be_missing_in_some_positions(tmp_path: Path) -> None:
    case = with_position(roi_id=..., mask_ratio=..., center_x=..., center_y=...)
    (read_case,) = read(tmp_path, [case]).cases
    np.testing.assert_array_equal(read_case.roi, [0, -1, 0])
    np.testing.assert_array_equal(read_case.mask_ratio, [0.5, np.nan, 0.5])
    case["positions"][2]["roi_id"] = "x"
    (entry,) = read(tmp_path, [case]).rejected
    assert "positions[2]: roi_id is 'x'" in entry.reason


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (record(confidence=0.9), "confidence is 0.9000, but the largest probability is 0.7500"),
        (record(is_correct=False), "is_correct is False, but true_label is 1"),
        (record(attention_weights=np.ones(3)), "sum to 3, not 1"),
        (record(attention_weights=np.zeros(3, int)), "sum to 0, not 1"),
    ],
)
def test_what_is_odd_is_kept_and_said(tmp_path: Path, odd: object, message: str) -> None:
    results = read(tmp_path, [odd])
    assert len(results.cases) == 1
    (entry,) = results.warnings
    assert (entry.place, entry.name) == (1, "A")
    assert message in entry.reason


def test_prediction_need_not_be_the_likeliest_class(tmp_path: Path) -> None:
    results = read(tmp_path, [record(true_label=0, predicted_label=0)])
    assert len(results.cases) == 1
    assert results.warnings == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1}, "holds a dict with the keys ['a']"),
        (7, "holds a int"),
        ([], "list of cases is empty"),
        ([1, 2], "is a list of int"),
    ],
)
def test_what_is_no_results_file(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, value)
    assert message in str(caught.value)
    assert "results.pkl" in str(caught.value)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError) as caught:
        read_results(path)
    assert message in str(caught.value)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    for suffix in (".pkl", ".json", ".npz"):
        with pytest.raises(InputError, match="can't be read: No such file"):
            read_results(tmp_path / f"none{suffix}")
    with pytest.raises(InputError, match="is a folder"):
        read_results(tmp_path)
    (tmp_path / "a.csv").write_text("a,b")
    with pytest.raises(InputError, match=r"'\.csv' is not a results file"):
        read_results(tmp_path / "a.csv")


@pytest.mark.parametrize("text", ["", "[", '[{"a": 1]', "\x00", "[" * 100_000, "é"])
def test_damaged_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match="not a complete JSON"):
        read_results(path)


def test_nan_in_json_costs_its_case(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    write_json(good, read(tmp_path, [record("A"), record("B")]).cases)
    cases = json.loads(good.read_text())
    cases[1]["attention_weights"][2] = float("nan")
    bad.write_text(json.dumps(cases))
    results = read_results(bad)
    assert [case.name for case in results.cases] == ["A"]
    assert "attention_weights[2] is nan" in results.rejected[0].reason

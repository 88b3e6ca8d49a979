"""Results files: every key checked, one bad case costs only itself, the three forms agree."""

# ruff: noqa: E501  (one bad value a line reads best)
from __future__ import annotations

import hashlib
import json
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError, OutputError
from fastcam.read.case import Case
from fastcam.read.results import Results, read_results
from fastcam.read.twins import write_json, write_npz


def record(name: str = "A", patches: int = 3, **changes: Any) -> dict[str, Any]:
    """A case as a training script writes it, mixing Python and NumPy numbers."""
    case: dict[str, Any] = {
        "patient_name": name,
        "true_label": 1,
        "predicted_label": np.int64(1),
        "prob_class_0": 0.25,
        "prob_class_1": np.float32(0.75),
        "confidence": 0.75,
        "is_correct": np.bool_(True),
        "num_patches": patches,
        "attention_weights": np.full(patches, 1 / max(patches, 1), np.float32),
        "positions": [
            {
                "bbox": (i, 2, i + 24, np.int64(26)),
                "slice_idx": 5 + i,
                "center_x": i + 12,
                "center_y": 14.0,
                "roi_id": i % 2,
                "mask_ratio": np.float64(0.5),
            }
            for i in range(patches)
        ],
    }
    return {key: value for key, value in (case | changes).items() if value is not ...}


def read(folder: Path, value: object) -> Results:
    path = folder / "results.pkl"
    path.write_bytes(pickle.dumps(value))
    return read_results(path)


def with_position(**changes: Any) -> dict[str, Any]:
    case = record("B")
    position = case["positions"][1] | changes
    case["positions"][1] = {key: value for key, value in position.items() if value is not ...}
    return case


def same(left: Case, right: Case) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a == b
        for a, b in ((vars(left)[key], vars(right)[key]) for key in Case.__dataclass_fields__)
    )


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
    "name surrogate": (record("a\ud800"), "no valid Unicode"),
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
    with pytest.raises(InputError, match=r"'\.csv' is no results file"):
        read_results(tmp_path / "a.csv")


@pytest.mark.parametrize("text", ["", "[", '[{"a": 1]', "\x00", "[" * 100_000, "é"])
def test_damaged_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match="no whole JSON"):
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


@st.composite
def cases(draw: st.DrawFn) -> list[Case]:
    names = draw(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
            .filter(str.strip)
            .filter(lambda name: not name.endswith("\0")),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    made = []
    for place, name in enumerate(names, start=1):
        count = draw(st.integers(1, 6))
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        corner = rng.integers(-(2**20), 2**20, (count, 2))
        probabilities = tuple(rng.random(draw(st.integers(1, 4))).tolist())
        made.append(
            Case(
                place=place,
                name=name,
                true_label=draw(st.integers(-(2**31) + 1, 2**31 - 1)),
                predicted_label=draw(st.integers(0, 9)),
                correct=draw(st.booleans()),
                confidence=draw(st.floats(0, 1)),
                probabilities=probabilities,
                weights=rng.random(count, np.float32),
                boxes=np.hstack([corner, corner + rng.integers(1, 300, (count, 2))]).astype("i4"),
                slices=rng.integers(0, 2**31, count).astype(np.int32),
                roi=rng.integers(-1, 4, count).astype(np.int32),
                mask_ratio=np.where(rng.random(count) < 0.3, np.nan, rng.random(count)).astype(
                    "f4"
                ),
            )
        )
    return made


@settings(max_examples=60, deadline=None)
@given(cases())
def test_both_twins_hold_the_same_cases(written: list[Case]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        npz, text = Path(folder, "a.npz"), Path(folder, "a.json")
        write_npz(npz, written)
        write_json(text, written)
        assert sorted(p.name for p in Path(folder).iterdir()) == ["a.json", "a.npz"]
        for path in (npz, text):
            results = read_results(path)
            assert results.rejected == ()
            for left, right in zip(written, results.cases, strict=True):
                assert same(left, right), (left, right)


def npz(folder: Path, **changes: Any) -> Path:
    source, path = folder / "source.npz", folder / "a.npz"
    write_npz(source, read(folder, [record("A"), record("B", 2)]).cases)
    with np.load(source) as archive:
        arrays = dict(archive) | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not ...})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": ...}, "the array 'bbox' is missing"),
        (
            {"bbox": np.zeros((5, 3), int)},
            "bbox is int64 of shape (5, 3), must be numbers of shape",
        ),
        ({"slice_idx": np.zeros(4, int)}, "slice_idx has 4 entries, attention_weights 5"),
        ({"true_label": np.zeros(3, int)}, "true_label has 3 entries for 2 cases"),
        ({"num_patches": np.array([3, 3])}, "num_patches doesn't add up to the 5 patches"),
        ({"num_patches": np.array([-1, 6])}, "num_patches doesn't add up"),
        ({"num_patches": np.array([2**63 - 1, 2**63 - 1])}, "num_patches doesn't add up"),
        ({"patient_name": np.array([{}, {}], object)}, "allow_pickle=False"),
        ({"patient_name": np.arange(2)}, "patient_name is int64 of shape (2,), must be text"),
        ({"attention_weights": np.array(["a"] * 5)}, "attention_weights is <U1"),
    ],
)
def test_bad_npz(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = npz(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        read_results(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_bad_value_in_npz_costs_its_case(tmp_path: Path) -> None:
    results = read_results(npz(tmp_path, slice_idx=np.array([5, 6, 7, 5, -6])))
    assert [case.name for case in results.cases] == ["A"]
    assert "case 2 'B': positions[1]: slice_idx is -6" in results.rejected[0].reason


def test_damaged_npz(tmp_path: Path) -> None:
    path = npz(tmp_path)
    data = path.read_bytes()
    for damaged in (
        b"",
        data[: len(data) // 2],
        data[:40],
        b"PK\x03\x04junk",
        data.replace(b"<f4", b"<O8"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read_results(path)
    np.save(tmp_path / "b.npy", np.arange(3))
    (tmp_path / "b.npy").rename(path)
    with pytest.raises(InputError, match="not a zip file"):
        read_results(path)


def test_npz_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("attention_weights.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(1025):
            member.write(bytes(2**20))
    with pytest.raises(InputError, match="zip bomb"):
        read_results(path)


def test_a_twin_that_can_not_be_written(tmp_path: Path) -> None:
    cases = read(tmp_path, [record()]).cases
    with pytest.raises(OutputError, match="can't be written"):
        write_npz(tmp_path / "none" / "a.npz", cases)
    (tmp_path / "b.json").mkdir()
    with pytest.raises(OutputError, match="can't be written"):
        write_json(tmp_path / "b.json", cases)
    assert not list(tmp_path.glob(".*"))

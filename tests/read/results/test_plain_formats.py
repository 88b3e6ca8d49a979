"""Results files as .npz and JSON: the three forms agree."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.read.results.case import Case
from fastcam.read.results.results import read_results

from .plain_files import write_json, write_npz
from .records import read, record, same


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
def test_both_plain_formats_hold_the_same_cases(written: list[Case]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        npz, text = Path(folder, "a.npz"), Path(folder, "a.json")
        write_npz(npz, written)
        write_json(text, written)
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

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.run import file_names

from ..sample_runs import make_case

CASE = make_case(7, "p01", [12, 12, 3], [0.5, 0.1, 0.4])


def test_the_names_are_those_of_the_design():
    assert file_names.best_slice_path(CASE, 12, "png") == "007_p01_slice12.png"
    assert file_names.best_slice_path(CASE, 3, "webp") == "007_p01_slice3.webp"
    assert file_names.case_folder(CASE) == "007_p01"
    assert file_names.summary_path(CASE) == "007_p01/_summary.txt"
    assert file_names.slice_path(CASE, 12, "png") == "007_p01/slice012_BEST_avg0.3000.png"
    assert file_names.slice_path(CASE, 3, "jpg") == "007_p01/slice003_avg0.4000.jpg"
    assert file_names.slice_path(CASE, 5, "png") == "007_p01/slice005_avg0.0000.png"


def test_large_numbers_are_not_cut():
    case = make_case(12345, "p", [1000], [1.0])
    assert file_names.best_slice_path(case, 1000, "png") == "12345_p_slice1000.png"
    assert file_names.slice_path(case, 1000, "png") == "12345_p/slice1000_BEST_avg1.0000.png"


def test_the_best_slice_of_a_tie_is_the_first():
    case = make_case(1, "p", [9, 9, 8, 2], [0.3, 0.3, 0.4, 0.4])
    assert "BEST" in file_names.slice_path(case, 2, "png")
    assert "BEST" not in file_names.slice_path(case, 8, "png")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("site1/p.01", "site1_p.01"),
        ("../../etc/passwd", "__.._etc_passwd"),
        ("患者 7", "患者 7"),
        ("..", "_"),
        (".", "_"),
        (" ", "_"),
        ("", "_"),
        ("a\nb\tc", "a_b_c"),
        ("con:", "con_"),
        ("a\\b*c?", "a_b_c_"),
        ("trailing. ", "trailing_"),
        (".hidden", "_hidden"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("a\ud800", "a_"),
    ],
)
def test_safe(name, safe):
    assert file_names.safe(name) == safe


@given(
    st.one_of(st.text(), st.text(min_size=200, max_size=400), st.text("./\\ \u0000患", max_size=9))
)
def test_a_safe_name_is_one_part_of_a_path_on_any_file_system(name):
    safe = file_names.safe(name)
    assert 0 < len(safe.encode()) <= 150
    assert len(f"12345_{safe}_slice123456.webp".encode()) <= 255
    assert safe not in (".", "..")
    assert safe == safe.strip(" .")
    assert not set(safe) & set('/\\:*?"<>|')
    assert not any(unicodedata.category(c)[0] == "C" for c in safe)
    assert safe.isprintable() or any(unicodedata.category(c)[0] == "Z" for c in safe)
    assert file_names.safe(safe) == safe


@given(st.text(min_size=1, max_size=200))
def test_paths_stay_inside_the_output_folder(name):
    case = make_case(3, name, [5], [1.0])
    root = Path("/out/put")
    for path, depth in (
        (file_names.best_slice_path(case, 5, "png"), 1),
        (file_names.slice_path(case, 5, "png"), 2),
        (file_names.summary_path(case), 2),
    ):
        joined = Path(os.path.normpath(root / path))
        assert joined.is_relative_to(root)
        assert len(joined.relative_to(root).parts) == depth


def test_a_name_can_be_used(tmp_path: Path):
    for name in ("患者" * 90, "\U0001f9e0" * 50, "é" * 300, "a/b\\c:d"):
        path = tmp_path / file_names.best_slice_path(make_case(1, name, [5], [1.0]), 5, "png")
        path.write_bytes(b"x")
        assert path.parent == tmp_path


def test_two_cases_of_one_name_have_different_files():
    one, two = make_case(1, "p", [5], [1.0]), make_case(2, "p", [5], [1.0])
    assert file_names.best_slice_path(one, 5, "png") != file_names.best_slice_path(two, 5, "png")
    assert file_names.case_folder(one) != file_names.case_folder(two)


def test_folders_of_several_images_never_clash() -> None:
    assert file_names.image_folders(["a", "b/c"]) == ["a", "b_c"]
    assert file_names.image_folders(["a", "A", "b"]) == ["001_a", "002_A", "003_b"]
    assert file_names.image_folders(["x/y", "x_y"]) == ["001_x_y", "002_x_y"]

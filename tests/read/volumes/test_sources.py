from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastcam.errors import CaseError, InputError
from fastcam.read.volumes.sources import SourceIndex, natural_key, slice_files


def _make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(b"")
    return root


@pytest.mark.parametrize(
    "suffix", [".nii.gz", ".nii", ".npy", ".npz", ".tif", ".tiff", ".dcm", ".nrrd", ".mha", ".mhd"]
)
def test_files_under_the_root(tmp_path: Path, suffix: str) -> None:
    _make(tmp_path, f"p01{suffix}", "p01.txt", "p011.nii")
    assert SourceIndex(tmp_path).find("p01") == tmp_path / f"p01{suffix}"


@pytest.mark.parametrize(
    "name", ["p.01", "p 01", "患者一", "p.01.nii", "Ł-ó", "a'b\"c", "p*", "[p]", "~p", ".p"]
)
def test_names_of_all_sorts(tmp_path: Path, name: str) -> None:
    _make(tmp_path, f"{name}.nii.gz", f"deep/er/{name}x/1.png")
    index = SourceIndex(tmp_path)
    assert index.find(name) == tmp_path / f"{name}.nii.gz"
    if not name.startswith("."):
        assert index.find(f"{name}x") == tmp_path / f"deep/er/{name}x"


def test_a_folder_called_like_a_file_is_none(tmp_path: Path) -> None:
    _make(tmp_path, "p01.nii/1.png")
    with pytest.raises(CaseError, match="no image of 'p01'"):
        SourceIndex(tmp_path).find("p01")


def test_a_name_with_its_suffix(tmp_path: Path) -> None:
    _make(tmp_path, "p01.nii.gz")
    assert SourceIndex(tmp_path).find("p01.nii.gz") == tmp_path / "p01.nii.gz"


def test_folders_at_any_depth(tmp_path: Path) -> None:
    _make(tmp_path, "p01/1.png", "site/p02/1.png", "site/2020/p03/x/1.png", ".trash/p04/1.png")
    index = SourceIndex(tmp_path)
    assert index.find("p01") == tmp_path / "p01"
    assert index.find("p03") == tmp_path / "site/2020/p03"
    assert index.find("p02") == tmp_path / "site/p02"
    with pytest.raises(CaseError):
        index.find("p04")


def test_names_with_slashes(tmp_path: Path) -> None:
    _make(tmp_path, "site1/p01.nii", "site2/p01.nii", "x/site3/p01/1.png", "x/site4/p01/1.png")
    index = SourceIndex(tmp_path)
    assert index.find("site2/p01") == tmp_path / "site2/p01.nii"
    assert index.find("site4/p01") == tmp_path / "x/site4/p01"
    with pytest.raises(CaseError, match="site5/p01"):
        index.find("site5/p01")


@pytest.mark.parametrize(
    "name", ["", "..", ".", "../p01", "a/../../p01", "/etc/passwd", "a//b", "p/", "a\0b"]
)
def test_names_that_lead_out_of_the_root(tmp_path: Path, name: str) -> None:
    _make(tmp_path, "root/p01.nii", "p01.nii")
    with pytest.raises(CaseError, match="can't be a file under"):
        SourceIndex(tmp_path / "root").find(name)


@pytest.mark.parametrize("name", ["x" * 5000, "\ud800"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    _make(tmp_path, "p01.nii")
    with pytest.raises(CaseError, match="no image of"):
        SourceIndex(tmp_path).find(name)


def test_two_sources_of_one_name_are_both_named(tmp_path: Path) -> None:
    _make(tmp_path, "p01.nii.gz", "p01.npy", "p02.nii", "p02/1.png", "a/p03/1.png", "b/p03/1.png")
    index = SourceIndex(tmp_path)
    for name, both in (
        ("p01", ("p01.nii.gz", "p01.npy")),
        ("p02", ("p02", "p02.nii")),
        ("p03", ("a/p03", "b/p03")),
    ):
        with pytest.raises(CaseError) as caught:
            index.find(name)
        for path in both:
            assert str(tmp_path / path) in str(caught.value)


def test_a_picture_beside_a_volume_is_its_preview(tmp_path: Path) -> None:
    _make(tmp_path, "p01/1.jpg", "p01.png", "p02.png")
    index = SourceIndex(tmp_path)
    assert index.find("p01") == tmp_path / "p01"
    assert index.find("p02") == tmp_path / "p02.png"


def test_the_nearer_folder_wins(tmp_path: Path) -> None:
    _make(tmp_path, "a/p01/p01/1.png", "a/b/c/p01/1.png")
    assert SourceIndex(tmp_path).find("p01") == tmp_path / "a/p01"


def test_a_matched_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, *(f"site/p{index:02}/series/1.png" for index in range(30)))
    read: list[str] = []
    scandir = os.scandir

    def counting(path: Path) -> object:
        read.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counting)
    index = SourceIndex(tmp_path)
    for number in range(30):
        index.find(f"p{number:02}")
    assert len(read) == 3  # is it empty, the root, the site


def test_links_in_circles_end(tmp_path: Path) -> None:
    _make(tmp_path, "a/b/1.txt", "p01/1.png", "real/q/1.png")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "p01/self").symlink_to(tmp_path / "p01")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    with pytest.raises(CaseError):
        SourceIndex(tmp_path).find("nobody")
    assert slice_files(tmp_path / "p01") == [tmp_path / "p01/1.png"]
    _make(tmp_path, "p02/")
    (tmp_path / "p02/up").symlink_to(tmp_path)
    with pytest.raises(CaseError, match="holds no slices"):
        slice_files(tmp_path / "p02")


def test_masks(tmp_path: Path) -> None:
    _make(
        tmp_path,
        "p01_mask.png",
        "p01.nii.gz",
        "p02.nii.gz",
        "p03/1.png",
        "p04_mask/1.png",
        "p05.png",
        "x/p06_mask/1.png",
        "p07_mask.nii.gz",
        "x/p08/1.png",
    )
    index = SourceIndex(tmp_path, mask=True)
    expected = {
        "p01": "p01_mask.png",
        "p02": "p02.nii.gz",
        "p03": "p03",
        "p04": "p04_mask",
        "p05": "p05.png",
        "p06": "x/p06_mask",
        "p07": "p07_mask.nii.gz",
        "p08": "x/p08",
    }
    for name, path in expected.items():
        assert index.find(name) == tmp_path / path
    with pytest.raises(CaseError, match="no mask of 'p09': looked for p09_mask or p09 with"):
        index.find("p09")
    with pytest.raises(CaseError, match="no image of 'p07'"):
        SourceIndex(tmp_path).find("p07")


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("patient_001", "Patient-1.nii.gz"),
        ("p01", "P01.nii.gz"),
        ("case12a", "case12b.npy"),
        ("患者12", "患者１２.nii.gz"),
        ("scan7_final", "sub/scan7-final/1.png"),
    ],
)
def test_a_near_name_is_told(tmp_path: Path, asked: str, there: str) -> None:
    _make(tmp_path, there, "quite_other.nii.gz", "zzz.nii")
    hint = there.split("/")[-2] if there.startswith("sub") else there
    with pytest.raises(CaseError, match=f"; there is '{hint}'"):
        SourceIndex(tmp_path).find(asked)


def test_no_near_name_no_hint(tmp_path: Path) -> None:
    _make(tmp_path, "quite_other.nii.gz")
    with pytest.raises(CaseError) as caught:
        SourceIndex(tmp_path).find("p01")
    assert "there is" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert ".nii.gz" in str(caught.value)


def test_roots_that_are_none(tmp_path: Path) -> None:
    _make(tmp_path, "empty/", "file.txt")
    for name, reason in (
        ("empty", "is empty"),
        ("file.txt", "is not a folder"),
        ("missing", "No such file"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            SourceIndex(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_slices_sort_naturally(tmp_path: Path) -> None:
    _make(tmp_path, *(f"p/slice{index}.PNG" for index in (10, 2, 1, 33, 9)))
    names = [path.name for path in slice_files(tmp_path / "p")]
    assert names == [f"slice{index}.PNG" for index in (1, 2, 9, 10, 33)]
    mixed = ["10", "a", "2b", "2a10", "2a9", "", "A1", "a1", "²", "٣"]
    assert sorted(mixed, key=natural_key)[0] == ""


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["scan_JPG/2.jpg", "scan_JPG/10.jpg"], ["scan_JPG/2.jpg", "scan_JPG/10.jpg"]),
        (["a/b/c_jpg/1.jpg", "a/b/c_dcm/1.dcm", "1.png"], ["a/b/c_jpg/1.jpg"]),
        (["1.jpg", "deeper/1.jpg"], ["1.jpg"]),
        (["a/1.jpg", "b/c/1.jpg"], ["a/1.jpg"]),
        (["1.jpeg", "2.JPG", "notes.txt", ".3.jpg"], ["1.jpeg", "2.JPG"]),
        (["1.dcm", "2.dcm", "thumb.jpg", "DICOMDIR"], ["1.dcm", "2.dcm"]),
        (["series/IM1.IMA"], ["series/IM1.IMA"]),
    ],
)
def test_which_folder_holds_the_slices(tmp_path: Path, files: list[str], found: list[str]) -> None:
    _make(tmp_path, *(f"p/{name}" for name in files))
    assert slice_files(tmp_path / "p") == [tmp_path / "p" / name for name in found]


def test_dicom_without_suffix_is_told_by_its_bytes(tmp_path: Path) -> None:
    _make(tmp_path, "p/1.2.840.10", "p/1.2.840.9", "p/readme.txt")
    for name in ("1.2.840.10", "1.2.840.9"):
        (tmp_path / "p" / name).write_bytes(bytes(128) + b"DICM")
    names = [path.name for path in slice_files(tmp_path / "p")]
    assert names[:2] == ["1.2.840.9", "1.2.840.10"]


def test_folders_without_a_clear_answer(tmp_path: Path) -> None:
    _make(
        tmp_path,
        "none/notes.txt",
        "two/L_JPG/1.jpg",
        "two/R_JPG/1.jpg",
        "mix/1.jpg",
        "mix/mask.png",
    )
    for name, reason in (
        ("none", "holds no slices"),
        ("two", r"both L_JPG \(1 files\) and R_JPG \(1 files\) hold slices"),
        ("mix", r"several formats, \.jpg, \.png"),
    ):
        with pytest.raises(CaseError, match=reason):
            slice_files(tmp_path / name)

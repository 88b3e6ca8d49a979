"""Masks beside images."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.mask_pairs import mask_beside, with_masks_beside


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    "mask",
    ["Masks/s/a.png", "Masks/s/a.JPG", "Masks/s/a.jpeg", "Masks/s/a.tif", "Masks/s/a_mask.png"],
)
def test_the_convention(tmp_path: Path, mask: str) -> None:
    touch(tmp_path, "Images/s/a.jpg", mask)
    assert mask_beside(tmp_path / "Images/s/a.jpg") == tmp_path / mask


def test_what_is_no_mask(tmp_path: Path) -> None:
    touch(tmp_path, "Images/a.png", "Masks/b.png", "Masks/a.txt", "pics/c.png", "masks/c.png")
    assert mask_beside(tmp_path / "Images/a.png") is None
    assert mask_beside(tmp_path / "pics/c.png") is None


def test_the_folder_nearest_to_the_file_counts(tmp_path: Path) -> None:
    touch(tmp_path, "images/Images/a.png", "images/Masks/a.png", "masks/Images/a.png")
    assert mask_beside(tmp_path / "images/Images/a.png") == tmp_path / "images/Masks/a.png"


def test_masks_below_the_same_folder_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "Images/a.png", "Images/b.png", "Masks/a.png")
    found = with_masks_beside(find_inputs([tmp_path]))
    assert [(item.source.name, item.mask) for item in found] == [
        ("a.png", tmp_path / "Masks/a.png"),
        ("b.png", None),
    ]


def test_a_mask_that_is_known_stays(tmp_path: Path) -> None:
    touch(tmp_path, "Images/a.png", "Masks/a.png", "other/a.png")
    item = Item("a", "", tmp_path / "Images/a.png", tmp_path / "other/a.png")
    assert with_masks_beside([item]) == [item]

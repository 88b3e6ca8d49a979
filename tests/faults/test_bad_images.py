"""Images and masks that are missing, damaged or of another shape: only their own case suffers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fastcam.demo.neck_set import SyntheticSet, make_test_set
from tests.messages import pickled

Call = Callable[..., Any]


@pytest.fixture
def own(neck: SyntheticSet, tmp_path: Path) -> Path:
    """A copy of the images and masks, to be spoiled."""
    shutil.copytree(neck.images, tmp_path / "images")
    shutil.copytree(neck.masks, tmp_path / "masks")
    return tmp_path


@pytest.mark.parametrize(
    ("kept", "mode"), [(0, "best_slice"), (0.5, "best_slice"), (0.5, "all_slices"), (None, "")]
)
def test_unreadable_image(
    render: Call, own: Path, rows: Call, kept: float | None, mode: str, one_case_failed: Call
) -> None:
    volume = own / "images" / "neck_001.nii.gz"
    content = volume.read_bytes()
    volume.write_bytes(b"no image" * 99 if kept is None else content[: int(len(content) * kept)])
    outcome = render("--mode", mode or "best_slice", root_dir=own / "images")
    if mode != "all_slices":
        one_case_failed(outcome, own / "out", volume)
        return
    assert outcome.code == 3
    assert outcome.out.count("error: ") == 1
    (row,) = rows(own / "out" / "failures.csv")
    assert row["figures"] == "4"
    assert len(list((own / "out").glob("*/*.png"))) == 8


def test_truncated_pictures(render: Call, tmp_path: Path, one_case_failed: Call) -> None:
    made = make_test_set(tmp_path / "set", cases=3, slices=4, size=96, source="jpg")
    spoiled = made.images / "neck_001" / "scan_JPG" / "002.jpg"
    spoiled.write_bytes(spoiled.read_bytes()[:300])
    outcome = render(results=made.results, root_dir=made.images, mask_dir=made.masks)
    one_case_failed(outcome, tmp_path / "out", spoiled)


def test_missing_image(render: Call, own: Path, one_case_failed: Call) -> None:
    (own / "images" / "neck_001.nii.gz").unlink()
    outcome = render(root_dir=own / "images")
    one_case_failed(outcome, own / "out", "neck_001", own / "images")


def _mask_panel(picture: Path, panels: int = 4) -> np.ndarray[Any, Any]:
    """About the middle of the second panel."""
    pixels = np.array(Image.open(picture).convert("L"))
    width = pixels.shape[1] // panels
    return pixels[pixels.shape[0] // 4 : -pixels.shape[0] // 4, width : 2 * width]


@pytest.mark.parametrize("spoil", ["missing", "shape", "truncated", "foreign"])
@pytest.mark.parametrize("mode", ["best_slice", "all_slices"])
def test_a_bad_mask_costs_only_its_panel(
    render: Call, own: Path, rows: Call, whole: Call, spoil: str, mode: str
) -> None:
    good = render("--mode", mode, output_dir=own / "good")
    assert good.code == 0
    mask = own / "masks" / "neck_001.nii.gz"
    if spoil == "missing":
        mask.unlink()
    elif spoil == "shape":
        mask.unlink()
        np.save(own / "masks" / "neck_001.npy", np.zeros((4, 95, 96), np.uint8))
    elif spoil == "truncated":
        mask.write_bytes(mask.read_bytes()[:100])
    else:
        mask.write_bytes(b"no mask")
    outcome = render("--mode", mode, mask_dir=own / "masks")
    assert outcome.code == 0, outcome
    assert outcome.out.count("warning: ") == 1
    assert "neck_001" in outcome.out
    (row,) = rows(own / "out" / "failures.csv")
    assert (row["level"], row["case"], row["figures"]) == ("warning", "neck_001", "0")
    if spoil == "shape":
        assert "(4, 95, 96)" in row["reason"]
        assert "(4, 96, 96)" in row["reason"]
    pattern = "*.png" if mode == "best_slice" else "*/*.png"
    for picture in sorted((own / "out").glob(pattern)):
        before = own / "good" / picture.relative_to(own / "out")
        same = picture.read_bytes() == before.read_bytes()
        assert same == ("neck_001" not in str(picture.relative_to(own)))
        if not same:
            panel = _mask_panel(picture)
            assert panel.shape == _mask_panel(before).shape
            assert panel.std() > 5  # the words in it
    whole(own / "out")
    again = render("--mode", mode, mask_dir=own / "masks")
    assert again.code == 0
    assert rows(own / "out" / "failures.csv") == [row]


def test_frame_around_a_missing_mask(
    render: Call, own: Path, one_case_failed: Call, records: list[dict[str, Any]]
) -> None:
    (own / "masks" / "neck_001.nii.gz").unlink()
    for record in records:
        for position in record["positions"]:
            del position["mask_ratio"]  # by which the crop is seen to be the wrong frame here
    results = pickled(own, records)
    outcome = render("--frame", "mask-crop:96", mask_dir=own / "masks", results=results)
    one_case_failed(outcome, own / "out", "mask-crop:96", "neck_001")

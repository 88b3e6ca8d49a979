"""What is said of a grey window that isn't meant for the image."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fastcam.read.volumes.named_windows import WINDOWS, window_warning
from fastcam.read.volumes.volumes import open_volume

BRAIN = (40.0, 80.0)


def volume_of(folder: Path, modality: str | None):
    """A NIfTI file, and the modality in the JSON file that converters write beside it."""
    voxels = np.arange(64, dtype=np.int16).reshape(4, 4, 4)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / "a.nii.gz")
    if modality is not None:
        (folder / "a.json").write_text(json.dumps({"Modality": modality}))
    return open_volume(folder / "a.nii.gz", "zyx")


@pytest.mark.parametrize(
    ("modality", "window", "told"),
    [
        ("MR", BRAIN, True),
        ("PT", BRAIN, True),
        ("MR", (40.0, 81.0), False),  # somebody's own numbers
        ("MR", None, False),
        ("CT", BRAIN, False),
        (None, BRAIN, False),  # it may be one
    ],
)
def test_a_window_in_hu_is_not_for_other_images(tmp_path: Path, modality, window, told) -> None:
    volume = volume_of(tmp_path, modality)
    assert volume.modality == (modality or "")
    warnings = window_warning(window, volume.modality, "a.nii.gz")
    assert bool(warnings) == told
    if told:
        (text,) = warnings
        assert text.startswith(f"a.nii.gz: the window brain is in HU, but this is {modality}; ")
        assert "--window-level C,W" in text


@pytest.mark.parametrize("name", list(WINDOWS))
def test_each_of_the_names_is_told(tmp_path: Path, name: str) -> None:
    (text,) = window_warning(WINDOWS[name], volume_of(tmp_path, "MR").modality, "a")
    assert f"the window {name} is" in text

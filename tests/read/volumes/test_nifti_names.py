"""The series and the unit of a NIfTI file, from its header and the JSON file beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fastcam.read.volumes.nifti import read_nifti


def saved(folder: Path, descrip: str = "", intent: str = "", beside: Any = None) -> Path:
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4))
    image.header["descrip"] = descrip
    image.header["intent_name"] = intent
    path = folder / "scan.nii.gz"
    nib.save(image, path)
    if beside is not None:
        text = beside if isinstance(beside, str) else json.dumps(beside)
        (folder / "scan.json").write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("descrip", "intent", "beside", "series", "unit"),
    [
        ("T1 mprage sag", "", None, "T1 mprage sag", ""),
        ("T1 mprage sag", "zscore", None, "zscore", ""),
        ("TE=2.9;Time=101010.000", "", None, "", ""),
        ("FSL5.0", "", None, "", ""),
        ("SPM - 3D normalized", "", None, "", ""),
        ("", "", {"SeriesDescription": "t2_tse_tra", "ProtocolName": "x"}, "t2_tse_tra", ""),
        ("FSL5.0", "", {"ProtocolName": "Neck CTA", "Modality": "CT"}, "Neck CTA", "HU"),
        ("", "", {"Units": "ms", "Modality": "CT"}, "", "ms"),
        ("", "", {"SeriesDescription": 7, "Units": ["a"]}, "", ""),
        ("T2", "", "no json", "T2", ""),
        ("T2", "", ["a list"], "T2", ""),
        ("", "", {"SeriesDescription": "a\nb\x1b[31m"}, "a\\nb\\x1b[31m", ""),
    ],
)
def test_what_it_is_called(tmp_path, descrip, intent, beside, series, unit) -> None:
    volume = read_nifti(saved(tmp_path, descrip, intent, beside))
    assert (volume.series, volume.unit) == (series, unit)

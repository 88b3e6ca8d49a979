"""What inspect says of volumes, from their headers alone."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from fastcam.cli.main import app
from fastcam.errors import InputError
from fastcam.jobs.inspect.inventory import describe
from tests.read.volumes.dicom_files import MR_IMAGE, classic, enhanced, table

VOXELS = np.arange(6 * 4 * 4, dtype=np.int16).reshape(6, 4, 4)
HEIGHTS = [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_nifti_file(tmp_path: Path) -> None:
    affine = np.array([[-2, 0, 0, 9], [0, 3, 0, 0], [0, 0, 4, -5], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(np.zeros((5, 6, 7), np.int16), affine)
    image.header["cal_min"], image.header["cal_max"] = -100, 200
    image.header["descrip"] = b"a scan"
    nibabel.save(image, tmp_path / "a.nii.gz")
    found = describe(tmp_path / "a.nii.gz")
    summary = dict(found.summary)
    assert found.kind == "NIfTI volume"
    assert summary["shape (z, y, x)"] == "7 x 6 x 5"
    assert summary["spacing (mm)"] == "2 x 3 x 4"
    assert summary["orientation"] == "LAS"
    assert summary["affine row x"] == "-2 0 0 9"
    assert summary["affine from"] == "sform"
    assert summary["value type"] == "int16"
    assert summary["window"] == "-100 to 200"
    assert summary["description"] == "a scan"
    assert found.notes == []


def test_volumes_of_a_nifti_file(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 6, 7, 3)), np.eye(4)), tmp_path / "a.nii")
    found = describe(tmp_path / "a.nii").to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["summary"]["volumes"] == "3"
    assert [row["number"] for row in found["table"]] == [1, 2, 3]
    assert "--volume N, 1 to 3" in found["notes"][0]


def test_a_series_with_a_gap(tmp_path: Path) -> None:
    tags = {"SeriesDescription": "T2 tra", "WindowCenter": 40, "WindowWidth": 400}
    classic(tmp_path / "s", VOXELS, [0.0, 2.0, 4.0, 12.0, 14.0, 16.0], **tags)  # type: ignore[arg-type]
    found = describe(tmp_path / "s")
    summary = dict(found.summary)
    assert found.kind == "DICOM series"
    assert (summary["series"], summary["images"]) == ("T2 tra", "6")
    assert summary["shape (z, y, x)"] == "6 x 4 x 4"
    assert summary["spacing (mm)"] == "0.75 x 0.5 x 2"
    assert summary["orientation"] == "LPS"
    assert summary["window"] == "-160 to 239"
    assert "16 of 16 bits, signed" in summary["values"]
    (row,) = found.table
    assert row[-1] == "uneven"
    assert any("a gap of 6 mm between slices 2 and 3" in note for note in found.notes)


def test_volumes_of_a_series(tmp_path: Path) -> None:
    each = [{"EchoNumbers": n, "EchoTime": 2.5 * n} for n in (1, 2)] * 3
    heights = [0.0, 0.0, 2.0, 2.0, 4.0, 4.0]
    classic(tmp_path / "s", VOXELS, heights, each=each, storage=MR_IMAGE)
    found = describe(tmp_path / "s").to_dict()
    assert found["kind"] == "DICOM images of 2 volumes"
    assert [(row["name"], row["images"]) for row in found["table"]] == [
        ("echo 1 (TE 2.5 ms)", 3),
        ("echo 2 (TE 5 ms)", 3),
    ]
    assert any("--volume N or NAME" in note for note in found["notes"])


def test_a_file_of_frames_and_one_with_a_table(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "e.dcm", VOXELS, HEIGHTS)
    assert dict(describe(path).summary)["images"] == "6"
    bare = tmp_path / "no-suffix"
    path.rename(bare)
    assert describe(bare).kind == "DICOM series"
    voi = table([2, 0, 8], [0, 255])
    (path,) = classic(tmp_path / "s", VOXELS[:1], [0.0], VOILUTSequence=voi)
    assert describe(path).kind == "DICOM image"
    assert "VOI LUT" in dict(describe(path).summary)["window"]


def test_what_is_damaged_or_neither(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"hello" * 100)
    with pytest.raises(InputError, match=r"a\.nii\.gz: can't be read"):
        describe(tmp_path / "a.nii.gz")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="pictures"):
        describe(tmp_path / "pictures")


def test_the_command_prints_what_is_odd(tmp_path: Path) -> None:
    classic(tmp_path / "s", VOXELS[:3], [0.0, 2.0, 9.0])
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "s")])
    assert done.exit_code == 0
    assert "warning: its slices are unevenly spaced: a gap of 5 mm" in done.stdout
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "s"), "--json"])
    assert json.loads(done.stdout)["kind"] == "DICOM series"

"""How often commands ask for what lies in a bucket: a request takes 10 to 50 ms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from fastcam.storage import object_starts, small_objects
from fastcam.storage.object_path import ObjectPath
from tests.conftest import Outcome
from tests.object_server import ObjectServer

_NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
"""
_COUNT = 18


@pytest.fixture
def run(fastcam: Callable[..., Outcome], tmp_path: Path) -> Callable[..., Outcome]:
    """A command with a small model, in this process."""
    (tmp_path / "net.py").write_text(_NET)

    def call(command: str, *args: object) -> Outcome:
        model = ("--model", f"{tmp_path}/net.py:net", "--layer", "2", "--image-size", "32")
        outcome = fastcam(command, *args, *(model if command != "render" else ()))
        assert outcome.code == 0, outcome
        return outcome

    return call


def infer(run: Callable[..., Outcome], source: ObjectPath, out: ObjectPath) -> None:
    options = ("--workers", 0, "--device", "cpu", "--batch-size", 4)
    run("infer", source, "--output-dir", out, *options)


def forget() -> None:
    """As a process that begins."""
    small_objects._remembered.clear()
    object_starts._remembered.clear()


def asked(server: ObjectServer, part: str) -> Counter[str]:
    """How often each kind of question was asked of an object, at most, whose key has ``part``.

    Those of the first image or volume don't count: models are tried with it.
    """
    others = [request for request in server.requests if "/in/p00" not in request[1]]
    by_object = Counter(request for request in others if part in request[1])
    most: Counter[str] = Counter()
    for (method, path), count in by_object.items():
        if "list-type" not in path:
            most[method] = max(most[method], count)
    return most


def listings(server: ObjectServer, folder: str) -> int:
    """How many pages of listings of a folder were asked for."""
    prefix = f"prefix={quote(folder, '')}&"
    return sum("list-type=2" in path and prefix in path for _, path in server.requests)


def test_a_folder_of_many_keys(
    bucket: ObjectPath, object_server: ObjectServer, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    put_pictures(bucket, tmp_path)
    # Written into moto itself; a page is a thousand.
    from moto.s3.models import s3_backends

    (backend,) = (region["global"] for region in s3_backends.values())
    for number in range(3000):
        backend.put_object(bucket.name, f"in/{number:05}.txt", b"x")
    object_server.requests = []
    infer(run, bucket / "in", bucket / "out")
    assert listings(object_server, "in/") == 4


def put_pictures(bucket: ObjectPath, folder: Path) -> None:
    for number in range(_COUNT):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "x.png")
        (bucket / f"in/p{number:02}.png").write_bytes((folder / "x.png").read_bytes())


def test_pictures(
    bucket: ObjectPath, object_server: ObjectServer, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    put_pictures(bucket, tmp_path)
    object_server.requests = []
    infer(run, bucket / "in", bucket / "out")
    # Once to be read, and once to see that it didn't change meanwhile.
    assert asked(object_server, "/in/p") == {"GET": 1, "HEAD": 1}
    # What the inputs are, which, what is left out, and how old they are.
    assert listings(object_server, "in/") == 1
    forget()
    object_server.requests = []
    infer(run, bucket / "in", bucket / "out")
    assert asked(object_server, "/in/p") == {}
    assert listings(object_server, "in/") == 1
    # All chunks of all columns: once, however often the store is opened.
    assert asked(object_server, "/run.zarr/cases/") == {"GET": 1}
    assert asked(object_server, "/run.zarr/done/") == {"GET": 1}
    assert asked(object_server, "/run.zarr/maps/")["HEAD"] == 0

    run("render", bucket / "out/run.zarr", "--output-dir", bucket / "fig", "--workers", 1)
    forget()
    object_server.requests = []
    run("render", bucket / "out/run.zarr", "--output-dir", bucket / "fig", "--workers", 1)
    assert asked(object_server, "/in/p") == {}
    assert sum(".png" in path for _, path in object_server.requests) < 5
    assert asked(object_server, "/run.zarr/cases/")["GET"] == 1


def test_an_analysis(
    bucket: ObjectPath, object_server: ObjectServer, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    put_pictures(bucket, tmp_path)
    object_server.requests = []
    options = ("--workers", 1, "--device", "cpu", "--output-dir", bucket / "out")
    run("analyze", "--images", bucket / "in", *options)
    heads = Counter(path for method, path in object_server.requests if method == "HEAD")
    of_images = [count for path, count in heads.items() if "/in/p" in path]
    assert sum(of_images) <= 2 * _COUNT + 4
    assert len(of_images) == _COUNT


def test_a_folder_of_which_an_evaluation_needs_two_images(
    bucket: ObjectPath, object_server: ObjectServer, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    put_pictures(bucket, tmp_path)
    (tmp_path / "table.csv").write_text("image,label\np00,0\np01,1\n")
    object_server.requests = []
    table = ("--table", tmp_path / "table.csv", "--target", "label")
    options = ("--device", "cpu", "--output-dir", tmp_path / "out")
    run("evaluate", "--image-dir", bucket / "in", *table, *options)
    asked_for = {path for method, path in object_server.requests if method == "HEAD"}
    assert sum("/in/p" in path for path in asked_for) == 2
    assert listings(object_server, "in/") <= 3


def dicom(number: int) -> Dataset:
    values = np.random.default_rng(number).integers(0, 1000, (64, 160), np.uint16)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1")
    data.SOPInstanceUID = generate_uid()
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SeriesInstanceUID = generate_uid()
    data.Rows, data.Columns = values.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.PixelData = values.tobytes()
    return data


def test_dicom_images(
    bucket: ObjectPath, object_server: ObjectServer, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    for number in range(_COUNT):
        dicom(number).save_as(tmp_path / "x.dcm", enforce_file_format=True)
        (bucket / f"in/p{number:02}.dcm").write_bytes((tmp_path / "x.dcm").read_bytes())
    object_server.requests = []
    infer(run, bucket / "in", bucket / "out")
    # Its start to plan, its content to be read.
    assert asked(object_server, "/in/p") == {"GET": 2, "HEAD": 2}


def test_volumes(
    bucket: ObjectPath, object_server: ObjectServer, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    for number in range(_COUNT):
        voxels = np.random.default_rng(number).integers(0, 1000, (40, 40, 2), np.int16)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "x.nii.gz")
        (bucket / f"in/p{number:02}.nii.gz").write_bytes((tmp_path / "x.nii.gz").read_bytes())
    object_server.requests = []
    infer(run, bucket / "in", bucket / "out")
    # Of a volume there are starts of two plannings, of images first and then of slices.
    assert asked(object_server, "/in/p") == {"GET": 3, "HEAD": 2}

"""A bucket of images that vanishes while a model runs over it, or whose store falls silent: one
error, no failed images."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from torch import nn

import fastcam
from fastcam.errors import InputError, OutputError, SilentStoreError
from fastcam.inference.readers import _checked
from fastcam.storage import object_store, silent_stores
from fastcam.storage.object_path import ObjectPath
from tests.object_server import ObjectServer
from tests.storage.test_object_store import quick


class Net(nn.Module):
    image_size = 16

    def __init__(self, channels: int, empty: Any, passes: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 3, 3, padding=1)
        self.empty, self.left = empty, passes

    def forward(self, x):
        self.left -= 1
        if self.left == 0:
            self.empty()
        return self.layer(x).mean((2, 3))


def emptied(bucket: ObjectPath) -> None:
    fs = object_store.file_system("s3")
    fs.rm([str(path) for path, _ in bucket.tree()])
    fs.rmdir(bucket.name)


def png(seed: int) -> bytes:
    file = io.BytesIO()
    picture = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("readers", [0, 1])
def test_images_of_a_bucket_that_vanishes(bucket: ObjectPath, tmp_path: Path, readers: int) -> None:
    for number in range(40):
        (bucket / f"in/{number:02d}.png").write_bytes(png(number))
    model = Net(3, lambda: emptied(bucket), 8)
    options: dict[str, Any] = {"layers": ["layer"], "batch_size": 2, "workers": readers}
    with pytest.raises(InputError, match=r"\.png: there is no such bucket$") as caught:
        fastcam.infer(model, f"{bucket}/in", tmp_path / "run", device="cpu", **options)
    assert str(caught.value).startswith(f"{bucket}/in/")
    emptied_none = Net(3, None, -1)
    emptied_none.load_state_dict(model.state_dict())
    object_store.file_system("s3").mkdir(bucket.name)
    for number in range(40):
        (bucket / f"in/{number:02d}.png").write_bytes(png(number))
    report = fastcam.infer(
        emptied_none, f"{bucket}/in", tmp_path / "run", device="cpu", trust_inputs=True, **options
    )
    assert (report.done + report.already, report.failed) == (40, 0)


@pytest.mark.parametrize("readers", [0, 1])
def test_volumes_of_a_bucket_that_vanishes(
    bucket: ObjectPath, tmp_path: Path, readers: int
) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        file = tmp_path / f"{number}.nii.gz"
        nibabel.save(
            nibabel.Nifti1Image(rng.integers(0, 99, (16, 16, 8), np.int16), np.eye(4)), file
        )
        (bucket / f"in/{number}.nii.gz").write_bytes(file.read_bytes())
    model = Net(1, lambda: emptied(bucket), 8)
    options: dict[str, Any] = {"layers": ["layer"], "batch_size": 4, "workers": readers}
    with pytest.raises(InputError, match=r"\.nii\.gz: there is no such bucket$"):
        fastcam.infer(model, f"{bucket}/in", tmp_path / "run", device="cpu", **options)


def silence(server: ObjectServer) -> Callable[[], None]:
    def fall_silent() -> None:
        server.silent, server.requests = True, []

    return fall_silent


def answer_again(server: ObjectServer) -> None:
    server.silent = False
    silent_stores._silences.clear()


def test_images_of_a_store_that_falls_silent(
    bucket: ObjectPath, object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    for number in range(40):
        (bucket / f"in/{number:02d}.png").write_bytes(png(number))
    model = Net(3, silence(object_server), 8)
    options: dict[str, Any] = {"layers": ["layer"], "batch_size": 2, "workers": 0}
    with pytest.raises(SilentStoreError, match=r"\.png: can't be read: \w*Connection\w*Error"):
        fastcam.infer(model, f"{bucket}/in", tmp_path / "run", device="cpu", **options)
    state = fastcam.status(tmp_path / "run")
    assert state.status == "failed"
    assert "Connection" in state.reason
    answer_again(object_server)
    report = fastcam.infer(model, f"{bucket}/in", tmp_path / "run", device="cpu", **options)
    assert 0 < report.already < 40
    assert (report.done + report.already, report.failed) == (40, 0)


def test_results_in_a_store_that_falls_silent(
    bucket: ObjectPath, object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    for number in range(20):
        (tmp_path / f"{number:02d}.png").write_bytes(png(number))
    model = Net(3, silence(object_server), 6)
    options: dict[str, Any] = {"layers": ["layer"], "batch_size": 2, "workers": 0, "device": "cpu"}
    # Whichever comes first.
    lost = (OutputError, SilentStoreError)
    with pytest.raises(lost, match=r"can't be (written|read): \w*Connection\w*Error") as caught:
        fastcam.infer(model, tmp_path, bucket / "run", **options)
    # What the batch is made of was put side by side, each object at length; then only the bucket
    # was looked for: not the failures, the store and the state of the run, each at length, too.
    asked = {path.partition("?")[0] for _, path in object_server.requests}
    followed = {path for path in asked if "/run.zarr/" not in path}
    assert followed == {f"/{bucket.name}"}
    assert str(caught.value).partition(": can't")[0].removeprefix("s3:/") in asked
    answer_again(object_server)
    report = fastcam.infer(model, tmp_path, bucket / "run", **options)
    assert (report.done + report.already, report.failed) == (20, 0)


def test_what_a_reader_says_of_a_silent_store() -> None:
    def pieces() -> Iterator[None]:
        said = "fastcam.errors.SilentStoreError: s3://b/x: can't be read: E: gone"
        yield
        raise SilentStoreError(f"Caught SilentStoreError in DataLoader worker.\n  in f\n{said}\n")

    with pytest.raises(SilentStoreError, match=r"^s3://b/x: can't be read: E: gone$"):
        list(_checked(pieces(), None))

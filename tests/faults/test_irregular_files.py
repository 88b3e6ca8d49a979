"""Pipes, sockets and devices as inputs are refused at once: nothing waits for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fastcam.errors import CaseError, FastcamError, InputError
from fastcam.jobs.inspect.inventory import describe
from fastcam.jobs.render.gallery import read_gallery
from fastcam.models.checkpoints import read_state_dict
from fastcam.models.huggingface import load_huggingface
from fastcam.models.sizes import Sizes
from fastcam.models.user_file import build_from_file
from fastcam.options import Style
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.inputs import find_inputs
from fastcam.read.inputs.tables import read_cells
from fastcam.read.results.results import read_results
from fastcam.read.volumes.sources import SourceIndex
from fastcam.read.volumes.volumes import open_volume, volume_grid, volume_shape
from fastcam.run.folder import RunFolder
from fastcam.store.open import open_store


def pipe(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


READERS: list[tuple[str, Callable[[Path], object]]] = [
    *((f"r{suffix}", read_results) for suffix in (".pkl", ".pth", ".npz", ".json")),
    *((f"i{suffix}", describe) for suffix in (".pkl", ".pth", ".ckpt", ".safetensors", ".json")),
    *((f"c{suffix}", read_state_dict) for suffix in (".pth", ".ckpt", ".safetensors")),
    *((f"t{suffix}", read_cells) for suffix in (".csv", ".xlsx", ".ods", ".xls", ".parquet")),
    *((f"v{suffix}", open_volume) for suffix in (".nii", ".nii.gz", ".npy", ".npz", ".dcm")),
    *((f"s{suffix}", volume_shape) for suffix in (".nii.gz", ".npy", ".dcm", ".png", ".nrrd")),
    *((f"g{suffix}", volume_grid) for suffix in (".nii.gz", ".npy", ".dcm", ".mha")),
    ("p.png", read_image),
    ("l.txt", lambda path: find_inputs([path])),
    ("m.py", lambda path: build_from_file(str(path), "make", Sizes(), loads=False)),
    ("f.ttf", lambda path: Style(font=path)),
    ("folder/slice1.png", lambda path: open_volume(path.parent)),
    ("series/000001", lambda path: open_volume(path.parent)),
    ("hf/config.json", lambda path: load_huggingface(str(path.parent), None, "", Sizes(), False)),
    ("out/run.json", lambda path: read_gallery(path.parent)),
    ("run1/run.json", lambda path: RunFolder(path.parent, {}, overwrite=False)),
    ("run2/figures.csv", lambda path: RunFolder(path.parent, {}, overwrite=True)),
    ("run3/failures.csv", lambda path: RunFolder(path.parent, {}, overwrite=True)),
    ("run.zarr/zarr.json", lambda path: open_store(path.parent)),
]


@pytest.mark.parametrize(("name", "read"), READERS, ids=[name for name, _ in READERS])
def test_a_pipe_is_refused(tmp_path: Path, name: str, read: Callable[[Path], object]) -> None:
    path = pipe(tmp_path / name)
    with pytest.raises(FastcamError) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mask", [False, True])
def test_a_pipe_with_the_name_of_a_case_is_called_one(tmp_path: Path, mask: bool) -> None:
    pipe(tmp_path / "A.nii.gz")
    with pytest.raises(CaseError, match=r"A\.nii\.gz: is a pipe, not a file"):
        SourceIndex(tmp_path, mask).find("A")


def test_the_message_says_what_it_is_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a pipe, not a file; copy its contents into a file"):
        read_results(pipe(tmp_path / "a.pkl"))
    with pytest.raises(InputError, match="is a device"):
        describe(Path("/dev/zero"))
    link = tmp_path / "link.nii.gz"
    link.symlink_to("/dev/zero")
    with pytest.raises(CaseError, match="is a device"):
        open_volume(link)
    place = tmp_path / "s.csv"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        with pytest.raises(InputError, match="is a socket"):
            read_cells(place)

"""The reading room shows no map over another image than the one that the model saw."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

import fastcam
from fastcam.errors import CaseError
from fastcam.jobs.view.request import ViewRequest
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.service import open_service, running
from fastcam.options import Sources
from fastcam.read.inputs.inputs import Item

from ...recorded_inputs import recorded
from ...sample_map_stores import image_store, make_image, volume_store
from .sample_rooms import ask_json, patch_run, save_volume

CHANGED = "changed since the model saw it; run fastcam infer again"


def test_an_image_that_was_replaced(tmp_path: Path) -> None:
    store = recorded(image_store(tmp_path))
    make_image(tmp_path / "images" / "a1.png", 24, 40, seed=99)
    os.utime(tmp_path / "images" / "a2.png", ns=(1, 1))
    room = Room(ViewRequest(runs=(store.path,)))
    for case in (0, 2):
        room.open(0, case)
    with pytest.raises(CaseError) as caught:
        room.open(0, 1)
    assert str(caught.value).startswith(f"{tmp_path}/images/a1.png: {CHANGED}")
    Room(ViewRequest(runs=(store.path,), trust_inputs=True)).open(0, 1)
    fastcam.picture(store.path, "a1", trust_inputs=True)
    with pytest.raises(CaseError, match=CHANGED):
        fastcam.picture(store.path, "a1")


def test_the_page_gets_the_line(tmp_path: Path) -> None:
    store = recorded(image_store(tmp_path))
    make_image(tmp_path / "images" / "a1.png", 24, 40, seed=99)
    with running(open_service(ViewRequest(runs=(store.path,)))) as service:
        (good,) = ask_json(service, "api/case", {"case": 0})["runs"]
        assert "error" not in good
        (bad,) = ask_json(service, "api/case", {"case": 1})["runs"]
        assert CHANGED in bad["error"]


def test_a_volume_of_the_same_shape_elsewhere_in_space(tmp_path: Path) -> None:
    store = recorded(volume_store(tmp_path))
    path = tmp_path / "images" / "v0.nii.gz"
    image = nibabel.Nifti1Image.from_filename(path)
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    nibabel.Nifti1Image(np.asarray(image.dataobj), affine).to_filename(path)
    room = Room(ViewRequest(runs=(store.path,)))
    room.open(0, 1)
    with pytest.raises(CaseError, match=CHANGED):
        room.open(0, 0)
    Room(ViewRequest(runs=(store.path,), trust_inputs=True)).open(0, 0)


def test_patch_attention(tmp_path: Path) -> None:
    store = fastcam.open_store(patch_run(tmp_path))
    root = tmp_path / "images"
    items = [Item(name, "", root / f"{name}.nii.gz") for name in ("p0", "p1", "p2")]
    recorded(store, items)
    save_volume(root / "p1.nii.gz", "LPS", seed=9)
    request = ViewRequest(runs=(store.path,), sources=Sources(root_dir=root))
    room = Room(request)
    room.open(0, 0)
    with pytest.raises(CaseError, match=CHANGED):
        room.open(0, 1)
    trusting = ViewRequest(runs=request.runs, sources=request.sources, trust_inputs=True)
    Room(trusting).open(0, 1)

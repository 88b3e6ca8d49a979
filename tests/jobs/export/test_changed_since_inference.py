"""Maps are not exported on the grid of another image than the one that the model saw."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import fastcam
from fastcam.jobs.export.report import ExportReport
from fastcam.read.inputs.inputs import Item

from ... import sample_map_stores
from ...recorded_inputs import recorded
from ..view.sample_rooms import patch_run


def export(folder: Path, out: str, **options: Any) -> ExportReport:
    return fastcam.export(folder / "run.zarr", output_dir=folder / out, **options)


def check_failed(report: ExportReport, file: Path) -> None:
    line = f"{file}: changed since the model saw it; run fastcam infer again"
    (failure,) = report.failures
    assert failure.level == "error"
    assert failure.reason.startswith(line)
    assert report.exit_code == 3
    (row,) = (report.output_dir / "failures.csv").read_text().splitlines()[1:]
    assert line in row


def replace_volume(path: Path) -> None:
    """Another volume of the same shape, which lies elsewhere."""
    image = nibabel.Nifti1Image.from_filename(path)
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    nibabel.Nifti1Image(np.asarray(image.dataobj), affine).to_filename(path)


def test_an_image_that_was_replaced(tmp_path: Path) -> None:
    recorded(sample_map_stores.image_store(tmp_path))
    images = tmp_path / "images"
    os.utime(images / "a0.png", ns=(1, 1))
    shutil.copyfile(shutil.copyfile(images / "a2.png", tmp_path / "copy"), images / "a2.png")
    sample_map_stores.make_image(images / "a1.png", 24, 40, seed=99)
    chosen: dict[str, Any] = {"layers": ["layer3", "layer4"]}
    report = export(tmp_path, "out", **chosen)
    assert {name[:2] for name in report.written} == {"a0", "a2"}
    assert report.failed == 2
    check_failed(report, images / "a1.png")
    assert not list((tmp_path / "out").glob("a1*"))
    assert len(export(tmp_path, "trusted", trust_inputs=True, **chosen).written) == 6


def test_a_volume_of_the_same_shape_elsewhere_in_space(tmp_path: Path) -> None:
    recorded(sample_map_stores.volume_store(tmp_path))
    replace_volume(tmp_path / "images" / "v0.nii.gz")
    report = export(tmp_path, "out")
    assert report.written == ["v1_gradcam_features.nii.gz"]
    check_failed(report, tmp_path / "images" / "v0.nii.gz")
    assert len(export(tmp_path, "trusted", trust_inputs=True).written) == 2


@pytest.mark.parametrize("moved", [False, True])
def test_patch_attention(tmp_path: Path, moved: bool) -> None:
    store = fastcam.open_store(patch_run(tmp_path))
    root = tmp_path / "images"
    names = ("p0", "p1", "p2")
    recorded(store, [Item(name, "", root / f"{name}.nii.gz") for name in names])
    if moved:
        root = shutil.copytree(root, tmp_path / "moved", copy_function=shutil.copyfile)
        assert len(export(tmp_path, "same", root_dir=root).written) == 3
    replace_volume(root / "p1.nii.gz")
    report = export(tmp_path, "out", root_dir=root)
    assert report.written == ["p0_attention.nii.gz", "p2_attention.nii.gz"]
    check_failed(report, root / "p1.nii.gz")
    assert len(export(tmp_path, "trusted", root_dir=root, trust_inputs=True).written) == 3


@pytest.mark.parametrize("before_trusted", [False, True])
@pytest.mark.parametrize("after_trusted", [False, True])
def test_a_map_that_was_made_anew_is_exported_anew(
    before_trusted: bool, after_trusted: bool, tmp_path: Path
) -> None:
    """The store is the same one, and the file of the old map is whole."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        sample_map_stores.make_image(images / f"a{number}.png", 24, 40, seed=number)

    def run(trusted: bool = False) -> ExportReport:
        options: dict[str, Any] = {"image_size": (24, 40), "layers": "0", "device": "cpu"}
        fastcam.infer(model.eval(), images, tmp_path, batch_size=2, workers=0, **options)
        return export(tmp_path, "out", format="npy", trust_inputs=trusted)

    names = [f"a{number}_gradcam_0.npy" for number in range(3)]
    assert run(before_trusted).written == names
    before = {name: np.load(tmp_path / "out" / name) for name in names}
    assert run().already == names
    sample_map_stores.make_image(images / "a1.png", 24, 40, seed=99)
    report = run(after_trusted)
    assert report.written == ["a1_gradcam_0.npy"]
    assert report.already == ["a0_gradcam_0.npy", "a2_gradcam_0.npy"]
    after = {name: np.load(tmp_path / "out" / name) for name in names}
    assert [name for name in names if not np.array_equal(before[name], after[name])] == [names[1]]


def test_a_mask_that_the_map_was_made_of(tmp_path: Path) -> None:
    recorded(sample_map_stores.image_store(tmp_path, masks=True), masks=True)
    mask = tmp_path / "images" / "a1_mask.png"
    Image.fromarray(np.full((24, 40), 255, np.uint8)).save(mask)
    report = export(tmp_path, "out", layers=["layer3"])
    assert {name[:2] for name in report.written} == {"a0", "a2"}
    check_failed(report, mask)

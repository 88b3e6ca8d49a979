"""Maps are not drawn over another image than the one that the model saw."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

import fastcam
from fastcam.errors import CaseError
from fastcam.jobs.render.maps.job import MapSource
from fastcam.jobs.render.report import RenderReport
from fastcam.jobs.render.request import RenderRequest
from fastcam.models.patch_attention.network import build
from fastcam.options import Selection, Sources, Style
from fastcam.read.inputs.inputs import Item
from fastcam.read.volumes.volumes import open_volume
from fastcam.store.maps import MapStore
from fastcam.store.new_maps import create_maps

from ... import sample_map_stores
from ...recorded_inputs import recorded
from ..export.test_dicom import write_series


def draw(store: Path, out: Path, **options: Any) -> RenderReport:
    return fastcam.render(store, output_dir=out, panel_size=64, workers=1, **options)


def drawn(out: Path) -> list[str]:
    return sorted(path.name[:3] for path in out.rglob("*.png"))


def check_failed(report: RenderReport, out: Path, file: Path) -> None:
    line = f"{file}: changed since the model saw it; run fastcam infer again"
    (failure,) = report.failures
    assert failure.level == "error"
    assert failure.reason.startswith(line)
    (row,) = (out / "failures.csv").read_text().splitlines()[1:]
    assert row.startswith("error,")
    assert line in row


@pytest.fixture
def images(tmp_path: Path) -> Path:
    recorded(sample_map_stores.image_store(tmp_path))
    return tmp_path / "images"


def test_an_image_that_was_replaced_is_a_failure(images: Path, tmp_path: Path) -> None:
    store, out = tmp_path / "run.zarr", tmp_path / "out"
    assert draw(store, out).drawn == 3
    sample_map_stores.make_image(images / "a1.png", 24, 40, seed=99)
    before = {path.name: path.read_bytes() for path in out.glob("*.png")}
    report = draw(store, out)
    assert (report.drawn, report.already, report.exit_code) == (0, 2, 3)
    check_failed(report, out, images / "a1.png")
    assert {path.name: path.read_bytes() for path in out.glob("*.png")} == before
    report = draw(store, tmp_path / "new")
    assert (report.drawn, report.failed, drawn(tmp_path / "new")) == (2, 1, ["001", "003"])
    assert draw(store, tmp_path / "trusted", trust_inputs=True).drawn == 3


def test_what_was_touched_copied_or_moved_is_drawn(images: Path, tmp_path: Path) -> None:
    store = tmp_path / "run.zarr"
    for path in images.iterdir():
        os.utime(path, ns=(1, 1))
    assert draw(store, tmp_path / "touched").drawn == 3
    moved = shutil.copytree(images, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    shutil.rmtree(images)
    assert draw(store, tmp_path / "moved", root_dir=moved).drawn == 3
    sample_map_stores.make_image(moved / "a2.png", 24, 40, seed=99)
    report = draw(store, tmp_path / "other", root_dir=moved)
    assert (report.drawn, report.failed) == (2, 1)
    check_failed(report, tmp_path / "other", moved / "a2.png")


def test_a_store_without_records_is_drawn(tmp_path: Path) -> None:
    store = sample_map_stores.image_store(tmp_path)
    sample_map_stores.make_image(tmp_path / "images" / "a1.png", 24, 40, seed=99)
    assert draw(store.path, tmp_path / "out").drawn == 3


def test_a_single_figure(images: Path, tmp_path: Path) -> None:
    sample_map_stores.make_image(images / "a1.png", 24, 40, seed=99)
    store = MapStore.open(tmp_path / "run.zarr")
    for trusted in (False, True):
        request = RenderRequest(
            results=store.path,
            output_dir=tmp_path,
            sources=Sources(),
            style=Style(panel_size=64),
            selection=Selection(),
            trust_inputs=trusted,
        )
        source = MapSource.of(request, store)
        source.draw_one(0, tmp_path / "0.png")
        if trusted:
            source.draw_one(1, tmp_path / "1.png")
        else:
            with pytest.raises(CaseError, match=r"a1\.png: changed since the model saw it"):
                source.draw_one(1, tmp_path / "1.png")


def test_a_volume_of_the_same_shape_elsewhere_in_space(tmp_path: Path) -> None:
    store = recorded(sample_map_stores.volume_store(tmp_path))
    path = tmp_path / "images" / "v0.nii.gz"
    image = nibabel.Nifti1Image.from_filename(path)
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    nibabel.Nifti1Image(np.asarray(image.dataobj), affine).to_filename(path)
    report = draw(store.path, tmp_path / "out")
    assert (report.drawn, report.failed, drawn(tmp_path / "out")) == (1, 1, ["002"])
    check_failed(report, tmp_path / "out", path)
    assert draw(store.path, tmp_path / "trusted", trust_inputs=True).drawn == 2


@pytest.mark.parametrize("touched", [True, False])
def test_the_folder_of_a_series(tmp_path: Path, touched: bool) -> None:
    series = write_series(tmp_path / "images" / "v0")
    attrs = sample_map_stores.attrs_of(tmp_path / "images", 3, size=[8, 8, 8])
    store = create_maps(tmp_path / "run.zarr", attrs, [Item("v0", "", series)], 1)
    maps = {"gradcam/f": np.random.default_rng(1).random((1, 5, 8, 6), dtype=np.float32)}
    affine = np.asarray(open_volume(series).affine)[np.newaxis]
    store.append(0, sample_map_stores.answers(1, maps, sample_map_stores.VOLUME, affine=affine))
    recorded(MapStore.open(store.path))
    if touched:
        for path in series.iterdir():
            os.utime(path, ns=(1, 1))
    else:
        write_series(tmp_path / "other")
        shutil.copyfile(tmp_path / "other" / "4.dcm", series / "4.dcm")
    report = draw(store.path, tmp_path / "out")
    assert report.drawn == touched
    if not touched:
        check_failed(report, tmp_path / "out", series)


class Net(nn.Module):
    image_size = 16

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).mean((2, 3))


def test_another_run_of_the_model_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        sample_map_stores.make_image(tmp_path / "images" / f"a{number}.png", 24, 40, number)
    torch.manual_seed(0)
    model = Net().eval()

    def infer() -> Path:
        # Records have paths as they were given.
        monkeypatch.chdir(tmp_path)
        report = fastcam.infer(model, "images", "run", layers=["layer"], batch_size=1, workers=0)
        monkeypatch.chdir("/")
        return (tmp_path / report.store).absolute()

    store = infer()
    sample_map_stores.make_image(tmp_path / "images" / "a0.png", 24, 40, seed=99)
    report = draw(store, tmp_path / "out")
    assert (report.drawn, report.failed) == (2, 1)
    check_failed(report, tmp_path / "out", tmp_path / "images" / "a0.png")
    infer()
    report = draw(store, tmp_path / "out")
    assert (report.drawn, report.already, report.failures) == (1, 2, [])
    assert not (tmp_path / "out" / "failures.csv").exists()


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_patch_attention(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    for name in ("p1", "p2"):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        mask = np.zeros((4, 64, 80), np.uint8)
        mask[1:3, 10:40, 20:60] = 255
        np.save(tmp_path / "images" / f"{name}.npy", rng.integers(0, 255, mask.shape, np.uint8))
        np.save(tmp_path / "masks" / f"{name}.npy", mask)
    folders: dict[str, Any] = {"mask_dir": tmp_path / "masks"}
    torch.manual_seed(0)
    report = fastcam.infer(build().eval(), tmp_path / "images", tmp_path / "run", **folders)
    folders["root_dir"] = tmp_path / "images"
    assert draw(report.store, tmp_path / "first", **folders).drawn == 2
    changed = tmp_path / kind / "p2.npy"
    np.save(changed, np.load(changed)[:, ::-1])
    of_changed: Callable[..., RenderReport] = lambda out, **options: draw(  # noqa: E731
        report.store, tmp_path / out, **folders, **options
    )
    outcome = of_changed("out")
    assert (outcome.drawn, outcome.failed, drawn(tmp_path / "out")) == (1, 1, ["001"])
    check_failed(outcome, tmp_path / "out", changed)
    assert of_changed("trusted", trust_inputs=True).drawn == 2


@pytest.mark.parametrize("first", ["relative", "absolute"])
def test_a_run_goes_on_from_another_folder(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images are the same ones however they are named."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    (tmp_path / "images").mkdir()
    for number in range(3):
        sample_map_stores.make_image(tmp_path / f"images/a{number}.png", 24, 40, seed=number)
    monkeypatch.chdir(tmp_path)
    names = [Path("images"), tmp_path / "images"]
    for turn, images in enumerate(names if first == "relative" else names[::-1]):
        options: dict[str, Any] = {"image_size": (24, 40), "layers": "0", "device": "cpu"}
        report = fastcam.infer(model.eval(), images, tmp_path / "run", workers=0, **options)
        assert report.failures == []
        assert draw(report.store, tmp_path / f"figures-{images.is_absolute()}").drawn == 3
        sample_map_stores.make_image(tmp_path / "images/a1.png", 24, 40, seed=90 + turn)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert fastcam.infer(model, names[1], tmp_path / "run", workers=0, **options).done == 3


def test_arrays_lie_as_they_did_in_the_run(tmp_path: Path) -> None:
    """``--axes`` needs no saying twice; where all sides are alike nothing else would tell."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    voxels = np.random.default_rng(0).random((12, 12, 12)).astype(np.float32)
    pictures = []
    for axes, array in (("xyz", voxels.T), ("zyx", voxels)):
        folder = tmp_path / axes
        (folder / "images").mkdir(parents=True)
        np.save(folder / "images" / "p.npy", np.ascontiguousarray(array))
        report = fastcam.infer(
            model.eval(),
            folder / "images",
            folder,
            axes=axes,  # type: ignore[arg-type]
            image_size=(12, 12, 12),
            layers="0",
            device="cpu",
            workers=0,
        )
        assert draw(report.store, folder / "figures").drawn == 1
        (picture,) = (folder / "figures").glob("*.png")
        pictures.append(picture.read_bytes())
    assert pictures[0] == pictures[1]

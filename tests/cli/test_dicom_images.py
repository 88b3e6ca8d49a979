"""DICOM and NIfTI slices, and volumes of several channels, through the commands as users type
them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from fastcam.api.explain import explain
from fastcam.store.maps import MapStore

from ..messages import one_line
from ..read.volumes.dicom_files import MR_IMAGE, dataset

Call = Callable[..., Any]
NETS = """
import torch
from torch import nn

def images(channels=1):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(channels, 4, 3, stride=2, padding=1), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    net.image_size = 16
    return net

def colour():
    return images(3)

def volumes(channels=2):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(channels, 4, 3, stride=2, padding=1), nn.ReLU(),
                        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    net.image_size = (8, 16, 16)
    return net

def one_channel():
    return volumes(1)
"""
SIZE = 32
# Pictures in figures are not enlarged.
SMALL = ["--panel-size", SIZE]


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "nets.py"
    path.write_text(NETS)
    return path


def built(nets: Path, name: str) -> Any:
    scope: dict[str, Any] = {}
    exec(nets.read_text(), scope)
    return scope[name]().eval()


def pictures(seed: int = 0, count: int = 4) -> np.ndarray:
    """(count, h, w) 12-bit, with the window 1000 to 3000 in mind."""
    return np.random.default_rng(seed).integers(0, 4096, (count, SIZE, SIZE)).astype(np.uint16)


def write_dicom(folder: Path, stored: np.ndarray, inverted: bool = False) -> Path:
    """One image a file, every other one without a suffix, in the window of 1000 to 3000."""
    folder.mkdir()
    for number, pixels in enumerate(stored):
        tags: dict[str, Any] = {
            "BitsStored": 12,
            "HighBit": 11,
            "VOILUTFunction": "LINEAR_EXACT",
            "WindowCenter": 2000,
            "WindowWidth": 2000,
        }
        if inverted:
            pixels = (4095 - pixels).astype(np.uint16)
            tags |= {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 2095}
        name = f"x{number}" + ".dcm" * (number % 2)
        dataset(pixels, SeriesInstanceUID=f"1.2.{number}", **tags).save_as(folder / name)
    return folder


def shown(stored: np.ndarray) -> np.ndarray:
    return np.clip((stored - 1000.0) / 2000, 0, 1) * 255


def output_of(net: Any, grey: np.ndarray) -> np.ndarray:
    """What a model says of pictures (n, h, w), 0 to 255, that PIL resizes."""
    mean, std = 0.449, 0.226  # those of ImageNet's colours, over the three
    planes = [
        np.asarray(
            Image.fromarray(g.astype(np.float32)).resize((16, 16), Image.Resampling.BILINEAR)
        )
        for g in grey
    ]
    batch = torch.from_numpy((np.stack(planes)[:, None] / 255 - mean) / std)
    return net(batch.float()).detach().numpy()


@pytest.mark.parametrize("inverted", [False, True])
def test_infer_sees_what_a_viewer_shows(
    fastcam: Call, nets: Path, tmp_path: Path, inverted: bool
) -> None:
    stored = pictures()
    folder = write_dicom(tmp_path / "dcm", stored, inverted)
    ran = fastcam("infer", folder, "--model", f"{nets}:images", "--output-dir", tmp_path / "o")
    assert ran.code == 0, ran.err
    store = MapStore.open(tmp_path / "o" / "run.zarr")
    assert [header.id for header in store.headers] == ["x0", "x1", "x2", "x3"]
    found = np.stack([header.output for header in store.headers])
    np.testing.assert_allclose(found, output_of(built(nets, "images"), shown(stored)), atol=1e-4)
    # The settings of a run without options of grey levels are those of before there were such.
    assert "window_level" not in store.attrs.preprocessing
    drawn = fastcam("render", store.path, "--output-dir", tmp_path / "f", *SMALL)
    assert drawn.code == 0, drawn.err
    picture = np.asarray(Image.open(tmp_path / "f" / "002_x1.png").convert("RGB"))
    expected = np.rint(shown(stored[1])).astype(np.uint8)
    assert contains(picture, expected)


def contains(figure: np.ndarray, grey: np.ndarray) -> bool:
    """Whether a figure (h, w, 3) shows a grey picture in its first panel, within a level."""
    levels, target = figure.astype(int), grey.astype(int)[:, :, None]
    height, width = grey.shape
    return any(
        np.abs(levels[top : top + height, left : left + width] - target).max() <= 1
        for top in range(len(levels) - height + 1)
        for left in range(40)
    )


def test_the_users_levels_reach_model_and_figure(fastcam: Call, nets: Path, tmp_path: Path) -> None:
    stored = pictures(1, 2)
    folder = write_dicom(tmp_path / "dcm", stored)
    ran = fastcam(
        *("infer", folder, "--model", f"{nets}:images", "--output-dir", tmp_path / "o"),
        *("--window-level", "500,1000"),
    )
    assert ran.code == 0, ran.err
    store = MapStore.open(tmp_path / "o" / "run.zarr")
    grey = np.clip(stored / 1000.0, 0, 1) * 255
    found = np.stack([header.output for header in store.headers])
    np.testing.assert_allclose(found, output_of(built(nets, "images"), grey), atol=1e-4)
    assert fastcam("render", store.path, "--output-dir", tmp_path / "f", *SMALL).code == 0
    picture = np.asarray(Image.open(tmp_path / "f" / "001_x0.png").convert("RGB"))
    assert contains(picture, np.rint(grey[0]).astype(np.uint8))
    # Another window is another run.
    again = fastcam("infer", folder, "--model", f"{nets}:images", "--output-dir", tmp_path / "o")
    assert again.code == 2
    assert "window_level" in one_line(again.err)
    both = fastcam(
        *("infer", folder, "--model", f"{nets}:images", "--output-dir", tmp_path / "b"),
        *("--window-level", "500,1000", "--percentiles", "1,99"),
    )
    assert "--window-level and --percentiles" in one_line(both.err)


def test_explain_evaluate_and_analyze_see_the_same(
    fastcam: Call, nets: Path, tmp_path: Path
) -> None:
    stored = pictures(2)
    folder = write_dicom(tmp_path / "dcm", stored)
    model = f"{nets}:images"
    expected = output_of(built(nets, "images"), shown(stored))
    explained = explain(built(nets, "images"), sorted(folder.iterdir()))
    np.testing.assert_allclose(explained.output, expected, atol=1e-4)
    np.testing.assert_array_equal(explained.images[1][:, :, 0], np.rint(shown(stored[1])))
    said = fastcam("explain", folder, "--model", model, "--output-dir", tmp_path / "e", *SMALL)
    assert said.code == 0, said.err
    assert (tmp_path / "e" / "x0" / "x0_explained.png").is_file()
    (tmp_path / "t.csv").write_text("id,label\nx0,0\nx1,1\nx2,0\nx3,1\n")
    evaluated = fastcam(
        *("evaluate", "--model", model, "--image-dir", folder, "--table", tmp_path / "t.csv"),
        *("--output-dir", tmp_path / "v", *SMALL),
    )
    assert evaluated.code == 0, evaluated.err
    store = MapStore.open(tmp_path / "v" / "run.zarr")
    np.testing.assert_allclose([h.output for h in store.headers], expected, atol=1e-4)
    analyzed = fastcam(
        *("analyze", "--model", model, "--images", folder, "--output-dir", tmp_path / "a"),
        *SMALL,
        *("--workers", 1),
    )
    assert analyzed.code == 0, analyzed.err
    store = MapStore.open(tmp_path / "a" / "run.zarr")
    np.testing.assert_allclose([h.output for h in store.headers], expected, atol=1e-4)


def test_a_nifti_slice_is_drawn_upright(fastcam: Call, nets: Path, tmp_path: Path) -> None:
    """One bright corner, right, front and above, stored in eight ways: one figure."""
    corner = np.full((SIZE, SIZE), 10, np.int16)
    corner[-8:, -4:] = 200  # x to the right, y to the front, by the affine
    figures = []
    for number, (flip_x, flip_y, turned) in enumerate(np.ndindex(2, 2, 2)):
        array, affine = corner, np.eye(4)
        if flip_x:
            array, affine = array[::-1], affine @ np.diag([-1, 1, 1, 1])
            affine[0, 3] = SIZE - 1
        if flip_y:
            array, affine = array[:, ::-1], affine @ np.diag([1, -1, 1, 1])
            affine[1, 3] = SIZE - 1
        if turned:
            array, affine = array.T, affine[:, [1, 0, 2, 3]]
        folder = tmp_path / f"i{number}"
        folder.mkdir()
        nibabel.Nifti1Image(array[:, :, None], affine).to_filename(folder / "s.nii.gz")
        out = tmp_path / f"o{number}"
        ran = fastcam("infer", folder, "--model", f"{nets}:images", "--output-dir", out)
        assert ran.code == 0, ran.err
        assert fastcam("render", out / "run.zarr", "--output-dir", out / "f", *SMALL).code == 0
        figures.append(np.asarray(Image.open(out / "f" / "001_s.png").convert("RGB")))
    # The patient's right is on the left, the front above; the letter R lies at half the height.
    expected = np.zeros((SIZE, SIZE), np.uint8)
    expected[:4, :8] = 255
    assert contains(figures[0], expected[:8])
    # Maps of a convolution differ with the way an image lies; the picture must not.
    assert all(contains(figure, expected[:8]) for figure in figures[1:])


def brains(folder: Path, suffix: str = ".nii.gz") -> tuple[Path, Path, np.ndarray]:
    """The same two cases of two channels as 4-D files and as nnU-Net's; (2, 2, x, y, z)."""
    values = np.random.default_rng(4).integers(0, 900, (2, 2, SIZE, SIZE, 10)).astype(np.int16)
    four, files = folder / "four", folder / "files"
    four.mkdir()
    files.mkdir()
    for number, case in enumerate(values):
        affine = np.diag([-1.0, -1, 2, 1])
        nibabel.Nifti1Image(np.moveaxis(case, 0, -1), affine).to_filename(
            four / f"c{number}{suffix}"
        )
        for channel, array in enumerate(case):
            nibabel.Nifti1Image(array, affine).to_filename(
                files / f"c{number}_{channel:04d}{suffix}"
            )
    return four, files, values


def test_channels_of_a_3d_model(fastcam: Call, nets: Path, tmp_path: Path) -> None:
    four, files, values = brains(tmp_path)
    levels = []
    for case in values:
        parts = []
        for array in case:
            low, high = np.percentile(array, (0.5, 99.5))
            parts.append(np.clip((array.T - low) / (high - low), 0, 1))
        levels.append(np.stack(parts))
    batch = torch.from_numpy(np.stack(levels)).float()
    resized = torch.nn.functional.interpolate(
        batch, (8, 16, 16), mode="trilinear", align_corners=False
    )
    expected = built(nets, "volumes")(resized).detach().numpy()
    for folder in (four, files):
        out = tmp_path / f"o_{folder.name}"
        ran = fastcam("infer", folder, "--model", f"{nets}:volumes", "--output-dir", out)
        assert ran.code == 0, ran.err
        store = MapStore.open(out / "run.zarr")
        assert [header.id for header in store.headers] == ["c0", "c1"]
        np.testing.assert_allclose([h.output for h in store.headers], expected, atol=1e-3)
        drawn = {}
        for channel in (1, 2):
            figures = out / f"f{channel}"
            call = fastcam(
                *("render", out / "run.zarr", "--output-dir", figures, *SMALL),
                *("--show-channel", channel),
            )
            assert call.code == 0, call.err
            (path,) = figures.glob("001_c0*.png")
            drawn[channel] = np.asarray(Image.open(path).convert("RGB"))
        assert not np.array_equal(drawn[1], drawn[2])
        (path,) = (out / "f2").glob("001_c0*.png")
        z = int(path.stem.rpartition("slice")[2])
        low, high = np.percentile(values[0, 1], (0.5, 99.5))
        slice_ = np.clip((values[0, 1, :, :, z].T - low) / (high - low), 0, 1) * 255
        picture = np.rint(slice_).astype(np.uint8)
        # The letter of the side lies at half the height.
        assert contains(drawn[2], picture[:8])
        assert not contains(drawn[1], picture[:8])
        too_many = fastcam(
            *("render", out / "run.zarr", "--output-dir", out / "x", "--show-channel", 3)
        )
        assert "--show-channel 3" in one_line(too_many.err)
        explained = fastcam(
            *("explain", folder, "--model", f"{nets}:volumes", "--output-dir", out / "e"),
            *(*SMALL, "--show-channel", 2, "--json"),
        )
        assert explained.code == 0, explained.err
        assert json.loads(explained.out)["models"][0]["images"] == ["c0", "c1"]


def test_numbers_of_channels_that_do_not_fit(fastcam: Call, nets: Path, tmp_path: Path) -> None:
    four, files, values = brains(tmp_path)
    single = tmp_path / "single"
    single.mkdir()
    nibabel.Nifti1Image(values[0, 0], np.eye(4)).to_filename(single / "a.nii.gz")
    out = ("--output-dir", tmp_path / "o")
    for command in ("infer", "explain"):
        said = fastcam(command, single, "--model", f"{nets}:volumes", *out)
        assert said.code == 2
        text = said.err.splitlines()[-1]
        assert "a.nii.gz: the volume has 1 channel, but the model takes 2" in text
        said = fastcam(command, files, "--model", f"{nets}:one_channel", *out)
        assert "look like 2 channels of 2 cases" in said.err.splitlines()[-1]
    said = fastcam("infer", four, "--model", f"{nets}:one_channel", *out)
    assert said.code == 1
    assert "--volume" in said.out
    # Nothing was drawn or is there to be drawn: nothing is said of it.
    assert "draw them" not in said.out
    assert not (tmp_path / "o" / "figures").exists()


def test_the_model_is_looked_at_first(fastcam: Call, nets: Path, tmp_path: Path) -> None:
    volume = tmp_path / "v.nii.gz"
    nibabel.Nifti1Image(np.zeros((9, 9, 9)), np.eye(4)).to_filename(volume)
    out = ("--output-dir", tmp_path / "o")
    for images in (volume, tmp_path / "nowhere.png", tmp_path):
        for command in ("infer", "explain", "vit"):
            said = fastcam(command, images, "--model", f"{tmp_path}/nothing.py:f", *out)
            assert said.code == 2
            last = said.err.splitlines()[-1]
            assert "nothing.py: no such Python file" in last
            assert "picture" not in last
    (tmp_path / "text.xyz").write_text("text")
    said = fastcam("explain", tmp_path / "text.xyz", "--model", f"{nets}:images", *out)
    assert "text.xyz: is not an image: a model of images takes" in said.err.splitlines()[-1]


def test_explain_says_that_a_window_of_ct_is_not_for_mr(
    fastcam: Call, nets: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mr"
    folder.mkdir()
    dataset(pictures(3, 1)[0], MR_IMAGE).save_as(folder / "a.dcm")
    for window, said in (("brain", True), ("40,90", False)):
        ran = fastcam(
            *("explain", folder / "a.dcm", "--model", f"{nets}:images", *SMALL),
            *("--window-level", window, "--output-dir", tmp_path / window),
        )
        assert ran.code == 0, ran.err
        assert ("a.dcm: the window brain is in HU, but this is MR; " in ran.err) == said

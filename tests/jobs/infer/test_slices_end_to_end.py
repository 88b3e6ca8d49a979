"""Slices of volumes from files of every kind to figures, exports, metrics and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from fastcam.api.evaluate import evaluate
from fastcam.api.export import export
from fastcam.api.infer import infer
from fastcam.api.render import render
from fastcam.cli.main import app
from fastcam.errors import InputError
from fastcam.store.maps import MapStore
from tests.stored_volumes import save_masks, write_series

SIZE = 16
AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])


class Brightness(nn.Module):
    """Its one layer gives the sum of the channels; the outputs follow from the mean of that."""

    def __init__(self, channels: int = 1, classes: int = 2) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.ones_(self.layer.weight)
        self.classes = classes
        self.image_size = (SIZE, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        mean = torch.relu(self.layer(x)).mean((2, 3))
        return torch.cat([0 * mean, 4 * mean], dim=1)[:, -self.classes :]


def run(images: Any, output: Path, channels: int = 1, **options: Any) -> Any:
    given = {
        "method": "gradcam",
        "layers": ["layer"],
        "batch_size": 4,
        "workers": 0,
        "mean": (0.0,) * channels,
        "std": (1.0,) * channels,
    }
    return infer(Brightness(channels).eval(), images, output, **{**given, **options})


def array_of(seed: int = 0, depth: int = 6) -> np.ndarray:
    """(x, y, z), brighter from slice to slice."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 100, (12, 10, depth)) + 100 * np.arange(depth)
    return np.asarray(grey, np.int16)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(exist_ok=True)
    nibabel.Nifti1Image(array, affine).to_filename(path)


def outputs(store: Path, case: int = 0) -> np.ndarray:
    answers = MapStore.open(store).headers[case].slices
    assert answers is not None
    return answers.output


def test_files_of_every_kind_give_the_same(tmp_path: Path) -> None:
    """NIfTI, NumPy, a folder of pictures and a DICOM series of one volume."""
    array = (array_of() // 4).astype(np.uint8)
    save(tmp_path / "nifti" / "a.nii.gz", array)
    (tmp_path / "array").mkdir()
    np.save(tmp_path / "array" / "a.npy", array.T)
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    for z in range(array.shape[2]):
        Image.fromarray(array[:, :, z].T).save(tmp_path / "pictures" / "a" / f"{z}.png")
    write_series(tmp_path / "series" / "a", array.T.astype(np.int16), AFFINE)
    window: dict[str, Any] = {"window_level": (64, 128)}
    wanted = outputs(run(tmp_path / "nifti", tmp_path / "o1", **window).store)
    for name in ("array", "series"):
        found = outputs(run(tmp_path / name, tmp_path / f"o_{name}", **window).store)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    # Pictures are images, unless an option says that their folders are volumes.
    images = run(tmp_path / "pictures", tmp_path / "images")
    assert (images.images, images.volumes) == (6, 0)
    report = run(tmp_path / "pictures", tmp_path / "slices", slices="all", **window)
    assert (report.images, report.volumes) == (6, 1)
    np.testing.assert_allclose(outputs(report.store), wanted, atol=1e-5)


def test_channels_of_a_volume_are_those_of_the_model(tmp_path: Path) -> None:
    both = np.stack([array_of(0), array_of(1)], axis=-1)
    save(tmp_path / "one" / "a.nii.gz", both)
    save(tmp_path / "two" / "a_0000.nii.gz", both[..., 0])
    save(tmp_path / "two" / "a_0001.nii.gz", both[..., 1])
    window: dict[str, Any] = {"window_level": (300, 600), "channels": 2}
    first = outputs(run(tmp_path / "one", tmp_path / "o1", **window).store)
    report = run(tmp_path / "two", tmp_path / "o2", **window)
    assert [header.id for header in MapStore.open(report.store).headers] == ["a"]
    np.testing.assert_allclose(outputs(report.store), first, atol=1e-5)
    with pytest.raises(InputError, match=r"2 channels.*3"):
        run(tmp_path / "one", tmp_path / "o3", channels=3)
    save(tmp_path / "grey" / "a.nii.gz", array_of())
    with pytest.raises(InputError, match=r"takes 2 channels, and context 1 gives 1"):
        run(tmp_path / "grey", tmp_path / "o4", channels=2)
    assert run(tmp_path / "grey", tmp_path / "o5", channels=3).exit_code == 0


def test_an_axis_needs_an_affine(tmp_path: Path) -> None:
    (tmp_path / "array").mkdir()
    np.save(tmp_path / "array" / "a.npy", array_of().T)
    with pytest.raises(InputError, match=r"a\.npy: has no affine, which axis coronal needs"):
        run(tmp_path / "array", tmp_path / "out", axis="coronal")


def test_slices_are_for_models_of_images(tmp_path: Path) -> None:
    class Cube(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv3d(1, 1, 1)
            self.image_size = (4, 8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).mean((2, 3, 4))

    save(tmp_path / "v" / "a.nii.gz", array_of())
    with pytest.raises(InputError, match="pool is for 2-D models"):
        infer(Cube(), tmp_path / "v", tmp_path / "out", layers=["layer"], pool="max")


def test_volumes_and_images_together_are_an_error(tmp_path: Path) -> None:
    save(tmp_path / "v" / "a.nii.gz", array_of())
    Image.new("L", (8, 8)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="one kind at a time"):
        run([tmp_path / "v" / "a.nii.gz", tmp_path / "b.png"], tmp_path / "out")


@pytest.mark.parametrize(
    ("axis", "share"), [(None, 24 / 28), ("coronal", 12 / 13), ("sagittal", 18 / 19)]
)
def test_masks_on_any_grid_are_measured_alike(tmp_path: Path, axis: Any, share: float) -> None:
    """Also the share of the map inside, which is known by hand.

    Grad-CAM's weight is the mean gradient, which is 0 where the picture is: a slice's map is its
    picture times its lit area. The mask holds 192 of 224 lit voxels, on slices along z all of one
    area; the others' is half along y, and a third along x.
    """
    array = np.zeros((16, 16, 16), np.int16)
    array[2:6, 3:9, 4:12] = 1000
    array[10:12, 10:12, 4:12] = 1000
    mask = np.zeros(array.shape, np.uint8)
    mask[:8] = 1
    save(tmp_path / "images" / "a.nii.gz", array)
    save(tmp_path / "images" / "b.nii.gz", array)
    save_masks(tmp_path / "all", mask, AFFINE)
    (tmp_path / "table.csv").write_text("id,label\na,1\nb,0\n")
    shares = {}
    for name in ("same", "flipped", "permuted"):
        masks = tmp_path / f"masks_{name}"
        masks.mkdir()
        for case in "ab":
            (masks / f"{case}_mask.nii.gz").write_bytes(
                (tmp_path / "all" / f"{name}.nii.gz").read_bytes()
            )
        report = evaluate(
            Brightness().eval(),
            tmp_path / "images",
            tmp_path / "table.csv",
            tmp_path / name,
            mask_dir=masks,
            layers=["layer"],
            readers=0,
            workers=1,
            mean=(0.0,),
            std=(1.0,),
            window_level=(500, 1000),
            axis=axis,
            explain="all",
            panel_size=32,
        )
        metrics = json.loads((tmp_path / name / "test_metrics.json").read_text())
        cases = metrics["localization"]["cases"]
        shares[name] = cases["a"]["share"], cases["b"]["share"], cases["a"]["area"]
        assert report.exit_code == 0
    assert shares["same"] == shares["flipped"] == shares["permuted"]
    assert shares["same"][0] == pytest.approx(share, abs=1e-5)
    assert shares["same"][2] == 0.5


def test_a_table_of_cases_is_compared_with_pooled_answers(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "images" / f"v{number}.nii.gz", array_of(number, depth=3 + number))
    (tmp_path / "table.csv").write_text("id,label\nv0,0\nv1,1\nv2,1\nv3,0\n")
    for pool in ("mean", "max"):
        evaluate(
            Brightness().eval(),
            tmp_path / "images",
            tmp_path / "table.csv",
            tmp_path / "out",
            layers=["layer"],
            readers=0,
            workers=1,
            mean=(0.0,),
            std=(1.0,),
            pool=pool,
            panel_size=32,
        )
        rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
        store = MapStore.open(tmp_path / "out" / "run.zarr")
        for row, header in zip(rows, store.headers, strict=True):
            assert header.slices is not None
            shares = header.slices.probability.astype(np.float64)
            wanted = getattr(shares, pool)(axis=0)
            np.testing.assert_allclose(row["probability"], wanted, atol=1e-6)
            assert row["predicted"] == int(wanted.argmax())
    with pytest.raises(InputError, match="faithfulness is for images and whole volumes"):
        evaluate(
            Brightness().eval(),
            tmp_path / "images",
            tmp_path / "table.csv",
            tmp_path / "other",
            layers=["layer"],
            faithfulness=2,
        )


def test_figures_show_the_window_and_the_part_that_the_model_saw(tmp_path: Path) -> None:
    save(tmp_path / "images" / "wide.nii.gz", array_of().repeat(2, axis=0))
    report = run(tmp_path / "images", tmp_path / "out", fit="crop", slices="1,4")
    drawn = render(report.store, output_dir=tmp_path / "figures", mode="all_slices", workers=1)
    assert drawn.exit_code == 0
    (folder,) = (path for path in (tmp_path / "figures").iterdir() if path.is_dir())
    names = sorted(path.name for path in folder.iterdir())
    assert [name[:8] for name in names] == ["_summary", "slice001", "slice004"]
    assert "BEST" in names[2]  # slices grow brighter
    summary = (folder / "_summary.txt").read_text()
    assert "Slices:       2 of 6" in summary
    export(report.store, output_dir=tmp_path / "maps")
    exported: Any = nibabel.load(tmp_path / "maps" / "wide_gradcam_layer.nii.gz")
    data = exported.get_fdata()
    assert data.shape == (24, 10, 6)
    # Of 24 columns the middle ten are seen; of the slices two.
    seen = np.isfinite(data)
    assert sorted(np.unique(np.argwhere(seen)[:, 2])) == [1, 4]
    assert sorted(np.unique(np.argwhere(seen)[:, 0])) == list(range(7, 17))


def test_explain_shows_the_middle_slice(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Conv2d(1, 2, 1)\n"
        "        self.image_size = (16, 16)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x).mean((2, 3))\n"
        "def make():\n"
        "    return Net()\n"
    )
    save(tmp_path / "images" / "a.nii.gz", array_of())
    save(tmp_path / "images" / "b.nii.gz", array_of(1, depth=3))
    command = ["explain", str(tmp_path / "images"), "--model", f"{file}:make", "--layer", "layer"]
    done = CliRunner().invoke(app, [*command, "--output-dir", str(tmp_path / "middle")])
    assert done.exit_code == 0, done.output
    found = sorted(path.name for path in (tmp_path / "middle").iterdir() if path.is_dir())
    assert found == ["a_slice002", "b_slice001"]
    options = ["--output-dir", str(tmp_path / "chosen"), "--slices", "0,4-5"]
    done = CliRunner().invoke(app, [*command, *options])
    assert done.exit_code == 0, done.output
    found = sorted(path.name for path in (tmp_path / "chosen").iterdir() if path.is_dir())
    assert found == ["a_slice000", "a_slice004", "a_slice005", "b_slice000"]

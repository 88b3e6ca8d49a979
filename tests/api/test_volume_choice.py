"""Series with gaps and of several volumes through every job that reads volumes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

import fastcam
from fastcam.errors import InputError
from fastcam.store.maps import MapStore
from tests.read.volumes.dicom_files import classic

SIZE = (4, 8, 8)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Even slices, slices with a gap, two phases at the same places, and a 4-D NIfTI file."""
    root = tmp_path / "images"
    ramp = np.arange(4)[:, None, None] * np.ones(SIZE, np.int16)
    ramp[:, 2:6, 2:6] += 20
    ramp = ramp.astype(np.int16)
    classic(root / "even", ramp, [0.0, 2.0, 4.0, 6.0])
    classic(root / "gap", ramp, [0.0, 2.0, 4.0, 12.0])
    for phase in range(2):
        heights = [0.0, 2.0, 4.0, 6.0]
        classic(root / "phases", ramp + np.int16(100 * phase), heights, first=10 * phase)
    four = np.stack([ramp.T, 50 - ramp.T], axis=-1)
    nibabel.save(nibabel.Nifti1Image(four, np.eye(4)), root / "four.nii.gz")
    return root


def results(path: Path, *names: str) -> Path:
    def patch(z: int) -> dict[str, Any]:
        box = {"bbox": (1, 1, 5, 5), "slice_idx": z, "center_x": 3, "center_y": 3}
        return box | {"roi_id": 0, "mask_ratio": 0.5}

    cases = [
        {
            "patient_name": name,
            "true_label": 0,
            "predicted_label": 0,
            "is_correct": True,
            "prob_class_0": 0.75,
            "prob_class_1": 0.25,
            "confidence": 0.75,
            "num_patches": 4,
            "attention_weights": np.array([0.4, 0.3, 0.2, 0.1], np.float32),
            "positions": [patch(z) for z in range(4)],
        }
        for name in names
    ]
    path.write_bytes(pickle.dumps(cases))
    return path


class Mean(nn.Module):
    """The mean of the voxels, by a convolution that has a map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 1, 1, bias=False)
        nn.init.ones_(self.conv.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x).mean(dim=(2, 3, 4))
        return torch.cat([y, -y], dim=1)


def infer(images: Path, output: Path, **options: Any) -> Any:
    sources = [images] if images.is_file() else sorted(images.iterdir())
    return fastcam.infer(
        Mean(), sources, output, layers=["conv"], image_size=SIZE, workers=0, **options
    )


def reasons(report: Any, level: str) -> dict[str, str]:
    return {f.case: f.reason for f in report.troubles if f.level == level}


def test_render_draws_gaps_with_a_warning_and_names_volumes(images: Path, tmp_path: Path) -> None:
    file = results(tmp_path / "r.pkl", "even", "gap", "phases", "four")
    options: dict[str, Any] = {"root_dir": images, "workers": 1, "mode": "all_slices"}
    report = fastcam.render(file, output_dir=tmp_path / "a", **options)
    assert report.exit_code == 3
    errors, warnings = reasons(report, "error"), reasons(report, "warning")
    assert errors.keys() == {"phases", "four"}
    assert all("--volume" in reason for reason in errors.values())
    assert warnings.keys() == {"gap"}
    assert "a gap of 6 mm between slices 2 and 3" in warnings["gap"]
    assert len(list((tmp_path / "a").glob("002_gap/*.png"))) == 4
    with pytest.raises(InputError, match="volume"):  # figures of another volume are another job
        fastcam.render(file, output_dir=tmp_path / "a", volume=2, **options)
    pictures = {}
    for volume in ("1", "2"):
        out = tmp_path / volume
        one = dict(options, patients=["four", "phases"])
        report = fastcam.render(file, output_dir=out, volume=volume, **one)
        assert not report.troubles
        pictures[volume] = next(out.glob("*four/slice000*.png")).read_bytes()
    assert pictures["1"] != pictures["2"]


def test_export_refuses_uneven_slices(images: Path, tmp_path: Path) -> None:
    file = results(tmp_path / "r.pkl", "even", "gap", "phases")
    options: dict[str, Any] = {"root_dir": images, "workers": 1}
    fastcam.render(
        file, output_dir=tmp_path / "a", volume="phase 2", patients=["phases"], **options
    )
    fastcam.render(file, output_dir=tmp_path / "b", patients=["even"], **options)
    store = tmp_path / "b" / "run.zarr"
    report = fastcam.export(store, output_dir=tmp_path / "e", root_dir=images)
    assert report.written == ["even_attention.nii.gz"]
    assert "export needs evenly spaced slices" in reasons(report, "error")["gap"]
    assert "--volume" in reasons(report, "error")["phases"]
    report = fastcam.export(
        store, output_dir=tmp_path / "f", root_dir=images, volume="phase 2", patients=["phases"]
    )
    assert report.written == ["phases_attention.nii.gz"]


def test_a_3d_model_refuses_uneven_slices(images: Path, tmp_path: Path) -> None:
    report = infer(images, tmp_path / "a")
    errors = reasons(report, "error")
    assert errors.keys() == {"gap", "phases", "four"}
    assert "a 3-D model needs evenly spaced slices" in errors["gap"]
    with pytest.raises(InputError, match="a 3-D model needs evenly spaced slices"):
        fastcam.explain(Mean(), [images / "gap"], layers=["conv"], image_size=SIZE)
    assert "volume" not in MapStore.open(tmp_path / "a" / "run.zarr").attrs.settings


def test_the_volume_that_was_run_is_the_one_that_is_drawn(images: Path, tmp_path: Path) -> None:
    for volume in (1, 2):
        report = infer(images / "four.nii.gz", tmp_path / str(volume), volume=volume)
        assert not report.troubles
        store = tmp_path / str(volume) / "run.zarr"
        assert MapStore.open(store).attrs.settings["volume"] == str(volume)
        fastcam.render(store, output_dir=tmp_path / f"f{volume}", workers=1)
        fastcam.render(store, output_dir=tmp_path / f"g{volume}", workers=1, volume=volume)
        drawn = [next((tmp_path / f"{kind}{volume}").glob("*.png")).read_bytes() for kind in "fg"]
        assert drawn[0] == drawn[1]
    with pytest.raises(InputError, match="volume 1, now 2"):
        infer(images / "four.nii.gz", tmp_path / "1", volume=2)
    one, two = (next((tmp_path / f"f{v}").glob("*.png")).read_bytes() for v in (1, 2))
    assert one != two


def test_evaluate_takes_the_volume(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("image,label\neven,0\nphases,0\nfour,1\n")
    report = fastcam.evaluate(
        Mean(),
        images,
        table,
        tmp_path / "e",
        layers=["conv"],
        image_size=SIZE,
        volume=1,
        readers=0,
        workers=1,
    )
    assert not reasons(report, "error")


def test_axes_are_those_of_arrays_only(images: Path, tmp_path: Path) -> None:
    """A file with an affine says itself how its axes lie, and a model sees it as (z, y, x)."""
    out = tmp_path / "out"
    for folder in (images / "even", images / "four.nii.gz"):
        with pytest.raises(InputError, match=r"^axes xyz: .* is none: a model sees its volume as"):
            fastcam.infer(Mean(), folder, out, axes="xyz", image_size=SIZE, volume=1)
    assert not out.exists()
    array = np.random.default_rng(0).random((8, 6, 4), np.float32)
    np.save(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", array.T.copy())
    options: dict[str, Any] = {"image_size": (4, 6, 8), "layers": "conv", "device": "cpu"}
    turned = fastcam.infer(Mean(), tmp_path / "a.npy", tmp_path / "1", axes="xyz", **options)
    plain = fastcam.infer(Mean(), tmp_path / "b.npy", tmp_path / "2", **options)
    found, expected = (MapStore.open(report.store) for report in (turned, plain))
    name = found.map_names[0]
    np.testing.assert_array_equal(found.map(name, 0), expected.map(name, 0))

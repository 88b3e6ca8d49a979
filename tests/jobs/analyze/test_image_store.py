"""Volumes analyzed slice by slice, and DICOM and NIfTI slices: numbers, places and sides."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff
from PIL import Image

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.analyze.image_store import ImageStore
from fastcam.jobs.analyze.report import Analysis
from fastcam.jobs.analyze.request import AnalyzeOptions
from fastcam.options import Style

from ..infer.slice_samples import Brightness, model_of, save

OPTIONS = AnalyzeOptions(Style(panel_size=64), workers=1)
CODES = [
    "".join(axes)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for axes in itertools.product(*order)
]


def analyze(model: Any, folder: Path, output: Path, **options: Any) -> Analysis:
    analyzer = fastcam.Analyzer(
        model,
        layers=["layer"] if isinstance(model, Brightness) else ["second"],
        device="cpu",
        readers=0,
        window_level=(127.5, 255),
        options=OPTIONS,
    )
    return analyzer.analyze_batch(folder, output_dir=output, **options)


def test_slices_are_as_the_same_pictures(tmp_path: Path) -> None:
    """A volume's slices against the same slices saved as PNG: every number is the same."""
    rng = np.random.default_rng(0)
    (tmp_path / "volumes").mkdir()
    (tmp_path / "pictures").mkdir()
    for case in range(2):
        array = rng.integers(0, 256, (20, 18, 4), dtype=np.uint8)
        save(tmp_path / f"volumes/v{case}.nii.gz", array)
        for z in range(4):
            Image.fromarray(array[:, :, z].T).save(tmp_path / f"pictures/v{case}_slice{z:03d}.png")
    model = model_of()
    volumes = analyze(model, tmp_path / "volumes", tmp_path / "v", slices="1-3")
    pictures = analyze(model, tmp_path / "pictures", tmp_path / "p")
    assert [image.id for image in volumes.images] == [
        f"v{case}_slice{z:03d}" for case in range(2) for z in (1, 2, 3)
    ]
    by_id = {image.id: image for image in pictures.images}
    for image in volumes.images:
        same = by_id[image.id]
        assert (image.size, image.predicted) == (same.size, same.predicted)
        np.testing.assert_allclose(image.output, same.output, atol=1e-6)
        own, known = image.layers["second"], same.layers["second"]
        assert own.activations is not None
        assert known.activations is not None
        assert own.activations.mean == pytest.approx(known.activations.mean, rel=1e-5)
        assert own.feature_statistics.peak == known.feature_statistics.peak
        assert own.feature_statistics.raw.max_activation == pytest.approx(
            known.feature_statistics.raw.max_activation, rel=1e-5
        )
        assert (tmp_path / "v" / own.heatmap_path).is_file()
    assert volumes.exit_code == 0
    assert not volumes.failures
    assert any(name.endswith("_channels.png") for name in volumes.files)


@pytest.mark.parametrize("flat", [True, False], ids=["slice", "volume"])
def test_every_orientation_is_shown_alike(tmp_path: Path, flat: bool) -> None:
    """The patient's right anterior corner is bright, and of axial slices at the top left."""
    array = np.zeros((16, 12, 1 if flat else 3), np.uint8)
    array[-1, -1, -1] = 255  # RAS: x grows to the right, y to the front
    ras = nibabel.Nifti1Image(array, np.eye(4))
    codes = [code for code in CODES if code[2] in "SI"] if flat else CODES
    (tmp_path / "in").mkdir()
    for code in codes:
        turning = axcodes2ornt(code)
        back = nibabel.orientations.ornt_transform(axcodes2ornt("RAS"), turning)
        turned = apply_orientation(np.asarray(ras.dataobj), back)
        affine = ras.affine @ inv_ornt_aff(back, ras.shape)
        save(tmp_path / f"in/{code}.nii", turned, affine)
    choice: dict[str, Any] = {} if flat else {"axis": "axial"}
    report = analyze(Brightness(), tmp_path / "in", tmp_path / "out", **choice)
    assert not report.failures
    store = ImageStore(tmp_path / "out/run.zarr")
    bright = 0
    for index, header in enumerate(store.headers):
        picture = store.picture(index)
        assert picture.image.shape == (12, 16, 1)
        assert picture.left_side == "R"
        values = store.display(index).apply(store.placed_map("gradcam/layer", index))
        if picture.image.max() == 255:
            bright += 1
            assert picture.image[0, 0, 0] == 255, header.id
            peak = np.unravel_index(values.argmax(), values.shape)
            assert max(peak) == 0, header.id
    assert bright == len(codes)


def test_what_fails_of_volumes_is_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        save(tmp_path / f"in/{name}.nii", rng.integers(0, 256, (20, 18, 5), dtype=np.uint8))
    whole = (tmp_path / "in/b.nii").read_bytes()
    (tmp_path / "in/b.nii").write_bytes(whole[: len(whole) // 2])
    report = analyze(model_of(), tmp_path / "in", tmp_path / "out")
    assert report.exit_code == 3
    assert len(report.images) == 5
    assert [(failure.case, failure.slice) for failure in report.failures] == [("b", None)]
    assert "truncated" in report.failures[0].reason


def test_one_of_several_volumes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    array = np.zeros((20, 18, 2, 3), np.uint8)
    array[..., 1] = 200
    save(tmp_path / "in/a.nii", array)
    report = analyze(Brightness(), tmp_path / "in", tmp_path / "out", volume=2, slices="0")
    assert report.images[0].layers["layer"].feature_statistics.raw.max_activation > 0
    with pytest.raises(InputError, match="volume 9"):
        analyze(Brightness(), tmp_path / "in", tmp_path / "other", volume=9, slices="0")

"""``fastcam export``: maps on their sources' grids, opened beside the sources by nibabel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from fastcam.api.export import export as export_maps

from ... import sample_map_stores

Call = Callable[..., Any]
OBLIQUE = np.array(
    [[-0.9, 0.2, 0.1, 40], [0.15, -1.4, 0.3, -12], [0.1, 0.2, 2.1, 7], [0, 0, 0, 1.0]]
)


@pytest.fixture
def export(fastcam: Call, tmp_path: Path) -> Call:
    def call(*options: object, store: Path | None = None, out: Path | None = None) -> Any:
        where = ("--output-dir", out or tmp_path / "out")
        return fastcam("export", store or tmp_path / "run.zarr", *where, *options)

    return call


@pytest.mark.parametrize("affine", [sample_map_stores.AFFINE, OBLIQUE])
def test_volumes_lie_on_the_grid_of_their_source(export: Call, tmp_path: Path, affine) -> None:
    store = sample_map_stores.volume_store(tmp_path, affine=affine)
    assert export().code == 0
    for index in range(2):
        made = nibabel.Nifti1Image.from_filename(
            tmp_path / "out" / f"v{index}_gradcam_features.nii.gz"
        )
        source = nibabel.Nifti1Image.from_filename(tmp_path / "images" / f"v{index}.nii.gz")
        assert made.shape == source.shape
        assert np.allclose(made.affine, source.affine, atol=1e-5)
        assert made.get_data_dtype() == np.float32
        values = torch.from_numpy(store.map("gradcam/features", index))[None, None]
        large = interpolate(values, sample_map_stores.VOLUME, mode="trilinear", align_corners=False)
        found = np.asarray(made.dataobj).transpose(2, 1, 0)
        assert np.allclose(found, large[0, 0].numpy(), atol=1e-6)


def test_a_hot_voxel_lies_at_its_place_in_millimetres(export: Call, tmp_path: Path) -> None:
    maps = np.zeros((2, 5, 10, 8), np.float32)
    maps[:, 3, 7, 1] = 1.0
    sample_map_stores.volume_store(tmp_path, {"gradcam/f": maps}, OBLIQUE)
    assert export("--patient", "v1").code == 0
    made = nibabel.Nifti1Image.from_filename(tmp_path / "out" / "v1_gradcam_f.nii.gz")
    heat = np.asarray(made.dataobj, np.float64)
    voxel = np.array([(heat * axis).sum() / heat.sum() for axis in np.indices(heat.shape)])
    found = nibabel.affines.apply_affine(made.affine, voxel)
    # The map is at half the resolution: voxel i of it lies at 2 i + 0.5 of the source.
    expected = nibabel.affines.apply_affine(OBLIQUE, [2 * 1 + 0.5, 2 * 7 + 0.5, 2 * 3 + 0.5])
    assert np.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_images(export: Call, tmp_path: Path, kind: str) -> None:
    store = sample_map_stores.image_store(tmp_path)
    assert export("--format", kind, "--layer", "layer3", "--layer", "blocks.1").code == 0
    names = {path.name for path in (tmp_path / "out").glob(f"*.{kind}")}
    assert names == {
        f"a{i}_{name}.{kind}"
        for i in range(3)
        for name in ("gradcam_layer3", "attention_blocks.1_mean")
    }
    path = tmp_path / "out" / f"a1_gradcam_layer3.{kind}"
    found = np.load(path) if kind == "npy" else np.asarray(Image.open(path))
    values = torch.from_numpy(store.map("gradcam/layer3", 1))[None, None]
    large = interpolate(values, (24, 40), mode="bilinear", align_corners=False)[0, 0]
    assert found.dtype == np.float32
    assert np.allclose(found, large.numpy(), atol=1e-6)


def test_what_a_cropping_model_did_not_see_is_nan(export: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path, labels=("1",), fit="crop")
    assert export("--format", "npy", "--layer", "layer4").code == 0
    found = np.load(tmp_path / "out" / "a0_gradcam_layer4.npy")
    assert found.shape == (24, 40)
    assert np.isfinite(found[:, 8:32]).all()
    assert np.isnan(found[:, :8]).all()
    assert np.isnan(found[:, 32:]).all()


def test_several_targets_are_several_files(export: Call, tmp_path: Path) -> None:
    maps = {"gradcam/layer4": np.random.default_rng(0).random((1, 3, 4, 4), np.float32)}
    sample_map_stores.image_store(tmp_path, labels=("1",), maps=maps)
    assert export().code == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tif"))
    assert names == [f"a0_gradcam_layer4_target{t}.tif" for t in ("-1", "-2", "1")]


def test_resume_and_overwrite(export: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path)
    assert "9 maps written" in export().out
    (tmp_path / "out" / "a1_gradcam_layer3.tif").unlink()
    assert "1 map written, 8 were there already" in export().out
    assert "9 maps written" in export("--overwrite").out
    (tmp_path / "out" / "export.json").write_text("[]")
    assert export().code == 2
    shutil.rmtree(tmp_path / "run.zarr")
    shutil.rmtree(tmp_path / "images")
    sample_map_stores.image_store(tmp_path)
    assert export("--overwrite").code == 0
    other = export(store=sample_map_stores.volume_store(_made(tmp_path / "other")).path)
    assert other.code == 2
    assert "another store" in other.err


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_map_that_was_emptied_or_cut_is_written_again(export: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path)
    export()
    good = {path: path.read_bytes() for path in sorted((tmp_path / "out").glob("*.tif"))}
    emptied, cut, *_ = good
    emptied.write_bytes(b"")
    cut.write_bytes(good[cut][:-1])
    assert f"2 maps written, {len(good) - 2} were there already" in export().out
    assert {path: path.read_bytes() for path in good} == good
    # The record of earlier versions has names only.
    record = tmp_path / "out" / "export.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "files": list(content["files"])}))
    assert f"0 maps written, {len(good)} were there already" in export().out


def test_what_failed_is_listed(export: Call, tmp_path: Path, rows: Call) -> None:
    sample_map_stores.image_store(tmp_path, labels=("1", "1"))
    for chunk in (tmp_path / "run.zarr" / "maps" / "gradcam" / "layer3").glob("c.0*"):
        chunk.unlink()
    outcome = export("--json")
    assert outcome.code == 3
    told = json.loads(outcome.out)
    assert [t["case"] for t in told["troubles"]] == ["a0", "a1"]
    assert len(told["written"]) == 4
    listed = rows(tmp_path / "out" / "failures.csv")
    assert [row["case"] for row in listed] == ["a0", "a1"]


def test_patch_attention(render: Call, export: Call, neck, records, tmp_path: Path) -> None:
    assert render().code == 0
    store = tmp_path / "out" / "run.zarr"
    out = tmp_path / "heat"
    assert export("--root-dir", neck.images, store=store, out=out).code == 0
    record = records[1]
    name = record["patient_name"]
    made = nibabel.Nifti1Image.from_filename(out / f"{name}_attention.nii.gz")
    source = nibabel.Nifti1Image.from_filename(neck.images / f"{name}.nii.gz")
    assert made.shape == source.shape
    assert np.allclose(made.affine, source.affine, atol=1e-5)
    total = np.zeros(made.shape[::-1])
    count = np.zeros(made.shape[::-1])
    for weight, position in zip(record["attention_weights"], record["positions"], strict=True):
        x1, y1, x2, y2 = position["bbox"]
        total[position["slice_idx"], y1:y2, x1:x2] += weight
        count[position["slice_idx"], y1:y2, x1:x2] += 1
    expected = total / np.maximum(count, 1)
    assert np.allclose(np.asarray(made.dataobj).transpose(2, 1, 0), expected, atol=1e-6)
    missing = export(store=store, out=out)
    assert missing.code == 2
    assert "--root-dir" in missing.err


def test_dicom_sources_keep_their_affine(tmp_path: Path) -> None:
    """The store's affine is what counts: a series is written back as one NIfTI on its grid."""
    store = sample_map_stores.volume_store(tmp_path, affine=OBLIQUE)
    shutil.rmtree(tmp_path / "images")  # sources aren't needed
    report = export_maps(store.path, output_dir=tmp_path / "out")
    assert report.exit_code == 0
    made = nibabel.Nifti1Image.from_filename(tmp_path / "out" / report.written[0])
    assert np.allclose(made.affine, OBLIQUE, atol=1e-5)


def test_wrong_usage(export: Call, tmp_path: Path) -> None:
    assert export().code == 2
    sample_map_stores.image_store(tmp_path)
    for options, word in (
        (("--layer", "layer9"), "did you mean"),
        (("--patient", "zz"), "is not among"),
        (("--head", "x"), "--head 'x'"),
    ):
        outcome = export(*options)
        assert outcome.code == 2
        assert word in outcome.err


def test_two_affines_that_differ_are_a_warning(export: Call, tmp_path: Path) -> None:
    """Once a volume, however many maps; the file is written all the same."""
    values = np.random.default_rng(0).random((2, 5, 8, 6), dtype=np.float32)
    sample_map_stores.volume_store(tmp_path, {"gradcam/a": values, "gradcam/b": values})
    path = tmp_path / "images" / "v1.nii.gz"
    image = nibabel.Nifti1Image.from_filename(path)
    image.set_qform(image.affine + np.eye(4, k=3) * 7, 1)
    image.to_filename(path)
    done = export()
    assert done.code == 0, done
    assert done.out.startswith("4 maps written")
    assert done.out.count("its sform and its qform place voxels up to 7 mm apart") == 1
    assert "warning: v1: " in done.out


def test_random_weights_are_told(fastcam: Call, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    sample_map_stores.make_image(tmp_path / "images/a.png", 32, 32, seed=0)
    model = ("--model", "resnet18", "--num-classes", 2, "--image-size", 32)
    made = fastcam("infer", tmp_path / "images", *model, "--output-dir", tmp_path)
    assert made.code == 0, made
    for count in ("1 map written", "0 maps written, 1 were there already"):
        done = fastcam("export", tmp_path / "run.zarr", "--output-dir", tmp_path / "out")
        assert done.out.startswith(f"{count}\nRandom weights: these maps mean nothing.\n")
        assert json.loads((tmp_path / "out/export.json").read_text())["random_weights"] is True


def test_nothing_is_said_of_weights_that_are_known(export: Call, tmp_path: Path) -> None:
    sample_map_stores.image_store(tmp_path)
    assert "Random weights" not in export().out
    assert "random_weights" not in json.loads((tmp_path / "out/export.json").read_text())


def test_ids_that_would_be_one_file_have_their_number(export: Call, tmp_path: Path) -> None:
    """Whichever of them is exported, now or later, its files are its own."""
    sample_map_stores.image_store(tmp_path, ids=("s/x", "a1", "S_x"))
    for chosen in (["--patient", "s/x"], ["--patient", "S_x"], []):
        assert export("--layer", "layer3", "--format", "npy", *chosen).code == 0
    found = {file.name: np.load(file) for file in (tmp_path / "out").glob("*.npy")}
    assert sorted(found) == [
        "001_s_x_gradcam_layer3.npy",
        "002_a1_gradcam_layer3.npy",
        "003_S_x_gradcam_layer3.npy",
    ]
    assert not np.array_equal(*list(found.values())[::2])

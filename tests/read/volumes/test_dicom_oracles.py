"""Generated series of every kind beside SimpleITK and dcm2niix: order, affine, values."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import CaseError
from fastcam.read.volumes.dicom_series import open_series
from fastcam.read.volumes.volumes import open_volume, volume_grid
from fastcam.read.volumes.voxels import LPS_TO_RAS, Volume

from .dicom_files import AXIAL, CORONAL, MR_IMAGE, SAGITTAL, classic, enhanced, item

SETTINGS = settings(deadline=None, max_examples=25)


@st.composite
def planes(draw: st.DrawFn) -> tuple[float, ...]:
    """Axial, coronal, sagittal, each either way up, or oblique."""
    from scipy.spatial.transform import Rotation

    plane = np.array(draw(st.sampled_from([AXIAL, CORONAL, SAGITTAL]))).reshape(2, 3)
    plane = plane * draw(st.sampled_from([[[1], [1]], [[-1], [-1]], [[1], [-1]]]))
    if draw(st.booleans()):
        # Well inside half a right angle, so that the nearest axes stay the same.
        angle = [draw(st.floats(-0.4, 0.4)) for _ in range(3)]
        plane = plane @ Rotation.from_rotvec(angle).as_matrix().T
    return tuple(np.round(plane.reshape(-1), 9).tolist())


@st.composite
def series(draw: st.DrawFn) -> dict[str, Any]:
    """Slices, their heights in any order of files, and how they lie."""
    count = draw(st.integers(2, 9))
    step = draw(st.sampled_from([0.5, 0.625, 1.25, 2.0, 3.3, 7.5]))
    seed = draw(st.integers(0, 2**32 - 1))
    shape = count, draw(st.integers(3, 6)), draw(st.integers(3, 6))
    voxels = np.random.default_rng(seed).integers(-900, 2000, shape).astype(np.int16)
    return {
        "voxels": voxels,
        "heights": [step * z for z in range(count)],
        "plane": draw(planes()),
        "names": draw(st.permutations(range(count))),
    }


def simpleitk(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(voxels (z, y, x), affine to RAS) as SimpleITK reads a series."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), LPS_TO_RAS @ affine


def converted(source: Path, target: Path) -> list[nibabel.Nifti1Image]:
    """What dcm2niix makes of a folder, by file name."""
    target.mkdir(exist_ok=True)
    command = [dcm2niix.bin, "-b", "n", "-z", "n", "-f", "%s_%e_%p", "-o", target, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    images = [nibabel.load(path) for path in sorted(target.glob("*.nii"))]
    assert images, done.stdout + done.stderr
    return images  # type: ignore[return-value]


def on_rows_of(image: nibabel.Nifti1Image, affine: np.ndarray) -> np.ndarray:
    """Values (z, y, x) of a converted volume, whose rows and maybe slices dcm2niix turned over,
    on the grid of ``affine``: by their places alone."""
    to_own = np.linalg.inv(image.affine) @ affine
    whole = np.rint(to_own)
    np.testing.assert_allclose(to_own, whole, atol=5e-3)
    z, y, x = (np.arange(n) for n in reversed(image.shape[:3]))
    grid = np.stack([*np.meshgrid(x, y, z, indexing="ij"), np.ones(image.shape[:3])])
    own = np.rint(np.tensordot(whole, grid, 1)).astype(int)
    return np.asarray(image.dataobj)[own[0], own[1], own[2]].T


def close(volume: Volume, affine: np.ndarray) -> bool:
    return volume.affine is not None and np.allclose(volume.affine, affine, atol=1e-4)


@SETTINGS
@given(series())
def test_a_series_is_that_of_simpleitk(tmp_path_factory, made) -> None:
    folder = tmp_path_factory.mktemp("s")
    classic(folder, **made)
    voxels, affine = simpleitk(folder)
    volume = open_volume(folder)
    assert np.array_equal(volume.voxels, voxels)
    assert np.array_equal(voxels, made["voxels"])
    assert close(volume, affine)
    assert (volume.uneven, volume.warnings) == ("", ())


@SETTINGS
@given(series(), st.booleans())
def test_a_series_is_that_of_dcm2niix(tmp_path_factory, made, of_frames) -> None:
    folder, target = tmp_path_factory.mktemp("s"), tmp_path_factory.mktemp("n")
    if of_frames:
        names = list(made["names"])
        frames = made["voxels"][names]
        heights = [made["heights"][z] for z in names]
        each = [
            {"FrameContentSequence": item(StackID="1", InStackPositionNumber=z + 1)} for z in names
        ]
        enhanced(folder / "e.dcm", frames, heights, plane=made["plane"], each=each)
    else:
        classic(folder, storage=MR_IMAGE, **made)
    volume = open_volume(folder)
    (image,) = converted(folder, target)
    assert volume.affine is not None
    assert np.array_equal(on_rows_of(image, volume.affine), volume.voxels)
    assert np.array_equal(volume.voxels, made["voxels"])
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    np.testing.assert_allclose(image.header.get_zooms()[:3], spacing, rtol=1e-4)


@SETTINGS
@given(series(), st.integers(2, 4), st.booleans(), st.randoms(use_true_random=False))
def test_echoes_are_the_files_of_dcm2niix(tmp_path_factory, made, count, of_frames, random) -> None:
    """Every echo has its own values, files and frames lie in any order."""
    folder, target = tmp_path_factory.mktemp("s"), tmp_path_factory.mktemp("n")
    depth = len(made["voxels"])
    pairs = [(echo, z) for echo in range(count) for z in range(depth)]
    random.shuffle(pairs)
    values = np.stack([made["voxels"][z] + 100 * echo for echo, z in pairs])
    heights = [made["heights"][z] for _, z in pairs]
    times = [2.5 * (echo + 1) for echo, _ in pairs]
    each: list[dict[str, Any]]
    if of_frames:
        each = [{"MREchoSequence": item(EffectiveEchoTime=time)} for time in times]
        enhanced(folder / "e.dcm", values, heights, plane=made["plane"], each=each)
    else:
        each = [
            {"EchoNumbers": echo + 1, "EchoTime": time}
            for (echo, _), time in zip(pairs, times, strict=True)
        ]
        classic(folder, values, heights, plane=made["plane"], each=each, storage=MR_IMAGE)
    with pytest.raises(CaseError, match="--volume"):
        open_volume(folder)
    volumes = open_series(sorted(folder.iterdir())).volumes
    assert len(volumes) == count
    for echo, planned in enumerate(volumes):
        volume = open_volume(folder, volume=planned.name)
        assert np.array_equal(volume.voxels, made["voxels"] + 100 * echo)
        assert f"TE {2.5 * (echo + 1):g} ms" in planned.name
    if not of_frames:  # dcm2niix asks more of enhanced files than these say
        images = converted(folder, target)
        affine = volume_grid(folder, volume="1").affine
        assert affine is not None
        found = [on_rows_of(image, affine) for image in images]
        assert len(found) == count
        for echo in range(count):
            assert any(np.array_equal(values, made["voxels"] + 100 * echo) for values in found)


@SETTINGS
@given(series(), st.data())
def test_a_slice_that_is_missing_is_found(tmp_path_factory, made, data) -> None:
    """Anywhere but at the ends; the step of the others stays what it is."""
    depth = len(made["voxels"]) + 2
    missing = data.draw(st.integers(1, depth - 2))
    step = made["heights"][1]
    present = [z for z in range(depth) if z != missing]
    voxels = np.random.default_rng(0).integers(0, 99, (depth, 4, 4)).astype(np.int16)
    folder = tmp_path_factory.mktemp("s")
    heights = [step * z for z in present]
    classic(folder, voxels[present], heights, plane=made["plane"])
    volume = open_volume(folder)
    assert np.array_equal(volume.voxels, voxels[present])
    if depth > 4:  # of two steps nobody knows which is the usual one
        assert f"between slices {missing - 1} and {missing} " in volume.uneven
    assert volume.uneven
    assert volume.affine is not None
    assert np.linalg.norm(volume.affine[:3, 2]) == pytest.approx(step, rel=1e-6)


@SETTINGS
@given(series(), st.integers(-30, 30))
def test_a_tilted_gantry_is_that_of_its_positions(tmp_path_factory, made, degrees) -> None:
    """Every voxel of the affine lies where its own slice's header puts it."""
    folder = tmp_path_factory.mktemp("s")
    down = np.array(made["plane"][3:])
    shift = np.tan(np.radians(degrees))
    normal = np.cross(made["plane"][:3], down)
    positions = [height * (normal + shift * down) for height in made["heights"]]
    each = [{"ImagePositionPatient": [float(f"{v:.8g}") for v in p]} for p in positions]
    classic(folder, made["voxels"], made["heights"], plane=made["plane"], each=each)
    volume = open_volume(folder)
    assert np.array_equal(volume.voxels, made["voxels"])
    assert volume.affine is not None
    places = (LPS_TO_RAS @ volume.affine)[:3]
    for z, position in enumerate(positions):
        np.testing.assert_allclose(places @ [0, 0, z, 1], position, atol=1e-5)

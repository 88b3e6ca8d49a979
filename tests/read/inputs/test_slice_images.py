"""DICOM and NIfTI slices as images, against pydicom's own functions, Pillow and nibabel."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from fastcam.errors import CaseError, InputError
from fastcam.read.inputs.grey_levels import GreyLevels
from fastcam.read.inputs.images import read_image
from fastcam.read.inputs.slice_images import slice_grid

from ..volumes.dicom_files import classic, dataset, enhanced, item

RNG = np.random.default_rng(7)
MONO1 = {"PhotometricInterpretation": "MONOCHROME1"}


def written(path: Path, pixels: np.ndarray, **tags: Any) -> Path:
    dataset(pixels, **tags).save_as(path)
    return path


def viewed(path: Path) -> np.ndarray:
    """What a viewer shows, (h, w) 0 to 255: pydicom's LUTs, then its own output range to grey."""
    image = dcmread(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantity = apply_modality_lut(image.pixel_array, image)
        if "VOILUTSequence" in image:
            quantity = np.rint(quantity).astype(np.int64)  # pydicom counts in the input's type
        shown = apply_voi_lut(quantity, image).astype(float)
    if "VOILUTSequence" in image:
        low, high = 0.0, 2.0 ** image.VOILUTSequence[0].LUTDescriptor[2] - 1
    else:
        bits, signed = image.BitsStored, image.PixelRepresentation
        low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0, 2.0**bits - 1)
        slope, intercept = image.get("RescaleSlope", 1), image.get("RescaleIntercept", 0)
        low, high = low * slope + intercept, high * slope + intercept
    grey = (shown - low) / (high - low) * 255
    return 255 - grey if image.PhotometricInterpretation == "MONOCHROME1" else grey


@st.composite
def windowed_files(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels of 8, 12 or 16 bits, signed or not, with a rescale and a window or VOI LUT."""
    bits, signed = draw(st.sampled_from([8, 12, 16])), draw(st.booleans())
    kind = np.dtype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = rng.integers(low, high, (6, 7)).astype(kind)
    tags: dict[str, Any] = {
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PhotometricInterpretation": draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
    }
    if draw(st.booleans()):
        tags |= {
            "RescaleSlope": draw(st.sampled_from([0.5, 1, 2])),
            "RescaleIntercept": draw(st.sampled_from([-1024, 0, 3])),
        }
    if draw(st.booleans()):
        tags["WindowCenter"] = draw(st.integers(-500, 2000))
        tags["WindowWidth"] = draw(st.integers(2, 3000))
        tags["VOILUTFunction"] = draw(st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
    else:
        # Tables of 8 bits wrap in pydicom, whose index has the type of their entries.
        depth = draw(st.sampled_from([12, 16]))
        entries = rng.integers(0, 2**depth, draw(st.integers(2, 400))).tolist()
        first = draw(st.integers(0, 300))
        tags["VOILUTSequence"] = [(first, depth, entries)]
    return pixels, tags


def with_lut(tags: dict[str, Any]) -> dict[str, Any]:
    """``tags`` with the table of a VOI LUT as pydicom has it."""
    if "VOILUTSequence" not in tags:
        return tags
    ((first, depth, entries),) = tags["VOILUTSequence"]
    made = item()
    made.add_new("LUTDescriptor", "US", [len(entries), first, depth])
    made.add_new("LUTData", "US", entries)
    return tags | {"VOILUTSequence": [made]}


@settings(max_examples=150, deadline=None)
@given(windowed_files())
def test_grey_is_what_pydicom_shows(
    tmp_path_factory: pytest.TempPathFactory, file: tuple[np.ndarray, dict[str, Any]]
) -> None:
    pixels, tags = file
    if "VOILUTSequence" in tags:  # pydicom's indices wrap round at 16 bits
        quantity = pixels.astype(float) * tags.get("RescaleSlope", 1)
        quantity += tags.get("RescaleIntercept", 0)
        assume(quantity.max() - tags["VOILUTSequence"][0][0] < 2**16)
    path = written(tmp_path_factory.mktemp("d") / "a.dcm", pixels, **with_lut(tags))
    found = read_image(path)
    assert found.shape == (6, 7, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :, 0], viewed(path), atol=0.01)


@settings(max_examples=60, deadline=None)
@given(
    bits=st.sampled_from([8, 12, 16]),
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from(
        [GreyLevels(), GreyLevels(percentiles=(2, 90)), GreyLevels(window_level=(70, 90))]
    ),
)
def test_monochrome1_is_seen_as_its_monochrome2(
    tmp_path_factory: pytest.TempPathFactory, bits: int, seed: int, levels: GreyLevels
) -> None:
    top = 2**bits - 1
    kind = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(seed).integers(0, top + 1, (9, 8)).astype(kind)
    folder = tmp_path_factory.mktemp("m")
    stored = {"BitsStored": bits, "HighBit": bits - 1}
    plain = read_image(written(folder / "2.dcm", pixels, **stored), levels)
    if levels.window_level is not None:
        # The same window on numbers that run the other way.
        levels = GreyLevels(window_level=(top - levels.window_level[0], levels.window_level[1]))
    turned = written(folder / "1.dcm", (top - pixels).astype(kind), **stored, **MONO1)
    np.testing.assert_allclose(read_image(turned, levels), plain, atol=0.01)


def test_8_bits_without_a_window_are_the_picture(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (12, 10), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    found = read_image(written(tmp_path / "p.dcm", pixels))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, read_image(tmp_path / "p.png"))
    inverted = read_image(written(tmp_path / "i.dcm", pixels, **MONO1))
    np.testing.assert_array_equal(inverted[:, :, 0], 255 - pixels)


def test_more_bits_without_a_window_are_spread(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 4096, (40, 30)).astype(np.uint16)
    found = read_image(written(tmp_path / "p.dcm", pixels, BitsStored=12, HighBit=11))
    low, high = np.percentile(pixels, (0.5, 99.5))
    expected = np.clip((pixels - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(found[:, :, 0], expected, atol=0.02)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 16])
def test_colour_is_kept(tmp_path: Path, planar: int, bits: int) -> None:
    colour = RNG.integers(0, 2**bits, (6, 5, 3)).astype(np.uint8 if bits == 8 else np.uint16)
    image = dataset(colour[:, :, 0])
    image.SamplesPerPixel, image.PlanarConfiguration = 3, planar
    image.PhotometricInterpretation = "RGB"
    image.PixelData = (np.moveaxis(colour, 2, 0) if planar else colour).tobytes()
    image.save_as(tmp_path / "c.dcm")
    found = read_image(tmp_path / "c.dcm")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, colour >> (bits - 8))
    with pytest.raises(CaseError, match=r"c\.dcm: is in color, and --window-level"):
        read_image(tmp_path / "c.dcm", GreyLevels(percentiles=(1, 99)))


def test_palettes_are_kept(tmp_path: Path) -> None:
    indices = RNG.integers(0, 4, (6, 5), np.uint8)
    image = dataset(indices, PhotometricInterpretation="PALETTE COLOR")
    tables = RNG.integers(0, 2**16, (3, 4)).astype(np.uint16)
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        image.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [4, 0, 16])
        setattr(image, f"{name}PaletteColorLookupTableData", table.tobytes())
    image.save_as(tmp_path / "p.dcm")
    found = read_image(tmp_path / "p.dcm")
    np.testing.assert_array_equal(found, np.moveaxis(tables[:, indices] >> 8, 0, 2))
    read = dcmread(tmp_path / "p.dcm")
    np.testing.assert_array_equal(found, apply_color_lut(read.pixel_array, read) >> 8)


@pytest.mark.parametrize(
    "levels",
    [GreyLevels(), GreyLevels(percentiles=(0, 100)), GreyLevels(window_level=(100, 1000))],
)
def test_padding_is_black_and_not_counted(tmp_path: Path, levels: GreyLevels) -> None:
    pixels = RNG.integers(100, 200, (20, 20)).astype(np.int16)
    pixels[:10] = -2000
    padded = written(tmp_path / "p.dcm", pixels, PixelPaddingValue=-2000)
    found = read_image(padded, levels)[:, :, 0]
    assert (found[:10] == 0).all()
    alone = read_image(written(tmp_path / "a.dcm", pixels[10:]), levels)[:, :, 0]
    np.testing.assert_allclose(found[10:], alone, atol=0.01)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_window_of_the_users_own(tmp_path: Path, photometric: str) -> None:
    pixels = RNG.integers(-1000, 1000, (8, 8)).astype(np.int16)
    path = written(
        tmp_path / "p.dcm",
        pixels,
        PhotometricInterpretation=photometric,
        RescaleSlope=2,
        RescaleIntercept=-10,
        WindowCenter=1,
        WindowWidth=2,
    )
    found = read_image(path, GreyLevels(window_level=(40, 400)))[:, :, 0]
    expected = np.clip((pixels * 2.0 - 10 + 160) / 400, 0, 1) * 255
    if photometric == "MONOCHROME1":
        expected = 255 - expected
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (7, 1, 5), (1, 7, 5), (7, 5, 1, 1)])
def test_nifti_slices_lie_as_nibabel_has_them(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = RNG.integers(-50, 900, shape).astype(np.int16)
    image = nibabel.Nifti1Image(array, np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header["cal_min"], image.header["cal_max"] = 0, 400
    image.to_filename(tmp_path / "s.nii.gz")
    found = read_image(tmp_path / "s.nii.gz")
    plane = (
        np.asanyarray(nibabel.Nifti1Image.from_filename(tmp_path / "s.nii.gz").dataobj).squeeze().T
    )
    assert found.shape == (*plane.shape, 1)
    np.testing.assert_allclose(found[:, :, 0], np.clip(plane / 400, 0, 1) * 255, atol=0.01)
    grid = slice_grid(tmp_path / "s.nii.gz", (1, *plane.shape))
    assert grid.shape == (1, *plane.shape)


def test_levels_of_pictures(tmp_path: Path) -> None:
    deep = RNG.integers(0, 60000, (9, 9)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "d.png")
    found = read_image(tmp_path / "d.png", GreyLevels(window_level=(30000, 20000)))
    np.testing.assert_allclose(
        found[:, :, 0], np.clip((deep - 20000.0) / 20000, 0, 1) * 255, atol=0.01
    )
    Image.fromarray(np.full((4, 4, 3), 9, np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(CaseError, match="is in color"):
        read_image(tmp_path / "c.png", GreyLevels(percentiles=(1, 99)))


def test_what_is_no_single_slice_is_named(tmp_path: Path) -> None:
    nibabel.Nifti1Image(np.zeros((4, 5, 6)), np.eye(4)).to_filename(tmp_path / "v.nii")
    with pytest.raises(CaseError, match=r"v\.nii: holds 6 slices, and a model of images takes one"):
        read_image(tmp_path / "v.nii")
    enhanced(tmp_path / "e.dcm", np.zeros((3, 4, 4), np.int16), [0, 1, 2])
    with pytest.raises(CaseError, match=r"e\.dcm: holds 3 frames, and a model of images takes one"):
        read_image(tmp_path / "e.dcm")
    report = dataset(np.zeros((4, 4), np.uint8))
    del report.Rows, report.PixelData
    report.save_as(tmp_path / "r.dcm")
    with pytest.raises(CaseError, match=r"r\.dcm: is DICOM, but holds no picture"):
        read_image(tmp_path / "r.dcm")
    (tmp_path / "t.dcm").write_text("text")
    with pytest.raises(CaseError, match=r"t\.dcm: is not a DICOM file"):
        read_image(tmp_path / "t.dcm")
    (tmp_path / "model.py").write_text("text")
    with pytest.raises(CaseError, match=r"model\.py: is not an image: a model of images takes"):
        read_image(tmp_path / "model.py")
    (tmp_path / "p.png").write_text("text")
    with pytest.raises(CaseError, match=r"p\.png: is not a picture that Pillow knows"):
        read_image(tmp_path / "p.png")


def test_files_without_a_suffix(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (6, 6), np.uint8)
    for name in ("IM0001", "1.2.840.10008.77"):
        np.testing.assert_array_equal(read_image(written(tmp_path / name, pixels))[:, :, 0], pixels)


def test_a_slice_of_a_series_lies_in_space(tmp_path: Path) -> None:
    paths = classic(tmp_path, RNG.integers(0, 99, (2, 5, 4)).astype(np.int16), [0, 3])
    grid = slice_grid(paths[1], (1, 5, 4))
    assert grid.affine is not None
    # Row spacing 0.5, column spacing 0.75; LPS to RAS.
    np.testing.assert_allclose(grid.affine[:3, 3], [10, 20, 33])
    np.testing.assert_allclose(np.diag(grid.affine)[:2], [-0.75, -0.5])


def test_two_windows_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="--window-level and --percentiles both"):
        GreyLevels(window_level=(1, 2), percentiles=(1, 2))

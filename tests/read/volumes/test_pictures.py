from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fastcam.errors import CaseError
from fastcam.read.volumes.pictures import pictures_shape, read_pictures

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 17), np.uint8)
SMOOTH = cv2.GaussianBlur(RNG.integers(0, 256, (40, 50, 3), np.uint8), (9, 9), 3)


def _one(path: Path, labels: bool = False) -> np.ndarray:
    voxels = read_pictures([path], labels).voxels
    assert voxels.shape[0] == 1
    assert pictures_shape([path]) == voxels.shape
    return voxels[0]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_grey_is_kept_bit_by_bit(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(GREY).save(tmp_path / f"p{suffix}")
    assert np.array_equal(_one(tmp_path / f"p{suffix}"), GREY)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_stay_16_bits(tmp_path: Path, suffix: str) -> None:
    deep = GREY.astype(np.uint16) * 257
    deep[0, 0] = 40000
    cv2.imwrite(str(tmp_path / f"p{suffix}"), deep)
    result = _one(tmp_path / f"p{suffix}")
    assert result.dtype == np.uint16
    assert np.array_equal(result, deep)


def test_other_depths(tmp_path: Path) -> None:
    big_endian = GREY.astype(">u2") * 257
    Image.frombytes("I;16B", (17, 12), big_endian.tobytes()).save(tmp_path / "b.tif")
    assert np.array_equal(_one(tmp_path / "b.tif"), big_endian)
    assert _one(tmp_path / "b.tif").dtype.isnative
    floats = (GREY / np.float32(7)).astype(np.float32)
    Image.fromarray(floats).save(tmp_path / "f.tif")
    assert np.array_equal(_one(tmp_path / "f.tif"), floats)
    wide = GREY.astype(np.int32) - 100
    Image.fromarray(wide).save(tmp_path / "i.tif")
    assert np.array_equal(_one(tmp_path / "i.tif"), wide)
    bits = GREY > 127
    Image.fromarray(bits).save(tmp_path / "1.png")
    assert np.array_equal(_one(tmp_path / "1.png"), bits * np.uint8(255))


def test_colour_becomes_luma_and_alpha_is_ignored(tmp_path: Path) -> None:
    luma = np.rint(SMOOTH @ np.array([0.299, 0.587, 0.114]))
    Image.fromarray(SMOOTH).save(tmp_path / "rgb.png")
    alpha = np.zeros((40, 50, 1), np.uint8)
    Image.fromarray(np.concatenate([SMOOTH, alpha], axis=2)).save(tmp_path / "rgba.png")
    Image.fromarray(SMOOTH).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "p.png")
    Image.fromarray(SMOOTH).convert("CMYK").save(tmp_path / "cmyk.tif")
    for name, off in (("rgb.png", 1), ("rgba.png", 1), ("cmyk.tif", 2), ("p.png", 25)):
        result = _one(tmp_path / name)
        assert result.dtype == np.uint8
        assert np.abs(result - luma).max() <= off, name
    Image.merge("LA", [Image.fromarray(GREY)] * 2).save(tmp_path / "la.png")
    assert np.array_equal(_one(tmp_path / "la.png"), GREY)


def test_jpeg_is_opencvs_grey(tmp_path: Path) -> None:
    Image.fromarray(SMOOTH).save(tmp_path / "p.jpg", quality=90)
    expected = cv2.imread(str(tmp_path / "p.jpg"), cv2.IMREAD_GRAYSCALE)
    assert np.abs(_one(tmp_path / "p.jpg").astype(int) - expected).max() <= 1


def test_exif_orientation_is_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "p.png", exif=exif)
    assert np.array_equal(_one(tmp_path / "p.png"), GREY)


def test_label_pictures_with_palettes(tmp_path: Path) -> None:
    picture = Image.fromarray((np.arange(12) % 4).astype(np.uint8).reshape(3, 4)).convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 224, 224, 192])
    picture.save(tmp_path / "p.png")
    assert _one(tmp_path / "p.png", labels=True).tolist() == [[0, 1, 1, 1]] * 3
    grey = Image.fromarray(np.array([[0, 1, 255]], np.uint8)).convert("P")
    grey.save(tmp_path / "g.png")
    assert _one(tmp_path / "g.png", labels=True).tolist() == [[0, 1, 255]]


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    pages = RNG.integers(0, 256, (5, 12, 17), np.uint8)
    images = [Image.fromarray(page) for page in pages]
    for compression in (None, "tiff_lzw"):
        path = tmp_path / "p.tif"
        images[0].save(path, save_all=True, append_images=images[1:], compression=compression)
        assert np.array_equal(read_pictures([path]).voxels, pages)
        assert pictures_shape([path]) == (5, 12, 17)
    images[2] = Image.fromarray(pages[2, :, :9].copy())
    images[0].save(path, save_all=True, append_images=images[1:])
    with pytest.raises(CaseError, match=r"p\.tif page 3: is 9x12 pixels, but page 1 is 17x12"):
        read_pictures([path])
    Image.fromarray(pages[0]).save(tmp_path / "q.tif")
    for paths in ([path, tmp_path / "q.tif"], [tmp_path / "q.tif", path]):
        with pytest.raises(CaseError, match=r"p\.tif: has 5 pages"):
            read_pictures(paths)


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for index, path in enumerate(paths):
        Image.fromarray(GREY + np.uint8(index)).save(path)
    voxels = read_pictures(paths).voxels
    assert np.array_equal(voxels, GREY + np.arange(4, dtype=np.uint8)[:, None, None])
    assert pictures_shape(paths) == (4, 12, 17)
    Image.fromarray(GREY.T.copy()).save(paths[2])
    with pytest.raises(CaseError, match=r"2\.png: is 12x17 pixels, but 0\.png is 17x12"):
        read_pictures(paths)


def test_a_deeper_picture_later_in_the_folder_loses_nothing(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "0.png")
    deep = GREY.astype(np.uint16) * 200
    cv2.imwrite(str(tmp_path / "1.png"), deep)
    voxels = read_pictures([tmp_path / "0.png", tmp_path / "1.png"]).voxels
    assert np.array_equal(voxels, [GREY, deep])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.9])
def test_truncated_pictures_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"p{suffix}"
    Image.fromarray(RNG.integers(0, 256, (60, 60), np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CaseError, match=rf"p\{suffix}: ") as caught:
        read_pictures([path])
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_bombs_and_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GREY).save(tmp_path / "p.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(CaseError, match=r"p\.png: is too large"):
        read_pictures([tmp_path / "p.png"])
    with pytest.raises(CaseError, match=r"q\.png: can't be read: No such file or directory$"):
        read_pictures([tmp_path / "q.png"])

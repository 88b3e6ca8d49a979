from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastcam.errors import CaseError
from fastcam.read.volumes.arrays import array_shape, read_array

XYZ = np.arange(60, dtype=np.int16).reshape(5, 4, 3)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_both_orders_of_axes_give_one_volume(tmp_path: Path, suffix: str, order: str) -> None:
    save = np.save if suffix == ".npy" else np.savez_compressed
    save(tmp_path / f"xyz{suffix}", np.asarray(XYZ, order=order))
    save(tmp_path / f"zyx{suffix}", np.asarray(XYZ.T, order=order))
    for axes in ("xyz", "zyx"):
        voxels = read_array(tmp_path / f"{axes}{suffix}", axes).voxels
        assert np.array_equal(voxels, XYZ.T)
        assert voxels.flags.c_contiguous
        assert type(voxels) is np.ndarray
        assert array_shape(tmp_path / f"{axes}{suffix}", axes) == (3, 4, 5)


@pytest.mark.parametrize(
    ("stored", "axes", "expected"),
    [
        ((4, 5), "zyx", (1, 4, 5)),
        ((5, 4), "xyz", (1, 4, 5)),
        ((1, 3, 4, 5), "zyx", (3, 4, 5)),
        ((3, 4, 5, 1), "zyx", (3, 4, 5)),
        ((5, 4, 3, 1), "xyz", (3, 4, 5)),
        ((3, 4, 5, 3), "zyx", (3, 4, 5)),
        ((5, 4, 3, 3), "xyz", (3, 4, 5)),
        ((4, 5, 3), "zyx", (4, 5, 3)),
        ((5, 4, 3), "xyz", (3, 4, 5)),
    ],
)
def test_shapes(tmp_path: Path, stored: tuple[int, ...], axes: str, expected: tuple) -> None:
    np.save(tmp_path / "p.npy", np.full(stored, 9, np.uint8))
    voxels = read_array(tmp_path / "p.npy", axes).voxels  # type: ignore[arg-type]
    assert voxels.shape == array_shape(tmp_path / "p.npy", axes) == expected  # type: ignore[arg-type]
    assert (voxels == 9).all()


def test_only_bytes_are_colour(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((4, 5, 3), np.int16))
    assert array_shape(tmp_path / "p.npy", "zyx") == (4, 5, 3)


@pytest.mark.parametrize("stored", [(), (7,), (2, 3, 4, 5), (0, 4, 5), (3, 0, 4)])
def test_no_volume(tmp_path: Path, stored: tuple[int, ...]) -> None:
    np.save(tmp_path / "p.npy", np.zeros(stored))
    for read in (read_array, array_shape):
        with pytest.raises(CaseError, match=r"p\.npy: "):
            read(tmp_path / "p.npy", "zyx")


def test_an_archive_with_several_volumes_lists_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", ct=XYZ, mask=XYZ, spacing=np.ones(3))
    with pytest.raises(CaseError, match=r"ct \(5, 4, 3\), mask \(5, 4, 3\), spacing \(3,\)"):
        read_array(tmp_path / "p.npz", "zyx")
    np.savez(tmp_path / "q.npz", ct=XYZ, spacing=np.ones(3))
    assert np.array_equal(read_array(tmp_path / "q.npz", "zyx").voxels, XYZ)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (marker,)

    array = np.empty((1, 1, 1), object)
    array[0, 0, 0] = Trap()
    np.save(tmp_path / "p.npy", array, allow_pickle=True)
    np.savez(tmp_path / "p.npz", array)
    for name in ("p.npy", "p.npz"):
        with pytest.raises(CaseError, match=name):
            read_array(tmp_path / name, "zyx")
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, XYZ)
    whole = path.read_bytes()
    for damaged in (b"", b"hello", whole[:40], whole[: len(whole) - 30]):
        path.write_bytes(damaged)
        with pytest.raises(CaseError, match=rf"p\{suffix}: ") as caught:
            read_array(path, "zyx")
        assert "\n" not in str(caught.value)
    path.unlink()
    for read in (read_array, array_shape):
        with pytest.raises(CaseError, match=rf"p\{suffix}: "):
            read(path, "zyx")

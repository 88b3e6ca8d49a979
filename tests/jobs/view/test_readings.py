"""What the reading room says of a place: the voxels of nibabel, the values of the store."""

from __future__ import annotations

import numpy as np
import pytest

from fastcam.jobs.view.room import Room
from tests.jobs.view.sample_rooms import loaded, map_room, patch_request, stored
from tests.sample_map_stores import VOLUME

# Axial, coronal and sagittal stacks, some of them upside down.
CODES = ["LPS", "RAS", "LAS", "SRA", "PIR", "ARI", "IPL", "RSA"]


def place(room, reading):
    """nibabel's value, and the millimetres of its affine, at the voxel of a reading."""
    image = loaded(room.runs[0]._images.find(room.table.ids[0]))
    z, y, x = reading["voxel"]
    return image.get_fdata()[x, y, z], (image.affine @ [x, y, z, 1])[:3]


@pytest.mark.parametrize("codes", CODES)
def test_a_voxel_is_nibabels_however_the_volume_lies(tmp_path, codes) -> None:
    room = Room(patch_request(tmp_path, codes=codes))
    for axis in range(3):
        for x, y, index in ((0.0, 0.0, 0), (0.99, 0.99, 2), (0.31, 0.77, 5)):
            reading = room.reading(
                {"axis": str(axis), "slice": str(index), "x": str(x), "y": str(y)}
            )
            value, position = place(room, reading)
            assert reading["image"] == [value]
            np.testing.assert_allclose(reading["position"], position, atol=1e-6)
            assert reading["voxel"][axis] == index


@pytest.mark.parametrize("codes", CODES)
def test_edges_of_pictures_are_the_sides_of_the_patient(tmp_path, codes) -> None:
    """From one edge of a picture to the other the position moves as the letters say."""
    room = Room(patch_request(tmp_path, codes=codes))
    planes = room.case_facts(0)["runs"][0]["planes"]
    towards = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    names = set()
    for axis, plane in planes.items():
        names.add(plane["name"])
        ask = {"axis": axis, "slice": "1"}
        left, right = (room.reading({**ask, "x": x, "y": "0.5"}) for x in ("0.0", "0.99"))
        top, bottom = (room.reading({**ask, "x": "0.5", "y": y}) for y in ("0.0", "0.99"))
        for start, end, letter in ((right, left, 0), (left, right, 1), (bottom, top, 2)):
            moved = np.subtract(end["position"], start["position"])
            ras, sign = towards[plane["letters"][letter]]
            assert np.argmax(np.abs(moved)) == ras
            assert np.sign(moved[ras]) == sign
        wide = np.linalg.norm(np.subtract(right["position"], left["position"]))
        assert wide == pytest.approx(plane["spacing"][1] * (plane["width"] - 1))
        high = np.linalg.norm(np.subtract(bottom["position"], top["position"]))
        assert high == pytest.approx(plane["spacing"][0] * (plane["height"] - 1))
    assert names == {"axial", "coronal", "sagittal"}


def slow_heat(z: int, y: int, x: int) -> float:
    """The patches of ``patch_run``, case 0, written out: mean weight of the boxes over a voxel."""
    patches = [
        (1, (1, 2, 7, 9), 0.2), (3, (3, 4, 12, 11), 0.5), (3, (8, 6, 15, 13), 0.3),
    ]  # fmt: skip
    over = [
        weight for k, (x1, y1, x2, y2), weight in patches
        if k == z and x1 <= x < x2 and y1 <= y < y2
    ]  # fmt: skip
    return sum(over) / len(over) if over else 0.0


@pytest.mark.parametrize("codes", ["LPS", "SRA", "PIR"])
def test_heat_of_patches_is_the_same_in_all_planes(tmp_path, codes) -> None:
    room = Room(patch_request(tmp_path, codes=codes))
    heats = set()
    for axis in range(3):
        plane = room.case_facts(0)["runs"][0]["planes"][str(axis)]
        for index in range(0, plane["depth"], 2):
            for x, y in ((0.1, 0.2), (0.4, 0.5), (0.55, 0.45), (0.7, 0.3), (0.3, 0.6)):
                reading = room.reading(
                    {"axis": str(axis), "slice": str(index), "x": str(x), "y": str(y)}
                )
                expected = slow_heat(*reading["voxel"])
                assert reading["heat"] == pytest.approx(expected, abs=1e-7)
                heats.add(round(expected, 4))
    assert {0.0, 0.5, 0.3} <= heats


def linear(values: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Half-pixel centres, edges repeated, written out."""
    count = values.shape[axis]
    at = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    low = np.floor(at).astype(int)
    share = (at - low).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    high = np.minimum(low + 1, count - 1)
    return np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share


def test_maps_of_volumes_have_the_stores_values(tmp_path) -> None:
    room = map_room(tmp_path)
    store = stored(room)
    whole = store.map("gradcam/features", 0)
    for axis, length in enumerate(VOLUME):
        whole = linear(whole, length, axis)
    for axis in range(3):
        reading = room.reading({"axis": str(axis), "slice": "4", "x": "0.3", "y": "0.7"})
        assert reading["heat"] == pytest.approx(whole[tuple(reading["voxel"])], rel=1e-5)
        assert reading["voxel"][axis] == 4
    raw = store.map("gradcam/features", 0)
    native = room.reading({"slice": "5", "x": "0.0", "y": "0.0"})
    assert native["cell"] == pytest.approx(raw[2, 0, 0], rel=1e-5)

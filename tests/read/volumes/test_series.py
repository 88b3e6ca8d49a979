"""Volumes planned from made-up headers, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import CaseError
from fastcam.read.volumes.series import SeriesImage, choose_volume, plan_series

AXIAL, CORONAL, SAGITTAL = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)


def images(places, planes=None, traits=None, instances=None, uids=None) -> list[SeriesImage]:
    """One image for each z, or (x, y, z), in ``places``."""
    made = []
    for number, place in enumerate(places):
        position = (0.0, 0.0, float(place)) if np.isscalar(place) else tuple(map(float, place))  # type: ignore[arg-type]
        made.append(
            SeriesImage(
                number,
                f"{number}.dcm",
                number + 1 if instances is None else instances[number],
                str(number) if uids is None else uids[number],
                position,  # type: ignore[arg-type]
                AXIAL if planes is None else planes[number],
                {} if traits is None else traits[number],
            )
        )
    return made


def test_slices_are_sorted_by_position_whatever_their_numbers() -> None:
    (volume,), warnings = plan_series(images([6, 0, 8, 2, 4], instances=[1, 2, 3, 4, 5]))
    assert volume.numbers == (1, 3, 4, 0, 2)
    assert volume.step == (0, 0, 2)
    assert (volume.uneven, warnings) == ("", [])


def test_a_gap_is_named_and_never_averaged() -> None:
    (volume,), _ = plan_series(images([0, 2, 4, 12, 14, 16]))
    assert volume.step == (0, 0, 2)
    assert volume.uneven == (
        "its slices are unevenly spaced: a gap of 6 mm between slices 2 and 3 (8 mm from one to the"
        " next), 2 mm elsewhere"
    )


def test_positions_rounded_to_a_tenth_are_even() -> None:
    places = [round(0.625 * index, 1) for index in range(40)]
    (volume,), _ = plan_series(images(places))
    assert volume.uneven == ""
    assert volume.step[2] == pytest.approx(0.625, abs=0.002)


def test_a_tilted_gantry_is_even_and_sheared() -> None:
    (volume,), _ = plan_series(images([(0, 0.5 * k, 2 * k) for k in range(5)]))
    assert (volume.step, volume.uneven) == ((0, 0.5, 2), "")


def test_slices_shifted_in_their_plane() -> None:
    (volume,), _ = plan_series(images([(0, 0, 0), (0, 3, 2), (0, 0, 4), (0, 3, 6)]))
    assert "uneven" in volume.uneven or "shifted" in volume.uneven


def test_planes_are_volumes_of_their_own() -> None:
    volumes, _ = plan_series(images([0, 1, 2], planes=[AXIAL, CORONAL, SAGITTAL]))
    assert [v.name for v in volumes] == ["axial", "coronal", "sagittal"]
    with pytest.raises(CaseError, match=r"3 volumes, 1: axial \(1 image\); 2: coronal .*--volume"):
        choose_volume(volumes, None, "folder")


def test_phases_that_no_header_tells_apart() -> None:
    volumes, _ = plan_series(images([0, 2, 4, 6, 0, 2, 4, 6]))
    assert [(v.name, v.numbers) for v in volumes] == [
        ("phase 1", (0, 1, 2, 3)),
        ("phase 2", (4, 5, 6, 7)),
    ]


@pytest.mark.parametrize(
    "traits",
    [
        [{"echo": "1"}, {"echo": "2"}],
        [{"echo": "1", "b-value": "0"}, {"echo": "1", "b-value": "1000"}],
    ],
)
def test_the_first_trait_that_tells_volumes_apart_names_them(traits) -> None:
    made = images([0, 0, 2, 2, 4, 4], traits=traits * 3)
    volumes, _ = plan_series(made)
    trait = "echo" if len(traits[0]) == 1 else "b-value"
    assert [v.name for v in volumes] == [f"{trait} {t[trait]}" for t in traits]
    assert [v.numbers for v in volumes] == [(0, 2, 4), (1, 3, 5)]
    assert choose_volume(volumes, f"{trait} {traits[1][trait]}", "f").numbers == (1, 3, 5)
    assert choose_volume(volumes, "2", "f").numbers == (1, 3, 5)


def test_two_traits_together() -> None:
    traits = [{"echo": str(e), "time": str(t)} for e in (1, 2) for t in (1, 2)]
    volumes, _ = plan_series(images([0] * 4 + [2] * 4, traits=traits * 2))
    assert [v.name for v in volumes][:2] == ["echo 1, time 1", "echo 1, time 2"]
    assert all(len(v.numbers) == 2 for v in volumes)


def test_overlapping_acquisitions() -> None:
    """Two runs of the table that share one place: not one volume of uneven steps."""
    traits = [{"acquisition": "1"}] * 3 + [{"acquisition": "2"}] * 3
    volumes, _ = plan_series(images([0, 2, 4, 4, 6, 8], traits=traits))
    assert [v.listed for v in volumes] == ["acquisition 1 (3 images)", "acquisition 2 (3 images)"]


def test_copies_of_a_file_are_left_out() -> None:
    (volume,), warnings = plan_series(
        images([0, 2, 2, 4], uids=["a", "b", "b", "c"], instances=[1, 2, 2, 3])
    )
    assert volume.numbers == (0, 1, 3)
    assert warnings == ["images that are copies of others are left out, 1, such as 2.dcm of 1.dcm"]


def test_without_positions_the_numbers_count() -> None:
    made = [SeriesImage(n, f"{n}", i, f"{n}", None, None) for n, i in enumerate([3, 1, 2])]
    (volume,), warnings = plan_series(made)
    assert (volume.numbers, volume.step, warnings) == ((1, 2, 0), None, [])


@pytest.mark.parametrize(
    ("wanted", "words"), [("3", "there are 2"), ("x", "no volumes"), ("phase", "several volumes")]
)
def test_a_volume_that_is_not_there(wanted: str, words: str) -> None:
    volumes, _ = plan_series(images([0, 2, 0, 2]))
    with pytest.raises(CaseError, match=words):
        choose_volume(volumes, wanted, "folder")


@settings(deadline=None)
@given(
    st.permutations(range(9)),
    st.floats(0.3, 7),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
)
def test_any_order_of_any_direction_is_one_even_volume(order, step, turn) -> None:
    import scipy.spatial.transform as transform

    rotation = transform.Rotation.from_rotvec(turn).as_matrix()
    plane = tuple(np.concatenate([rotation[:, 0], rotation[:, 1]]))
    places = [tuple(rotation[:, 2] * step * k) for k in order]
    (volume,), _ = plan_series(images(places, planes=[plane] * 9))
    assert [order[n] for n in volume.numbers] == list(range(9))
    assert np.allclose(volume.step, rotation[:, 2] * step)  # type: ignore[arg-type]

"""What tells volumes at the same places apart, and what they are called after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.sequence import Sequence

from fastcam.errors import CaseError
from fastcam.read.volumes.volumes import open_volume, volume_shape

from .dicom_files import MR_IMAGE, classic, enhanced, item


def numbered(values: list[int]) -> np.ndarray:
    """Slices of 8x8 that hold their number."""
    return np.ones((len(values), 8, 8), np.int16) * np.array(values, np.int16)[:, None, None]


def middle(volume: Any) -> list[int]:
    return volume.voxels[:, 4, 4].tolist()


ECHOES = [{"EchoNumbers": n, "EchoTime": t} for n, t in ((1, 2.46), (2, 4.92))]
B_VALUES = [
    {"DiffusionBValue": 0.0},
    {"DiffusionBValue": 1000.0, "DiffusionGradientOrientation": [1.0, 0.0, 0.0]},
    {"DiffusionBValue": 1000.0, "DiffusionGradientOrientation": [0.0, 1.0, 0.0]},
]


@pytest.mark.parametrize(
    ("traits", "names"),
    [
        (ECHOES, ["echo 1 (TE 2.46 ms)", "echo 2 (TE 4.92 ms)"]),
        ([{"EchoTime": 2.46}, {"EchoTime": 4.92}], ["echo TE 2.46 ms", "echo TE 4.92 ms"]),
        ([{"DiffusionBValue": b} for b in (50.0, 1000.0)], ["b 50", "b 1000"]),
        (
            B_VALUES,
            [
                "diffusion b 0",
                "diffusion b 1000 along (0, 1, 0)",
                "diffusion b 1000 along (1, 0, 0)",
            ],
        ),
        (
            [{"TemporalPositionIdentifier": n} for n in (1, 2, 3)],
            ["time point 1", "time point 2", "time point 3"],
        ),
        (
            [{"TriggerTime": t} for t in (0.0, 120.5)],
            ["trigger time 0 ms", "trigger time 120.5 ms"],
        ),
        (
            [{"InversionTime": t} for t in (100.0, 2000.0)],
            ["inversion time 100 ms", "inversion time 2000 ms"],
        ),
        ([{"AcquisitionNumber": n} for n in (1, 2)], ["acquisition 1", "acquisition 2"]),
        (
            [{"ImageType": ["ORIGINAL", "PRIMARY", kind]} for kind in ("M", "P")],
            ["image type ORIGINAL/PRIMARY/M", "image type ORIGINAL/PRIMARY/P"],
        ),
        (
            [{"AcquisitionTime": t} for t in ("101500.5", "101530")],
            ["acquisition time 10:15:00.5", "acquisition time 10:15:30"],
        ),
        (
            [{"ContentTime": t} for t in ("101500", "101530")],
            ["content time 10:15:00", "content time 10:15:30"],
        ),
    ],
)
def test_what_tells_volumes_apart_is_their_name(
    tmp_path: Path, traits: list[dict[str, Any]], names: list[str]
) -> None:
    """File after file, place by place, so that their order says nothing."""
    count, heights = len(traits), [0.0, 2.0, 4.0]
    values = [10 * t + z for z in range(3) for t in range(count)]
    each = [traits[t] for _ in range(3) for t in range(count)]
    places = [height for height in heights for _ in range(count)]
    classic(tmp_path / "s", numbered(values), places, each=each, storage=MR_IMAGE)
    with pytest.raises(CaseError) as caught:
        open_volume(tmp_path / "s")
    listed = [f"{n}: {name} (3 images)" for n, name in enumerate(names, start=1)]
    assert "; ".join(listed) in str(caught.value)
    found = {tuple(middle(open_volume(tmp_path / "s", volume=name))) for name in names}
    assert found == {tuple(10 * t + z for z in range(3)) for t in range(count)}


FRAME_TRAITS: list[tuple[list[dict[str, Any]], list[str]]] = [
    (
        [{"MREchoSequence": item(EffectiveEchoTime=t)} for t in (2.46, 4.92)],
        ["echo TE 2.46 ms", "echo TE 4.92 ms"],
    ),
    (
        [{"FrameContentSequence": item(TemporalPositionIndex=n)} for n in (1, 2)],
        ["time point 1", "time point 2"],
    ),
    (
        [
            {
                "MRDiffusionSequence": item(
                    DiffusionBValue=b,
                    DiffusionGradientDirectionSequence=item(DiffusionGradientOrientation=d),
                )
            }
            for b, d in ((0.0, [0.0, 0.0, 0.0]), (800.0, [0.0, 0.0, 1.0]), (800.0, [1.0, 0.0, 0.0]))
        ],
        [
            "diffusion b 0 along (0, 0, 0)",
            "diffusion b 800 along (0, 0, 1)",
            "diffusion b 800 along (1, 0, 0)",
        ],
    ),
    (
        [
            {"CardiacSynchronizationSequence": item(NominalCardiacTriggerDelayTime=t)}
            for t in (0.0, 55.0)
        ],
        ["trigger time 0 ms", "trigger time 55 ms"],
    ),
    (
        [{"FrameContentSequence": item(StackID=name)} for name in "12"],
        ["stack 1", "stack 2"],
    ),
    (
        [{"FrameContentSequence": item(DimensionIndexValues=[1, n])} for n in (1, 2)],
        ["index of phase contrast 1", "index of phase contrast 2"],
    ),
]


@pytest.mark.parametrize(("traits", "names"), FRAME_TRAITS)
def test_what_tells_frames_apart_is_their_name(
    tmp_path: Path, traits: list[dict[str, Any]], names: list[str]
) -> None:
    count = len(traits)
    values = [10 * t + z for z in (2, 0, 1) for t in range(count)]
    each = [traits[t] for _ in range(3) for t in range(count)]
    heights = [2.0 * z for z in (2, 0, 1) for _ in range(count)]
    dimensions = [item(DimensionIndexPointer=tag) for tag in (0x00209057, 0x00189014)]
    path = tmp_path / "s" / "e.dcm"
    sequence = Sequence(dimensions)
    enhanced(path, numbered(values), heights, each=each, DimensionIndexSequence=sequence)
    for number, name in enumerate(names):
        volume = open_volume(path, volume=name)
        assert len({value // 10 for value in middle(volume)}) == 1
        assert [value % 10 for value in middle(volume)] == [0, 1, 2]
        assert np.array_equal(open_volume(path, volume=str(number + 1)).voxels, volume.voxels)
        assert volume_shape(path, volume=name) == (3, 8, 8)

"""Wrong frames are noticed by the patches' mask_ratio, counted here on crops cut by hand."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.jobs.render.patches.frame_choice import FrameChoice, choose_frame
from fastcam.jobs.render.patches.frame_fit import evidence_of, fit_of
from fastcam.options import Axes, Sources
from fastcam.read.results.results import read_results
from fastcam.read.volumes.masks import Mask
from fastcam.read.volumes.sources import SourceIndex
from fastcam.store.patches import create_from_results

Call = Callable[..., Any]
Records = list[dict[str, Any]]
DEPTH, HEIGHT, WIDTH = 12, 70, 90
PATCH = 12


def blobs(rng: np.random.Generator) -> np.ndarray:
    """A mask (z, y, x) of a few rectangles, another one on each slice."""
    mask = np.zeros((DEPTH, HEIGHT, WIDTH), np.uint8)
    for layer in mask:
        for _ in range(3):
            y, x = rng.integers(8, 30), rng.integers(12, 50)
            layer[y : y + rng.integers(9, 30), x : x + rng.integers(9, 34)] = 1
    return mask


def framed(layer: np.ndarray, side: int | None) -> np.ndarray:
    """The mask in its frame: as it is, or what lies around it in the middle of a black square."""
    if side is None:
        return layer
    rows, columns = np.flatnonzero(layer.any(1)), np.flatnonzero(layer.any(0))
    part = layer[rows[0] : rows[-1], columns[0] : columns[-1]]
    crop = np.zeros((side, side), np.uint8)
    top, left = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
    crop[top : top + part.shape[0], left : left + part.shape[1]] = part
    return crop


def record(name: str, mask: np.ndarray, side: int | None, axes: str, first: int) -> dict[str, Any]:
    """A case whose patches lie on a grid of the frame, at least a tenth inside the mask."""
    positions = []
    for index in range(len(mask) - 2 * first):
        layer = mask[first + index].T if axes == "xyz" else mask[first + index]
        picture = framed(layer, side)
        for y in range(0, picture.shape[0] - PATCH + 1, 6):
            for x in range(0, picture.shape[1] - PATCH + 1, 6):
                ratio = picture[y : y + PATCH, x : x + PATCH].mean()
                if ratio > 0.1:
                    box = (x, y, x + PATCH, y + PATCH)
                    positions.append({"bbox": box, "slice_idx": index, "mask_ratio": ratio})
    weights = np.full(len(positions), 1 / len(positions), np.float32)
    return {
        "patient_name": name,
        "true_label": 0,
        "predicted_label": 0,
        "prob_class_0": 0.75,
        "prob_class_1": 0.25,
        "confidence": 0.75,
        "is_correct": True,
        "num_patches": len(positions),
        "attention_weights": weights,
        "positions": positions,
    }


class MadeSet:
    """Three cases with their masks as NIfTI, and results in one frame."""

    def __init__(self, folder: Path, frame: str = "image", axes: str = "zyx", first: int = 0):
        self.folder, rng = folder, np.random.default_rng(3)
        side = None if frame == "image" else int(frame.partition(":")[2])
        self.records: Records = []
        for name in ("a", "b", "c"):
            mask = blobs(rng)
            volume = rng.integers(0, 200, mask.shape).astype(np.int16)
            for kind, array in (("images", volume), ("masks", mask)):
                (folder / kind).mkdir(parents=True, exist_ok=True)
                image = nibabel.Nifti1Image(array.transpose(2, 1, 0), np.diag([1.0, 1.0, 2.0, 1.0]))
                nibabel.save(image, folder / kind / f"{name}.nii.gz")
            self.records.append(record(name, mask, side, axes, first))
        self.sources = Sources(folder / "images", folder / "masks")

    @property
    def results(self) -> Path:
        """The records as a file."""
        path = self.folder / "results.pkl"
        path.write_bytes(pickle.dumps(self.records))
        return path

    def choose(self, **options: Any) -> FrameChoice:
        """The frame that a job with these options takes."""
        images, masks = (SourceIndex(self.folder / kind) for kind in ("images", "masks"))
        sources = replace(self.sources, **options)
        return choose_frame(read_results(self.results), (0, 1, 2), images, masks, sources)


FRAMES: list[tuple[str, Axes]] = [
    (frame, axes)
    for frame in ("image", "mask-crop:64", "mask-crop:75", "mask-crop:112")
    for axes in get_args(Axes)
]


@pytest.mark.parametrize(("frame", "axes"), FRAMES)
def test_every_frame(tmp_path: Path, frame: str, axes: Axes) -> None:
    """The right one passes without a word, all others name it, and auto takes it."""
    made = MadeSet(tmp_path, frame, axes)
    right = made.choose(frame=frame, axes=axes)
    assert right == FrameChoice(replace(made.sources, frame=frame, axes=axes))
    for other_frame, other_axes in FRAMES:
        if (other_frame, other_axes) == (frame, axes):
            continue
        with pytest.raises(InputError) as refused:
            made.choose(frame=other_frame, axes=other_axes)
        said = str(refused.value)
        assert f"with --frame {other_frame} --axes {other_axes} --slices all (0." in said
        assert f"; --frame {frame} --axes {axes} --slices all fits (off by 0.00)" in said
        assert said.endswith(": give that, or --frame auto")
        assert "\n" not in said
    for start in ("zyx", "xyz"):
        found = made.choose(frame="auto", axes=start)
        assert found.sources == right.sources
        assert f"took --frame {frame} --axes {axes} --slices all" in found.note


def test_slices_counted_from_the_middle(tmp_path: Path) -> None:
    made = MadeSet(tmp_path, "mask-crop:64", first=2)
    assert made.choose(frame="mask-crop:64", slices="middle:8").warning == ""
    for wrong in ("all", "middle:10"):
        with pytest.raises(
            InputError, match=r"; --frame mask-crop:64 --axes zyx --slices middle:8"
        ):
            made.choose(frame="mask-crop:64", slices=wrong)


@pytest.mark.parametrize("gone", ["mask_ratio", "masks", "few"])
def test_nothing_is_claimed_without_evidence(tmp_path: Path, gone: str) -> None:
    made = MadeSet(tmp_path, "mask-crop:64")
    for one in made.records:
        for position in one["positions"][3 if gone == "few" else 0 :]:
            if gone != "masks":
                del position["mask_ratio"]
    if gone == "masks":
        for path in (tmp_path / "masks").iterdir():
            path.rename(path.with_name(f"not_{path.name}"))
    assert made.choose() == FrameChoice(made.sources)
    with pytest.raises(InputError, match="no case has both: give --frame image or mask-crop"):
        made.choose(frame="auto")


def test_a_run_store_tells_the_same(tmp_path: Path) -> None:
    made = MadeSet(tmp_path, "mask-crop:64")
    store = create_from_results(tmp_path / "run.zarr", read_results(made.results))
    images, masks = (SourceIndex(tmp_path / kind) for kind in ("images", "masks"))
    with pytest.raises(InputError, match="mask-crop:64 --axes zyx --slices all fits"):
        choose_frame(store, (0, 1, 2), images, masks, made.sources)


@settings(deadline=None, max_examples=60)
@given(
    boxes=st.lists(
        st.tuples(*[st.integers(-20, 60)] * 2, *[st.integers(1, 40)] * 2), min_size=4, max_size=9
    ),
    seed=st.integers(0, 99),
    transposed=st.booleans(),
)
def test_shares_beside_a_count_pixel_by_pixel(
    boxes: list[tuple[int, ...]], seed: int, transposed: bool
) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((1, 30, 40)) < 0.5
    layer = mask[0].T if transposed else mask[0]
    expected = []
    for x, y, wide, high in boxes:
        inside = [
            bool(layer[row, column])
            for row in range(y, y + high)
            for column in range(x, x + wide)
            if 0 <= row < layer.shape[0] and 0 <= column < layer.shape[1]
        ]
        expected.append(sum(inside) / (wide * high))
    ratios = rng.random(len(boxes)).astype(np.float32)
    evidence = replace(
        FIRST,
        boxes=np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], np.int32),
        slices=np.zeros(len(boxes), np.int32),
        ratios=ratios,
        last=0,
        open_mask=lambda axes: (Mask(mask), 1),
    )
    found = fit_of(evidence, Sources(axes="xyz" if transposed else "zyx"))
    assert found is not None
    assert found.measured == pytest.approx(np.mean(expected))
    assert found.distance == pytest.approx(np.mean(np.abs(np.array(expected) - ratios)), abs=1e-6)


@pytest.fixture(scope="module", autouse=True)
def _first(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Evidence to be replaced bit by bit."""
    global FIRST
    case = read_results(MadeSet(tmp_path_factory.mktemp("first")).results).cases[0]
    FIRST = evidence_of(case, lambda axes: (Mask(np.ones((1, 1, 1), bool)), 1))


FIRST: Any = None


def run(render: Call, made: MadeSet, *options: object) -> Any:
    """``fastcam render`` of a made set."""
    folder = made.folder
    return render(
        *options, results=made.results, root_dir=folder / "images", mask_dir=folder / "masks"
    )


def test_nothing_is_drawn_in_a_wrong_frame(
    render: Call, tmp_path: Path, pictures: Call, same: Call
) -> None:
    made, out = MadeSet(tmp_path / "set", "mask-crop:64"), tmp_path / "out"
    outcome = run(render, made, "--mode", "all_slices")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith(f"fastcam: {made.results}: the share of mask in a box with")
    assert "--frame mask-crop:64 --axes zyx --slices all fits" in outcome.err
    assert not out.exists()
    told = run(render, made, "--frame", "auto")
    assert told.code == 0
    assert "--frame auto took --frame mask-crop:64 --axes zyx --slices all" in told.out
    drawn = pictures(out)
    assert len(drawn) == 3
    again = run(render, made, "--frame", "mask-crop:64")  # the same job
    assert (again.code, "3 were there already" in again.out) == (0, True)
    found = json.loads(run(render, made, "--frame", "auto", "--json").out)
    assert found["notes"][0].startswith("--frame auto took")
    anew = run(render, made, "--frame", "mask-crop:64", "--overwrite")
    assert anew.code == 0
    assert same(pictures(out), drawn)


def test_one_case_in_another_frame_fails_alone(render: Call, tmp_path: Path, rows: Call) -> None:
    made, other = MadeSet(tmp_path / "set"), MadeSet(tmp_path / "other", "mask-crop:64")
    made.records[1] = other.records[1]
    outcome = run(render, made, "--analyze-stats")
    assert outcome.code == 3
    (failure,) = rows(tmp_path / "out" / "failures.csv")
    assert (failure["case"], failure["level"]) == ("b", "error")
    assert failure["reason"].endswith(
        "; --frame mask-crop:64 --axes zyx --slices all fits (off by 0.00)"
    )
    drawn = sorted(path.name[:5] for path in (tmp_path / "out").glob("0*.png"))
    assert drawn == ["001_a", "003_c"]
    # Its share inside the mask is the stored one, not one that is measured in the wrong frame.
    cases = json.loads((tmp_path / "out" / "statistics.json").read_text())["cases"]
    stored = np.mean([p["mask_ratio"] for p in made.records[1]["positions"]])
    assert cases[1]["inside_mask"] == pytest.approx(stored, abs=1e-5)


def test_ratios_of_another_meaning_are_a_warning(render: Call, tmp_path: Path, rows: Call) -> None:
    made = MadeSet(tmp_path / "set")
    rng = np.random.default_rng(0)
    for one in made.records:
        for position in one["positions"]:
            position["mask_ratio"] = rng.random()
    outcome = run(render, made)
    assert outcome.code == 0
    (warning,) = rows(tmp_path / "out" / "failures.csv")
    assert (warning["case"], warning["level"]) == ("results.pkl", "warning")
    assert "no other frame fits: check that the mask is the one the model had" in warning["reason"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_boxes_that_stick_out_are_counted(render: Call, tmp_path: Path, rows: Call) -> None:
    made = MadeSet(tmp_path / "set")
    for number, box in enumerate(((-3, 0, 9, 12), (80, 4, 92, 16), (4, 65, 16, 77))):
        made.records[0]["positions"][number]["bbox"] = box
    outcome = run(render, made)
    assert outcome.code == 0
    count = len(made.records[0]["positions"])
    (warning,) = rows(tmp_path / "out" / "failures.csv")
    assert (warning["case"], warning["level"]) == ("a", "warning")
    assert warning["reason"] == (
        f"3 of {count} boxes stick out of the 90x70 pixels of --frame image --axes zyx; what "
        "sticks out is not drawn"
    )

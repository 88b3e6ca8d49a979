"""Volumes and masks through the patch-attention model into the store that render reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fastcam
from fastcam.attribution.patch_maps import run_case
from fastcam.errors import InputError
from fastcam.jobs.render.patches.job import PatchSource
from fastcam.jobs.render.request import RenderRequest
from fastcam.models.patch_attention.network import PatchAttention, build
from fastcam.models.training import save_weights
from fastcam.options import Selection, Sources, Style
from fastcam.read.volumes.masks import open_mask
from fastcam.read.volumes.volumes import open_volume
from fastcam.run.folder import RunFolder
from fastcam.store.patches import RunStore

from ...stored_volumes import save_masks, save_turned

NAMES = ("p1", "p2", "p3")


@pytest.fixture
def model() -> PatchAttention:
    torch.manual_seed(0)
    return build().eval()


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for index, name in enumerate(NAMES):
        voxels = rng.integers(0, 255, (4, 64, 80), dtype=np.uint8)
        mask = np.zeros_like(voxels)
        mask[1:3, 10 : 40 + index, 20:60] = 255
        np.save(tmp_path / "set" / "images" / f"{name}.npy", voxels)
        np.save(tmp_path / "set" / "masks" / f"{name}.npy", mask)
    (tmp_path / "set" / "labels.csv").write_text(
        "image,label\n" + "".join(f"{name}.npy,{i % 2}\n" for i, name in enumerate(NAMES))
    )
    return tmp_path / "set"


def run(model: PatchAttention, volumes: Path, output: Path, **options: Any) -> Any:
    given = {"mask_dir": volumes / "masks", "table": volumes / "labels.csv"}
    return fastcam.infer(model, volumes / "images", output, **{**given, **options})


def test_the_store_holds_what_the_model_says(
    model: PatchAttention, volumes: Path, tmp_path: Path
) -> None:
    report = run(model, volumes, tmp_path / "out")
    assert (report.done, report.failed, report.exit_code) == (3, 0, 0)
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    assert isinstance(store, RunStore)
    for index, name in enumerate(NAMES):
        volume = open_volume(volumes / "images" / f"{name}.npy")
        mask = open_mask(volumes / "masks" / f"{name}.npy", volume.grid)
        wanted = run_case(model, volume.voxels, volume.window, mask.inside)
        case = store.case(index)
        assert (case.name, case.place, case.true_label) == (name, index + 1, index % 2)
        assert case.correct == (wanted.prediction == index % 2)
        assert np.array_equal(case.weights, wanted.weights)
        assert np.array_equal(case.boxes, wanted.boxes)
        np.testing.assert_allclose(case.probabilities, wanted.probabilities)
    assert not (tmp_path / "out" / ".cases").exists()


def test_the_store_is_drawn(model: PatchAttention, volumes: Path, tmp_path: Path) -> None:
    run(model, volumes, tmp_path / "out")
    report = fastcam.render(
        tmp_path / "out" / "run.zarr",
        root_dir=volumes / "images",
        mask_dir=volumes / "masks",
        output_dir=tmp_path / "fig",
        workers=1,
    )
    assert (report.drawn, report.failed) == (3, 0)


def test_without_labels_nobody_says_right_or_wrong(
    model: PatchAttention, volumes: Path, tmp_path: Path
) -> None:
    run(model, volumes, tmp_path / "out", table=None)
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    assert isinstance(store, RunStore)
    assert {(h.true_label, h.correct) for h in store.cases} == {(None, None)}
    report = fastcam.render(
        tmp_path / "out" / "run.zarr",
        root_dir=volumes / "images",
        output_dir=tmp_path / "fig",
        workers=1,
        mode="all_slices",
        analyze_stats=True,
    )
    assert report.failed == 0
    summary = (tmp_path / "fig" / "001_p1" / "_summary.txt").read_text()
    assert "not known" in summary
    assert '"right"' in (tmp_path / "fig" / "statistics.json").read_text()


def test_a_bad_case_costs_only_itself(model: PatchAttention, volumes: Path, tmp_path: Path) -> None:
    np.save(volumes / "masks" / "p2.npy", np.zeros((4, 64, 80), np.uint8))
    report = run(model, volumes, tmp_path / "out")
    assert (report.done, report.failed, report.exit_code) == (2, 1, 3)
    assert "p2" in (tmp_path / "out" / "failures.csv").read_text()
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    assert isinstance(store, RunStore)
    assert [(h.name, h.place) for h in store.cases] == [("p1", 1), ("p3", 3)]
    assert [r.name for r in store.rejected] == ["p2"]


class HalfWay:
    """Stops the run after four cases."""

    def __init__(self) -> None:
        self.left = 4

    def note(self, text: str) -> None: ...
    def begin(self, what: str, total: int) -> None: ...
    def end(self) -> None: ...

    def advance(self, count: int) -> None:
        self.left -= count
        if not self.left:
            raise KeyboardInterrupt


class Stopping:
    def note(self, text: str) -> None: ...
    def begin(self, what: str, total: int) -> None: ...
    def end(self) -> None: ...

    def advance(self, count: int) -> None:
        raise KeyboardInterrupt


def test_finished_cases_are_kept(model: PatchAttention, volumes: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(model, volumes, tmp_path / "a", progress=Stopping())
    assert not (tmp_path / "a" / "run.zarr").exists()
    report = run(model, volumes, tmp_path / "a")
    assert (report.already, report.done) == (1, 2)
    run(model, volumes, tmp_path / "b")
    one, other = (fastcam.open_store(tmp_path / name / "run.zarr") for name in "ab")
    for index in range(3):
        assert np.array_equal(one.case(index).weights, other.case(index).weights)
        assert one.cases[index] == other.cases[index]
    assert run(model, volumes, tmp_path / "a").already == 3


def weights(folder: Path) -> list[Any]:
    store = fastcam.open_store(folder / "run.zarr")
    return [store.case(index).weights for index in range(len(store.cases))]


def shrink_mask(volumes: Path, name: str) -> None:
    mask = np.load(volumes / "masks" / f"{name}.npy")
    mask[:, :25] = 0
    np.save(volumes / "masks" / f"{name}.npy", mask)


def test_a_case_whose_mask_changed_is_run_again(
    model: PatchAttention, volumes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(model, volumes, out)
    before = weights(out)
    shrink_mask(volumes, "p2")
    os.utime(volumes / "images" / "p1.npy")
    assert run(model, volumes, out, trust_inputs=True).already == 3
    report = run(model, volumes, out)
    assert (report.done, report.already) == (1, 2)
    assert report.notes == ["1 input changed: run again (--trust-inputs keeps the maps)"]
    run(model, volumes, tmp_path / "fresh")
    after, fresh = weights(out), weights(tmp_path / "fresh")
    assert all(map(np.array_equal, after, fresh))
    assert [np.array_equal(*pair) for pair in zip(before, after, strict=True)] == [
        True,
        False,
        True,
    ]
    report = run(model, volumes, out)
    assert (report.done, report.already, report.notes) == (0, 3, [])


def test_a_mask_that_comes_later_and_a_label_that_was_corrected(
    model: PatchAttention, volumes: Path, tmp_path: Path
) -> None:
    late = volumes / "masks" / "p2.npy"
    late.rename(tmp_path / "p2.npy")
    report = run(model, volumes, tmp_path / "out")
    assert (report.done, report.failed) == (2, 1)
    (tmp_path / "p2.npy").rename(late)
    labels = volumes / "labels.csv"
    labels.write_text(labels.read_text().replace("p3.npy,0", "p3.npy,1"))
    report = run(model, volumes, tmp_path / "out")
    assert (report.done, report.already, report.failed) == (2, 1, 0)
    assert report.notes == ["2 inputs have another mask or label than before: run again"]
    run(model, volumes, tmp_path / "fresh")
    for ours, theirs in zip(weights(tmp_path / "out"), weights(tmp_path / "fresh"), strict=True):
        assert np.array_equal(ours, theirs)
    store = fastcam.open_store(tmp_path / "out" / "run.zarr")
    assert [case.true_label for case in store.cases] == [0, 1, 1]
    report = run(model, volumes, tmp_path / "out")
    assert (report.done, report.already, report.notes) == (0, 3, [])


def test_a_stopped_run_again_with_a_changed_volume(
    model: PatchAttention, volumes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(model, volumes, out)
    shrink_mask(volumes, "p3")
    # Stopped while it runs the changed case again, and changed once more before it goes on.
    with pytest.raises(KeyboardInterrupt):
        run(model, volumes, out, progress=Stopping())
    shrink_mask(volumes, "p1")
    report = run(model, volumes, out)
    assert (report.done, report.already) == (2, 1)
    run(model, volumes, tmp_path / "fresh")
    assert all(map(np.array_equal, weights(out), weights(tmp_path / "fresh")))


def test_a_bad_volume_that_was_mended_is_run(
    model: PatchAttention, volumes: Path, tmp_path: Path
) -> None:
    path, out = volumes / "images" / "p2.npy", tmp_path / "out"
    good = path.read_bytes()
    path.write_bytes(b"no array")
    assert run(model, volumes, out).failed == 1
    path.write_bytes(good)
    report = run(model, volumes, out)
    assert (report.done, report.already, report.failed) == (1, 2, 0)
    assert len(fastcam.open_store(out / "run.zarr").cases) == 3


def test_another_model_is_another_run(model: PatchAttention, volumes: Path, tmp_path: Path) -> None:
    run(model, volumes, tmp_path / "out")
    torch.manual_seed(1)
    with pytest.raises(InputError, match="made with other volumes, weights or settings"):
        run(build().eval(), volumes, tmp_path / "out")


def test_masks_are_needed(model: PatchAttention, volumes: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give mask_dir"):
        run(model, volumes, tmp_path / "out", mask_dir=None)
    with pytest.raises(InputError, match="leave out method"):
        run(model, volumes, tmp_path / "out", method="gradcam")


def test_labels_are_whole_numbers(model: PatchAttention, volumes: Path, tmp_path: Path) -> None:
    shutil.copy(volumes / "labels.csv", volumes / "words.csv")
    (volumes / "words.csv").write_text("image,label\np1.npy,benign\n")
    with pytest.raises(InputError, match="its label is 'benign'"):
        run(model, volumes, tmp_path / "out", table=volumes / "words.csv")


def test_by_name_with_a_checkpoint(model: PatchAttention, volumes: Path, tmp_path: Path) -> None:
    save_weights(model, tmp_path / "m.safetensors")
    report = fastcam.infer(
        "patch_attention",
        volumes / "images",
        tmp_path / "out",
        mask_dir=volumes / "masks",
        checkpoint=tmp_path / "m.safetensors",
    )
    assert report.done == 3


def test_a_mask_on_another_grid_gives_the_same_patches(
    model: PatchAttention, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros((80, 64, 4), np.uint8)
    mask[20:60, 10:43, 1:3] = 1
    affine = np.diag([0.7, 0.7, 3.0, 1.0])
    names = save_masks(tmp_path / "masks", mask, affine)
    voxels = rng.integers(0, 255, mask.shape).astype(np.int16)
    (tmp_path / "images").mkdir()
    for name in names:
        save_turned(tmp_path / "images" / f"{name}.nii.gz", voxels, affine, "RAS")
    out, masks = tmp_path / "out", tmp_path / "masks"
    with pytest.raises(KeyboardInterrupt):  # what was said of a case outlives a stop
        fastcam.infer(model, tmp_path / "images", out, progress=HalfWay(), mask_dir=masks)
    report = fastcam.infer(model, tmp_path / "images", out, mask_dir=masks)
    again = fastcam.infer(model, tmp_path / "images", out, mask_dir=masks)
    for told in (report, again):
        assert (told.exit_code, told.failed) == (3, 1)
        levels = {(failure.level, failure.case) for failure in told.failures}
        assert levels == {("error", "away"), ("warning", "halves")}
    text = (out / "failures.csv").read_text()
    assert text.count("nearest voxel") == 1
    store = fastcam.open_store(out / "run.zarr")
    assert isinstance(store, RunStore)
    cases = {header.name: store.case(index) for index, header in enumerate(store.cases)}
    assert cases.keys() == {"same", "flipped", "permuted", "halves"}
    for case in cases.values():
        assert np.array_equal(case.weights, cases["same"].weights)
        assert np.array_equal(case.boxes, cases["same"].boxes)
    drawn = fastcam.render(
        out / "run.zarr",
        root_dir=tmp_path / "images",
        mask_dir=tmp_path / "masks",
        output_dir=tmp_path / "fig",
        workers=1,
        panel_size=64,
    )
    warned = [failure.case for failure in drawn.failures if failure.level == "warning"]
    assert warned == ["halves"]


@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_random_weights_are_in_the_store_and_on_the_page_and_the_same_every_time(
    volumes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("patch_attention", volumes, out).exit_code == 0  # type: ignore[arg-type]
    store = fastcam.open_store(out / "run.zarr")
    assert isinstance(store, RunStore)
    assert store.attrs.source == "patch_attention (random weights)"
    again = run("patch_attention", volumes, out)  # type: ignore[arg-type]
    assert (again.already, again.exit_code) == (3, 0)
    request = RenderRequest(
        results=out / "run.zarr",
        output_dir=tmp_path / "figures",
        sources=Sources(volumes / "images", volumes / "masks"),
        style=Style(panel_size=64),
        selection=Selection(),
    )
    source = PatchSource.of(request).read()
    with RunFolder(tmp_path / "figures", source.fingerprint, False, False) as folder:
        plan = source.import_into(folder).plan(())
        task = plan.draw.args[0]  # type: ignore[attr-defined]
        figure = task.open(plan.figures.cases[0]).figure(plan.figures.cases[0].slices[0])
    assert figure.sheet.note.startswith("Random weights")

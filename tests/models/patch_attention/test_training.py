"""Training: the loss falls, the seed decides, the script reads a table and writes a checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fastcam.errors import CaseError, InputError, OutputError
from fastcam.models.checkpoints import load_into, read_state_dict
from fastcam.models.patch_attention.network import build
from fastcam.models.patch_attention.training import (
    LabelledCase,
    TrainSettings,
    main,
    read_cases,
    train,
)
from fastcam.models.training import save_weights

from ...stored_volumes import save_masks, save_turned


def dotted(count: int) -> list[LabelledCase]:
    """Noise; every other case has a bright dot in one of its six patches."""
    cases = []
    for index in range(count):
        rng = np.random.default_rng(index)
        patches = rng.uniform(0.3, 0.5, (6, 1, 24, 24)).astype(np.float32)
        if index % 2:
            patches[rng.integers(6), 0, 8:14, 8:14] = 1.0
        cases.append(LabelledCase(str(index), patches, index % 2))
    return cases


def test_the_loss_falls_and_the_attention_finds_the_dot() -> None:
    cases, epochs = dotted(16), []
    model, history = train(
        cases,
        TrainSettings(epochs=12, patches=6),
        lambda number, epoch: epochs.append((number, epoch)),
    )
    assert epochs == list(enumerate(history, start=1))
    assert history[-1].loss < 0.3 * history[0].loss
    assert history[-1].accuracy == 1.0
    assert not model.training
    for case in dotted(24)[16:]:
        with torch.no_grad():
            logits, weights = model(torch.from_numpy(case.patches))
        assert int(logits.argmax()) == case.label
        if case.label:
            assert int(weights.argmax()) == int(case.patches.max(axis=(1, 2, 3)).argmax())


def test_the_seed_decides_and_nothing_outside_changes() -> None:
    cases = dotted(4)
    kept = [case.patches.copy() for case in cases]
    before = torch.random.get_rng_state()
    first, same, other = (
        train(cases, TrainSettings(epochs=2, seed=seed))[0].state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(np.array_equal(a, case.patches) for a, case in zip(kept, cases, strict=True))


@pytest.mark.parametrize(
    ("labels", "words"), [([], "0 cases"), ([1, 1], r"labels \[1\]"), ([-1, 0], "label -1")]
)
def test_labels_that_cannot_be_learnt(labels: list[int], words: str) -> None:
    given = [LabelledCase("a", np.zeros((1, 1, 24, 24), np.float32), label) for label in labels]
    with pytest.raises(InputError, match=words):
        train(given)


@pytest.mark.parametrize("bad", ["epochs", "cases_per_step", "patches", "learning_rate"])
def test_settings_are_checked(bad: str) -> None:
    with pytest.raises(InputError, match=bad):
        TrainSettings(**{bad: 0})


def write_set(folder: Path, table: str = "id,label\na,0\nb,1\n") -> dict[str, Path]:
    made = {"root_dir": folder / "images", "mask_dir": folder / "masks"}
    for place in made.values():
        place.mkdir()
    mask = np.zeros((2, 40, 40), np.uint8)
    mask[:, 5:35, 5:35] = 1
    for name in "ab":
        rng = np.random.default_rng(ord(name))
        np.save(made["root_dir"] / f"{name}.npy", rng.normal(size=(2, 40, 40)).astype(np.float32))
        np.save(made["mask_dir"] / f"{name}_mask.npy", mask)
    (folder / "labels.csv").write_text(table)
    return {**made, "table": folder / "labels.csv"}


def test_cases_are_read_from_files(tmp_path: Path) -> None:
    cases = read_cases(**write_set(tmp_path))
    assert [(case.name, case.label) for case in cases] == [("a", 0), ("b", 1)]
    assert cases[0].patches.shape == (cases[0].patches.shape[0], 1, 24, 24)
    assert 0.0 == cases[0].patches.min() < cases[0].patches.max() == 1.0


def test_a_mask_on_another_grid_gives_the_same_patches(tmp_path: Path) -> None:
    mask = np.zeros((40, 44, 3), np.uint8)
    mask[3:35, 8:38, :2] = 1
    affine = np.diag([0.7, 0.7, 3.0, 1.0])
    names = save_masks(tmp_path / "masks", mask, affine)[:-1]
    voxels = np.random.default_rng(0).integers(0, 99, mask.shape).astype(np.int16)
    (tmp_path / "images").mkdir()
    for name in names:
        save_turned(tmp_path / "images" / f"{name}.nii.gz", voxels, affine, "RAS")
    rows = "".join(f"{name},{number % 2}\n" for number, name in enumerate(names))
    (tmp_path / "t.csv").write_text("id,label\n" + rows)
    cases = read_cases(tmp_path / "images", tmp_path / "masks", tmp_path / "t.csv")
    assert all(np.array_equal(case.patches, cases[0].patches) for case in cases)
    assert [len(case.warnings) for case in cases] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "header"),
        ("id,kind\na,1\n", "columns id and label"),
        ("id,label\na,0\nb,benign\n", "row 3.*'benign'"),
        ("id,label\n,0\n", "row 2"),
        ("id,label\na\n", "row 2"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_cases(**write_set(tmp_path, table))


def test_a_case_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"case 'c'.*no image"):
        read_cases(**write_set(tmp_path, "id,label\nc,0\n"))
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"missing\.csv"):
        read_cases(tmp_path / "images", tmp_path / "masks", tmp_path / "missing.csv")


def test_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made: dict[str, Any] = write_set(tmp_path)
    output = tmp_path / "model.safetensors"
    main(**made, output=output, epochs=1)
    assert "epoch   1  loss" in capsys.readouterr().out
    state = read_state_dict(output)
    assert load_into(build(state), state, str(output)).complete


def test_the_script_from_the_command_line(tmp_path: Path) -> None:
    made = write_set(tmp_path, "id,label\nc,0\n")
    command = [sys.executable, "-m", "fastcam.models.patch_attention.training"]
    options = [f"--{key.replace('_', '-')}={path}" for key, path in made.items()]
    done = subprocess.run(
        [*command, *options, "--output", str(tmp_path / "x")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("fastcam: case 'c'")
    assert done.stderr.count("\n") == 1


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="doesn't exist"):
        save_weights(build(), tmp_path / "none" / "model.safetensors")

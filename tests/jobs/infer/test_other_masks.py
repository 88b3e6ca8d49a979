"""Masks and labels that come, go or change after a run: its maps are kept unless they are made of
them, and the store says what is true now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fastcam.api.infer import infer
from fastcam.errors import InputError
from fastcam.jobs.infer import store_of_run
from fastcam.store.maps import MapStore
from tests.jobs.infer.test_changed_inputs import MAP, Counting, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for index in range(5):
        write(tmp_path / "images", index, index)
    add_mask(tmp_path, 0)
    add_table(tmp_path, ["0", "1", "2", "0", "1"])
    return tmp_path


def add_mask(folder: Path, index: int) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[: 4 + index, :8] = 255
    Image.fromarray(mask).save(folder / "masks" / f"im{index}.png")


def add_table(folder: Path, labels: list[str]) -> None:
    lines = [f"im{index}.png,{label}" for index, label in enumerate(labels)]
    (folder / "table.csv").write_text("image,label\n" + "\n".join(lines), encoding="utf-8")


def run(model: Counting, folder: Path, **options: Any) -> tuple[MapStore, Any]:
    model.count = 0
    report = infer(
        model,
        folder / "images",
        folder / "out",
        method="gradcam",
        layers=["first"],
        batch_size=2,
        workers=0,
        **options,
    )
    return MapStore.open(report.store), report


def model_of(seed: int = 0) -> Counting:
    torch.manual_seed(seed)
    return Counting().eval()


def test_masks_that_come_later_are_noted_and_the_maps_kept(folder: Path) -> None:
    model = model_of()
    store, _ = run(model, folder)
    assert [header.mask_source for header in store.headers] == [None] * 5
    store, report = run(model, folder, mask_dir=folder / "masks")
    assert (model.count, report.already) == (0, 5)
    assert store.headers[0].mask_source == folder / "masks" / "im0.png"
    note = "1 input has another mask than before: noted in the store, maps are kept"
    assert note in report.notes
    add_mask(folder, 3)
    store, report = run(model, folder, mask_dir=folder / "masks")
    assert (model.count, report.notes.count(note)) == (0, 1)
    assert [header.mask_source is not None for header in store.headers] == [
        True, False, False, True, False,
    ]  # fmt: skip
    _, report = run(model, folder, mask_dir=folder / "masks")
    assert not any("another mask" in line for line in report.notes)
    with pytest.raises(InputError, match="other images, weights or settings"):
        run(model_of(1), folder, mask_dir=folder / "masks")


def test_labels_that_were_corrected_are_noted_and_the_maps_kept(folder: Path) -> None:
    model = model_of()
    run(model, folder, table=folder / "table.csv")
    add_table(folder, ["0", "2", "2", "0", "0"])
    store, report = run(model, folder, table=folder / "table.csv")
    assert (model.count, report.already) == (0, 5)
    assert [header.label for header in store.headers] == ["0", "2", "2", "0", "0"]
    note = "2 inputs have another label than before: noted in the store, maps are kept"
    assert note in report.notes


def test_maps_of_labels_are_made_again_also_after_a_kill(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, options = model_of(), {"table": folder / "table.csv", "target": "label"}
    store, _ = run(model, folder, **options)
    before = [store.map(MAP, index) for index in range(5)]
    add_table(folder, ["0", "1", "2", "1", "1"])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("write_identity", "write_masks_and_labels"):
        with monkeypatch.context() as patch:
            patch.setattr(store_of_run, step, killed)
            with pytest.raises(KeyboardInterrupt):
                run(model, folder, **options)
    store, report = run(model, folder, **options)
    assert (report.done, report.already) == (2, 3)
    assert [header.targets.tolist() for header in store.headers] == [[0], [1], [2], [1], [1]]
    same = [np.array_equal(store.map(MAP, index), before[index]) for index in range(5)]
    assert same == [True, True, True, False, True]


def test_maps_of_masks_are_made_again(folder: Path) -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(3, 2, 3, padding=1).eval()
    options: dict[str, Any] = {
        **{"method": "gradcam", "layers": ["0"], "target": ["seg:1@mask"], "image_size": 16},
        **{"batch_size": 2, "workers": 0, "mask_dir": folder / "masks"},
    }
    infer(nn.Sequential(model), folder / "images", folder / "out", **options)
    add_mask(folder, 4)
    (folder / "masks" / "im0.png").unlink()
    report = infer(nn.Sequential(model), folder / "images", folder / "out", **options)
    assert (report.done, report.already) == (3, 2)
    assert report.notes == ["2 inputs have another mask than before: run again"]
    pixels = [header.pixels.tolist() for header in MapStore.open(report.store).headers]
    assert pixels == [[0], [0], [0], [0], [8 * 8]]


def test_the_folder_that_a_run_is_started_in_does_not_matter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of()
    run(model, folder, mask_dir=folder / "masks")
    monkeypatch.chdir(folder)
    report = infer(
        model,
        "images",
        "out",
        mask_dir="masks",
        method="gradcam",
        layers=["first"],
        batch_size=2,
        workers=0,
    )
    assert (report.done, report.already) == (0, 5)

"""Figures of a run that goes on: drawn round by round, and the same as those drawn at the end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.errors import InputError
from fastcam.jobs.render import follow
from tests.jobs.infer.stopping_progress import StoppingProgress
from tests.sample_runs import make_case, make_store

OPTIONS: dict[str, Any] = {
    "method": "gradcam",
    "layers": ["layer"],
    "batch_size": 2,
    "workers": 0,
    "device": "cpu",
}
MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    image_size = 16

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.layer(x)).mean((2, 3)))
"""


class Gated(nn.Module):
    """A convolution and a head; before white images it waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)
        self.image_size = 16
        self.gate = threading.Event()

    def forward(self, x: Tensor) -> Tensor:
        if x.std((2, 3)).max() < 1e-4 and x.max() > 1:
            assert self.gate.wait(120)
        output: Tensor = self.head(torch.relu(self.layer(x)).mean((2, 3)))
        return output


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        if index > 5:
            pixels[:] = 255
        Image.fromarray(pixels).save(folder / f"im{index}.png")
    return folder


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every finished batch is worth a round."""
    monkeypatch.setattr(follow, "_PATIENCE", 0.05)
    monkeypatch.setattr(follow, "_LOOK", 0.02)


@pytest.mark.usefixtures("hasty")
def test_figures_come_before_the_run_has_ended(images: Path, tmp_path: Path) -> None:
    model, run = Gated().eval(), tmp_path / "run"
    errors: list[BaseException] = []

    def infer() -> None:
        try:
            fastcam.infer(model, images, run, **OPTIONS)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    class Rounds:
        """Lets the model go on when the first figures are there."""

        def note(self, text: str) -> None: ...
        def begin(self, what: str, total: int) -> None: ...
        def advance(self, count: int) -> None: ...

        def end(self) -> None:
            early.append(len(pictures(tmp_path / "figures")))
            model.gate.set()

    early: list[int] = []
    thread = threading.Thread(target=infer)
    thread.start()
    try:
        # Written when the first stage begins; the store is there by then.
        while not (run / "progress.json").is_file() and thread.is_alive():
            thread.join(0.02)
        report = fastcam.render(
            run / "run.zarr",
            output_dir=tmp_path / "figures",
            workers=1,
            follow=True,
            progress=Rounds(),
        )
    finally:
        model.gate.set()
        thread.join()
    assert not errors
    assert 0 < early[0] < 10
    assert (report.planned, report.drawn, report.already, report.failed) == (10, 10, 0, 0)
    assert report.exit_code == 0
    fastcam.render(run / "run.zarr", output_dir=tmp_path / "after", workers=1)
    assert pictures(tmp_path / "figures") == pictures(tmp_path / "after")
    assert len(pictures(tmp_path / "after")) == 10


def test_of_a_run_that_was_stopped_what_is_finished_is_drawn(images: Path, tmp_path: Path) -> None:
    model, run, figures = Gated().eval(), tmp_path / "run", tmp_path / "figures"
    model.gate.set()
    with pytest.raises(KeyboardInterrupt):
        fastcam.infer(model, images, run, progress=StoppingProgress(4), **OPTIONS)
    report = fastcam.render(run / "run.zarr", output_dir=figures, workers=1, follow=True)
    assert 0 < report.drawn < 10
    assert report.exit_code == 0
    assert any("was interrupted after" in note for note in report.notes)
    assert len(pictures(figures)) == report.drawn
    # The store has grown since this process opened it.
    fastcam.infer(model, images, run, **OPTIONS)
    again = fastcam.render(run / "run.zarr", output_dir=figures, workers=1)
    assert (again.drawn + again.already, again.failed) == (10, 0)
    assert len(pictures(figures)) == 10


def test_infer_has_its_figures_drawn(images: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(MODEL)
    run, figures = tmp_path / "run", tmp_path / "figures"
    model = f"{tmp_path / 'net.py'}:Net"
    report = fastcam.infer(model, images, run, render=figures, **OPTIONS)
    assert report.notes[-1] == f"figures: {figures}"
    assert len(pictures(figures)) == 10
    # All is done already: the figures are looked after all the same.
    next(figures.glob("*.png")).unlink()
    fastcam.infer(model, images, run, render=figures, **OPTIONS)
    assert len(pictures(figures)) == 10


def test_what_can_not_be_followed_is_one_line(images: Path, tmp_path: Path) -> None:
    model, run = Gated().eval(), tmp_path / "run"
    model.gate.set()
    fastcam.infer(model, images, run, **OPTIONS)
    options: dict[str, Any] = {"output_dir": tmp_path / "figures", "workers": 1, "follow": True}
    with pytest.raises(InputError, match="scale cohort: the limits of all cases are known when"):
        fastcam.render(run / "run.zarr", scale="cohort", **options)
    store = make_store(tmp_path, make_case(1, "a", [0]), name="patches.zarr")
    with pytest.raises(InputError, match="holds patch attention"):
        fastcam.render(store.path, root_dir=images, **options)
    (run / "progress.json").unlink()
    with pytest.raises(InputError, match=r"has no progress\.json"):
        fastcam.render(run / "run.zarr", **options)
    assert not (tmp_path / "figures").exists()

"""A map in the room is called by the output that it explains, as figures call it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import fastcam
from fastcam.jobs.view.open_runs import open_runs
from fastcam.jobs.view.request import ViewRequest
from fastcam.options import Style
from tests.noise_pictures import save_noise


class Net(nn.Sequential):
    def __init__(self, dense: bool) -> None:
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1)]
        pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers, *([] if dense else pooled))


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        ([0, 2], ["Stable", "Unstable"]),
        ([1, 3], ["B", "3"]),
        (["seg:1", "seg:2@all"], ["seg:1", "seg:2@all"]),
    ],
)
def test_maps_are_called_by_their_outputs(
    tmp_path: Path, targets: list[int | str], names: list[str]
) -> None:
    images = save_noise(tmp_path / "images", "01", seed=3)
    dense = str(targets[0]).startswith("seg")
    report = fastcam.infer(
        Net(dense), images, tmp_path / "out", method="gradcam", layers=["1"], target=targets,
        image_size=16,
    )  # fmt: skip
    (run,) = open_runs(
        ViewRequest(runs=(report.store,), style=Style(class_names=("Stable", "B", "Unstable")))
    )
    assert [facts.name for facts in run.maps] == [f"gradcam · 1 · target {name}" for name in names]

"""``--input`` and ``--output`` of the commands that run a model."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.jobs.analyze.image_store import ImageStore

from ..conftest import Outcome

MODELS = """
import torch
from torch import nn

class Net(nn.Module):
    image_size = 16

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(9, 2)

    def forward(self, image, prior, age):
        found = [torch.relu(self.features(x)).mean((2, 3)) for x in (image, prior)]
        joined = torch.cat([*found, age[:, None] / 100], 1)
        return {"embedding": joined, "scores": self.head(joined)}

class Pair(nn.Module):
    image_size = 16

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        found = torch.relu(self.features(x)).mean((2, 3))
        return found, self.head(found)
"""
INPUTS = ("--input", "image=scan", "--input", "prior=old", "--input", "age=age")
SMALL = ("--panel-size", 64)
Run = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(MODELS)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    lines = ["id,scan,old,age,label"]
    for at in range(4):
        for name in ("new", "old"):
            pixels = rng.integers(0, 256, (18, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"images/{name}{at}.png")
        lines.append(
            f"p{at},images/new{at}.png,images/old{at}.png,{'' if at == 2 else at},{at % 2}"
        )
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return tmp_path


def test_infer_then_render(fastcam: Run, folder: Path) -> None:
    model = ("--model", f"{folder}/nets.py:Net", "--output-dir", folder / "out")
    done = fastcam("infer", folder / "t.csv", *model, *INPUTS, "--output", "scores")
    assert done.code == 3, done
    assert "error: p2: row 4: age is empty, which is not a number" in done.out
    drawn = fastcam(
        "render", folder / "out/run.zarr", "--output-dir", folder / "f", *SMALL, "--workers", 1
    )
    assert drawn.code == 3, drawn
    with (folder / "f/figures.csv").open() as file:
        (first, *_) = csv.DictReader(file)
    limits = json.loads(first["limits"])
    assert [name.split(" · ")[1:3] for name in limits] == [
        ["features#0", "image"],
        ["features#1", "prior"],
    ]


def test_explain(fastcam: Run, folder: Path) -> None:
    model = ("--model", f"{folder}/nets.py:Net", "--output-dir", folder / "out", *SMALL)
    done = fastcam("explain", folder / "t.csv", *model, *INPUTS, "--output", "scores")
    assert done.code == 3, done
    assert (folder / "out/p1/p1_explained.png").exists()
    assert not (folder / "out/p2").exists()


def test_evaluate(fastcam: Run, folder: Path) -> None:
    done = fastcam(
        f"evaluate --model {folder}/nets.py:Net --image-dir {folder} --table {folder}/t.csv "
        f"--output-dir {folder}/out --target label --output scores --readers 0 --workers 1 "
        "--faithfulness --faithfulness-images 1",
        *INPUTS,
        *SMALL,
    )
    assert done.code == 3, done
    assert done.out.startswith("3 images evaluated: label, classification\n")
    assert len(json.loads((folder / "out/faithfulness.json").read_text())["ids"]) == 1


@pytest.mark.parametrize(
    ("command", "images"),
    [
        ("infer", ("images",)),
        ("explain", ("images",)),
        ("analyze", ("--images", "images")),
        ("evaluate", ("--image-dir", "images", "--table", "answers.csv", "--target", "label")),
    ],
)
def test_the_answer_is_asked_for_and_taken(
    command: str, images: tuple[str, ...], fastcam: Run, folder: Path
) -> None:
    rows = [f"{name}{at},{at % 2}" for name in ("new", "old") for at in range(4)]
    (folder / "answers.csv").write_text("\n".join(["id,label", *rows]))
    files = [folder / name if "." in name or name == "images" else name for name in images]
    options = [*files, "--model", f"{folder}/nets.py:Pair", "--output-dir", folder / "out"]
    asked = fastcam(command, *options)
    assert asked.code == 2, asked
    assert "0 (2, 4), 1 (2, 2)" in asked.err or "0 (8, 4), 1 (8, 2)" in asked.err
    assert "say which with --output" in asked.err
    taken = fastcam(command, *options, "--output", 1)
    assert taken.code == 0, taken


def test_analyze(fastcam: Run, folder: Path) -> None:
    """The second call of the layer lies over the prior image, and its numbers are in its pixels."""
    for at in range(4):
        Image.new("RGB", (40, 30), (at, 9, 9)).save(folder / f"images/old{at}.png")
    done = fastcam(
        "analyze", "--images", folder / "t.csv", "--model", f"{folder}/nets.py:Net", *INPUTS,
        "--output", "scores", "--output-dir", folder / "out", *SMALL, "--workers", 1,
        "--layer", "features",
    )  # fmt: skip
    assert done.code == 3, done
    found = json.loads((folder / "out/analysis_results.json").read_text())
    assert [image["id"] for image in found["images"]] == ["p0", "p1", "p3"]
    layers = found["images"][0]["layers"]
    assert list(layers) == ["features#0", "features#1"]
    assert all((folder / "out" / layer["overlay_path"]).is_file() for layer in layers.values())
    store = ImageStore(folder / "out/run.zarr")
    assert store.input_name("gradcam/features#0") == "image"
    assert store.input_name("gradcam/features#1") == "prior"
    assert store.size(0, "prior") == (30, 40)
    picture = store.picture(1, "prior").image
    assert (picture == (1, 9, 9)).all()
    done = fastcam(
        "analyze", "--images", folder / "images", "--model", f"{folder}/nets.py:Net",
        "--output-dir", folder / "out2",
    )  # fmt: skip
    assert done.code == 2, done
    assert "--input image=COLUMN" in done.err


@pytest.mark.parametrize("command", ["vit", "inspect"])
def test_commands_for_one_image_say_so(command: str, fastcam: Run, folder: Path) -> None:
    images: dict[str, list[object]] = {"vit": [folder / "images/new0.png"]}
    out: list[object] = [] if command == "inspect" else ["--output-dir", folder / "out"]
    done = fastcam(command, *images.get(command, []), "--model", f"{folder}/nets.py:Net", *out)
    assert done.code == 2, done
    assert (
        "Net.forward takes image, prior, age: this command is for models of one image" in done.err
    )

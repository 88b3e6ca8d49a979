"""What the commands of a campaign work on: a small set of every kind, and one command a job."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import fastcam
from fastcam.demo.neck_set import make_test_set
from tests.campaign.forked import run_forked

# A network of one convolution: what is tried is not the model.
MODEL = """
from torch import nn

def tiny():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
    )
"""
_IMAGE = ["--image-size", 32]
# Files that are there in full or not at all.
_WHOLE = (".png", ".tif", ".npy", ".nii.gz")
# Files of a run that say when it was, or how long it took.
_CLOCKED = ("run.json", "zarr.json", "index.html", "inputs.csv", "run.inputs.csv", "progress.json")


@dataclass(frozen=True)
class Material:
    """The folder of a campaign.

    Attributes:
        folder: everything else is in it.
        results: a results file of three cases.
        volumes: their volumes.
        masks: their masks.
        images: six pictures.
        table: their classes.
        weights: of the model.
        store: a run store of the pictures.
    """

    folder: Path
    results: Path
    volumes: Path
    masks: Path
    images: Path
    table: Path
    weights: Path
    store: Path

    def commands(self) -> dict[str, list[Any]]:
        """A command of each job that writes files, without ``--output-dir``."""
        model = ["--model", f"{self.folder / 'tiny.py'}:tiny", "--checkpoint", self.weights]
        run = [*model, *_IMAGE, "--device", "cpu", "--batch-size", 2]
        sources = ["--root-dir", self.volumes, "--mask-dir", self.masks]
        figures = ["--panel-size", 48, "--workers", 1]
        return {
            "render": ["render", self.results, *sources, "--mode", "all_slices", *figures],
            "infer": ["infer", self.images, *run, "--method", "gradcam", "--workers", 0],
            "evaluate": [
                *("evaluate", "--image-dir", self.images, "--table", self.table, *run),
                *("--readers", 0, *figures),
            ],
            "analyze": ["analyze", "--images", self.images, *run, *figures],
            "explain": ["explain", *sorted(self.images.iterdir())[:2], *run, "--panel-size", 48],
            "export": ["export", self.store],
        }


def make_material(folder: Path) -> Material:
    """Make the inputs in a new folder."""
    folder.mkdir(parents=True)
    data = make_test_set(folder / "neck", cases=3, slices=4, size=96)
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 255, (40, 48, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number:02}.png")
    rows = [f"{number:02},{number % 2}\n" for number in range(6)]
    (folder / "table.csv").write_text("image,class\n" + "".join(rows), encoding="utf-8")
    (folder / "tiny.py").write_text(MODEL, encoding="utf-8")
    torch.manual_seed(0)
    torch.save(fastcam.load_model(f"{folder / 'tiny.py'}:tiny").state_dict(), folder / "tiny.pth")
    material = Material(
        folder=folder,
        results=data.results,
        volumes=data.images,
        masks=data.masks,
        images=images,
        table=folder / "table.csv",
        weights=folder / "tiny.pth",
        store=folder / "maps" / "run.zarr",
    )
    command = [*material.commands()["infer"], "--output-dir", folder / "maps"]
    ended = run_forked(command, folder)
    assert ended.code == 0, ended
    return material


def contents(folder: Path) -> dict[str, str]:
    """A checksum of each file below a folder, by its path; of hidden files, too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def half_written(folder: Path) -> list[str]:
    """Files and folders that should have been renamed or removed."""
    return [str(p) for p in folder.rglob("*") if ".tmp" in p.name or p.name.endswith(".part")]


class Undisturbed:
    """What a command writes when it is left alone, as far as that is the same every time."""

    def __init__(self, command: list[Any], folder: Path) -> None:
        runs = []
        for number in range(2):
            work = folder / f"undisturbed-{number}"
            work.mkdir(parents=True)
            ended = run_forked([*command, "--output-dir", "out"], work)
            assert ended.code == 0, ended
            runs.append(contents(work / "out"))
            shutil.rmtree(work)
        assert runs[0].keys() == runs[1].keys(), set(runs[0]) ^ set(runs[1])
        self.names = set(runs[0])
        # Of those with a clock in them only that they are there: two runs may fall on one second.
        timeless = [name for name in self.names if Path(name).name not in _CLOCKED]
        self.files = {name: runs[0][name] for name in timeless}
        other = [name for name in timeless if runs[1][name] != runs[0][name]]
        assert not other, f"differ from run to run: {other}"

    def spoiled(self, out: Path) -> str:
        """Pictures and maps in the folder of a run that was stopped which are not whole; empty for
        none."""
        bad = [
            name
            for name, text in contents(out).items()
            if name.endswith(_WHOLE) and self.files.get(name, text) != text
        ]
        return f"not whole: {bad[:5]}" if bad else ""

    def difference(self, out: Path) -> str:
        """In what a folder differs from that; empty for nothing."""
        now = contents(out)
        if now.keys() != self.names:
            return f"files missing or in excess: {sorted(self.names ^ now.keys())[:5]}"
        changed = [name for name, text in self.files.items() if now[name] != text]
        return f"contents differ: {changed[:5]}" if changed else ""


def fresh_results(material: Material) -> list[dict[str, Any]]:
    """The results file's content, to be changed."""
    loaded: list[dict[str, Any]] = pickle.loads(material.results.read_bytes())
    return loaded


def numbered_folders(folder: Path) -> Callable[[], Path]:
    """New folders in ``folder``, one after the other."""
    numbers: Iterator[int] = iter(range(1 << 30))

    def make() -> Path:
        path = folder / f"{next(numbers):05}"
        path.mkdir(parents=True)
        return path

    return make

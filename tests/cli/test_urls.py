"""Commands whose inputs and outputs lie in a bucket do what they do with local ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.run.object_journal import journal_text
from fastcam.storage.object_path import ObjectPath
from tests.object_server import SECRET, ObjectServer

_NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
"""
# What says where the run was, and when.
_OWN = ("run.json", "inputs.csv", "progress.json", "run.zarr/zarr.json", "index.html", "page")


@pytest.fixture
def images(tmp_path: Path, bucket: ObjectPath) -> Path:
    """Six pictures, in the folder and in the bucket, below ``in``; and the model's file."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"p {number}.png")
        (bucket / f"in/p {number}.png").write_bytes((folder / f"p {number}.png").read_bytes())
    (tmp_path / "net.py").write_text(_NET)
    return folder


@pytest.fixture
def infer(fastcam: Callable[..., object], tmp_path: Path) -> Callable[..., object]:
    """``fastcam infer`` in this process."""
    return lambda source, out, *options: fastcam(
        "infer --layer 2 --image-size 32 --batch-size 4 --workers 0 --device cpu",
        *("--model", f"{tmp_path}/net.py:net", "--output-dir", out, *options, source),
    )


@pytest.fixture
def draw(fastcam: Callable[..., object]) -> Callable[..., object]:
    """``fastcam render`` in this process."""
    return lambda store, out, *options: fastcam(
        "render --workers 1 --panel-size 64", *("--output-dir", out, *options, store)
    )


def contents(folder: Path) -> dict[str, bytes]:
    if isinstance(folder, ObjectPath):
        return {str(path.relative_to(folder)): path.read_bytes() for path, _ in folder.tree()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def same_but_for_places(one: dict[str, bytes], two: dict[str, bytes], folder: str) -> None:
    assert {name for name in one if ".parts/" not in name} == set(two)
    differing = {name for name in two if one[name] != two[name]}
    assert {n for n in differing if not n.startswith((*_OWN, *(folder + own for own in _OWN)))} <= {
        f"{folder}run.zarr/cases/source/c.0",
        "run.inputs.csv",
    }, differing


def test_a_run_in_a_bucket_is_that_of_a_folder(
    images: Path, bucket: ObjectPath, tmp_path: Path, infer, draw, one_thread
) -> None:
    for source, out in ((images, tmp_path / "out"), (bucket / "in", bucket / "out")):
        outcome = infer(source, out)
        assert outcome.code == 0, outcome
        outcome = draw(out / "run.zarr", out / "figures")
        assert outcome.code == 0, outcome
    local, remote = contents(tmp_path / "out"), contents(bucket / "out")
    same_but_for_places(remote, local, "figures/")
    assert sum(name.endswith(".png") for name in local) == 6
    for content in remote.values():
        assert SECRET.encode() not in content


def test_what_changed_is_drawn_again_and_nothing_else(
    images: Path, bucket: ObjectPath, infer, draw, object_server: ObjectServer
) -> None:
    assert infer(bucket / "in", bucket / "out").code == 0
    figures = bucket / "fig"
    assert draw(bucket / "out/run.zarr", figures).code == 0
    pngs = [path for path, _ in figures.tree() if path.suffix == ".png"]
    before = [path.read_bytes() for path in pngs]

    object_server.requests = []
    assert draw(bucket / "out/run.zarr", figures).code == 0
    assert _put(object_server) == []
    pngs[1].unlink()
    pngs[3].write_bytes(b"other")
    object_server.requests = []
    assert draw(bucket / "out/run.zarr", figures).code == 0
    assert _put(object_server) == [
        pngs[1].name.replace(" ", "%20"),
        pngs[3].name.replace(" ", "%20"),
    ]
    assert [path.read_bytes() for path in pngs] == before
    # An input of other content: that image is run and drawn again, with those of its batch.
    (bucket / "in/p 5.png").write_bytes((images / "p 0.png").read_bytes())
    outcome = infer(bucket / "in", bucket / "out")
    assert "2 images" in outcome.out, outcome
    assert "4 were there already" in outcome.out, outcome
    object_server.requests = []
    assert draw(bucket / "out/run.zarr", figures).code == 0
    assert _put(object_server) == [path.name.replace(" ", "%20") for path in pngs[4:]]


def test_a_results_file_in_a_bucket(neck, bucket: ObjectPath, tmp_path: Path, draw) -> None:
    for path in (neck.results, *neck.images.iterdir(), *neck.masks.iterdir()):
        (bucket / path.relative_to(neck.results.parent)).write_bytes(path.read_bytes())
    for root, out in ((neck.results.parent, tmp_path / "out"), (bucket, bucket / "out")):
        outcome = draw(
            root / "results.pkl",
            out,
            *("--root-dir", root / "images", "--mask-dir", root / "masks", "--mode", "all_slices"),
        )
        assert outcome.code == 0, outcome
    local, remote = contents(tmp_path / "out"), contents(bucket / "out")
    same_but_for_places(remote, local, "")
    assert sum(name.endswith(".png") for name in local) == 12


def test_other_commands(images: Path, bucket: ObjectPath, infer, draw, fastcam) -> None:
    assert infer(bucket / "in", bucket / "out").code == 0
    assert draw(bucket / "out/run.zarr", bucket / "fig").code == 0
    assert "6" in fastcam("status", bucket / "fig").out
    assert "6" in fastcam("inspect", bucket / "out/run.zarr").out
    (bucket / "fig/index.html").unlink()
    assert fastcam("gallery", bucket / "fig").code == 0
    assert (bucket / "fig/index.html").is_file()
    outcome = fastcam("export", bucket / "out/run.zarr", "--output-dir", bucket / "exported")
    assert outcome.code == 0, outcome
    assert len([p for p, _ in (bucket / "exported").tree() if p.suffix in (".tif", ".tiff")]) == 6
    model = ("--model", f"{images.parent}/net.py:net", "--layer", "2", "--image-size", "32")
    outcome = fastcam("explain", bucket / "in/p 0.png", *model, "--output-dir", bucket / "shown")
    assert outcome.code == 0, outcome
    assert [p for p, _ in (bucket / "shown").tree() if p.name.endswith("_explained.png")]


def test_a_bucket_that_vanishes_keeps_what_was_finished(
    images: Path, bucket: ObjectPath, infer, draw, object_server: ObjectServer, rows
) -> None:
    assert infer(bucket / "in", bucket / "out").code == 0
    drawn = []

    def fault(method: str, path: str) -> tuple[int, str] | None:
        if method == "PUT" and path.endswith(".png"):
            drawn.append(path)
        return (404, "NoSuchBucket") if len(drawn) > 3 else None

    object_server.fault = fault
    outcome = draw(bucket / "out/run.zarr", bucket / "fig")
    assert outcome.code in (1, 2), outcome
    assert "there is no such bucket" in outcome.err
    assert "Traceback" not in outcome.err
    object_server.reset()
    outcome = draw(bucket / "out/run.zarr", bucket / "fig")
    assert outcome.code == 0, outcome
    assert len([p for p, _ in (bucket / "fig").tree() if p.suffix == ".png"]) == 6
    assert journal_text(bucket / "fig/figures.csv").count(".png") == 6


def test_a_run_that_is_killed_is_gone_on_with(
    images: Path, bucket: ObjectPath, infer, draw, object_server: ObjectServer
) -> None:
    """By two workers, whose requests wait, as those of a process of its own."""
    assert infer(bucket / "in", bucket / "out").code == 0
    store, figures = bucket / "out/run.zarr", bucket / "fig"
    command = [sys.executable, "-m", "fastcam", "render", str(store), "--output-dir", str(figures)]
    object_server.requests = []
    run = subprocess.Popen([*command, "--workers", "2"], start_new_session=True, stderr=-3)
    object_server.latency = 0.02
    while run.poll() is None and len(_put(object_server)) < 2:
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    object_server.reset()
    outcome = draw(store, figures, "--panel-size", "256")
    assert outcome.code == 0, outcome
    assert len([path for path, _ in figures.tree() if path.suffix == ".png"]) == 6
    listed = journal_text(figures / "figures.csv").splitlines()[1:]
    assert len(set(listed)) == len(listed) == 6
    object_server.requests = []
    assert draw(store, figures, "--panel-size", "256").code == 0
    assert _put(object_server) == []


def _put(server: ObjectServer) -> list[str]:
    """Names of the pictures that were put."""
    paths = [path for method, path in server.requests if method == "PUT"]
    return sorted(path.rsplit("/", 1)[-1] for path in paths if path.endswith(".png"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, "AccessDenied"), "permission denied (AccessDenied"),
        ((400, "ExpiredToken"), "permission denied (ExpiredToken"),
    ],
)
def test_a_bucket_that_can_t_be_written(
    images: Path, bucket: ObjectPath, infer, object_server: ObjectServer, answer, words
) -> None:
    object_server.fault = lambda method, path: answer if method in ("PUT", "POST") else None
    outcome = infer(bucket / "in", bucket / "out")
    assert outcome.code in (1, 2), outcome
    assert words in outcome.err
    said = [line for line in outcome.err.splitlines() if line.startswith("fastcam: ")]
    assert len([line for line in said if "warning" not in line]) == 1, outcome.err
    assert "Traceback" not in outcome.err
    assert SECRET not in outcome.err + outcome.out


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://host/x", "URLs of this kind are not read"),
        ("gs://b/x", "pip install 'fastcam[gcs]'"),
        ("s3://AKIAX:hidden@b/x", "the URL holds credentials"),
        ("s3://no-such-bucket-5e1f/x", "s3://no-such-bucket-5e1f/x"),
    ],
)
def test_urls_that_lead_nowhere(object_server: ObjectServer, fastcam, url, words) -> None:
    outcome = fastcam("render", url, "--output-dir", "out")
    assert outcome.code == 2
    assert words in " ".join(outcome.err.replace("│", " ").split())
    assert "hidden" not in outcome.err + outcome.out
    assert "Traceback" not in outcome.err

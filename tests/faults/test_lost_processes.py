"""Each process of a command killed in turn, as the kernel does it where memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fastcam
from fastcam.demo.neck_set import SyntheticSet, make_test_set
from tests.process_tree import Command, is_alive, kill, orderly, running, wait_until


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> SyntheticSet:
    return make_test_set(tmp_path_factory.mktemp("cases"), cases=4, slices=60, size=96)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``images/`` and the weights that all runs share."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "images").mkdir()
    for seed in range(60):
        pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{seed:02}.png")
    torch.save(fastcam.load_model("resnet18").state_dict(), folder / "weights.pth")
    return folder


def render_arguments(cases: SyntheticSet, out: Path) -> list[object]:
    sources = ["--root-dir", cases.images, "--mode", "all_slices", "--every-slice"]
    return [
        "render",
        cases.results,
        *sources,
        "--workers",
        2,
        "--panel-size",
        64,
        "--output-dir",
        out,
    ]


def infer_arguments(images: Path, out: Path) -> list[object]:
    model = ["--model", "resnet18", "--checkpoint", images / "weights.pth", "--image-size", 64]
    run = ["--method", "gradcam", "--batch-size", 2, "--device", "cpu", "--workers", 1]
    return ["infer", images / "images", *model, *run, "--output-dir", out]


def after(command: Command, files: Callable[[], int], count: int) -> None:
    """Wait until a command has written some files, or has ended."""
    wait_until(lambda: files() >= count or command.process.poll() is not None, 120)


@pytest.mark.parametrize("role", ["worker", "fork server", "resource tracker"])
def test_a_process_of_render_is_replaced_or_ends_it(
    cases: SyntheticSet, tmp_path: Path, role: str
) -> None:
    out = tmp_path / "out"
    with running(*render_arguments(cases, out)) as command:
        after(command, lambda: len(list(out.glob("0*/*.png"))), 3)
        members = command.members()
        lost = [member for member in members if member.role == role]
        for member in lost[:1]:
            kill(member.pid)
        ending = command.finish()
    orderly(ending)
    drawn = len(list(out.glob("0*/*.png")))
    assert drawn == 240 if ending.code == 0 else 3 <= drawn <= 240
    assert ending.code == 0 or role == "fork server"
    wait_until(lambda: not any(is_alive(member.pid) for member in members), 15)


def test_a_reader_of_infer_ends_it_and_the_next_run_goes_on(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    status = out / "run.zarr" / "done" / "status"
    with running(*infer_arguments(images, out)) as command:
        after(command, lambda: len(list(status.glob("c.*"))), 2)
        for member in command.members():
            if member.role == "reader":
                kill(member.pid)
        ending = command.finish()
    orderly(ending, codes=(1,))
    assert "a process that reads images was lost" in ending.err
    with running(*infer_arguments(images, out)) as command:
        orderly(command.finish(), codes=(0,))
    assert len(list(status.glob("c.*"))) == 30


def test_a_run_of_infer_that_was_killed_leaves_no_reader_and_no_lock(
    images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status = out / "run.zarr" / "done" / "status"
    with running(*infer_arguments(images, out)) as command:
        after(command, lambda: len(list(status.glob("c.*"))), 2)
        readers = [member for member in command.members() if member.role == "reader"]
        command.process.kill()
        command.process.wait()
        wait_until(lambda: not any(is_alive(reader.pid) for reader in readers), 2)
        with running(*infer_arguments(images, out)) as again:
            orderly(again.finish(), codes=(0,))
    assert len(list(status.glob("c.*"))) == 30

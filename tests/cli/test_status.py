"""``fastcam status`` and ``--log-file``: a run that another terminal asks about, and its log."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import fastcam as api
from fastcam.demo.neck_set import SyntheticSet
from tests.process_tree import running, wait_until

Call = Callable[..., Any]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d "
# A model that takes its time once it runs.
MODEL = """
import time
import torch
from torch import nn

class Slow(nn.Module):
    image_size = 16

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        time.sleep(0.2)
        return self.layer(x).mean((2, 3))
"""


def test_a_finished_run_and_its_log(fastcam: Call, neck: SyntheticSet, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log.txt"
    log.write_text("of yesterday\n")
    draw = ["render", neck.results, "--root-dir", neck.images, "--output-dir", out]
    outcome = fastcam(*draw, "--workers", 1, "--panel-size", 64, "--log-file", log)
    assert outcome.code == 0
    first, *lines = log.read_text().splitlines()
    assert first == "of yesterday"
    assert all(re.match(TIME, line) for line in lines)
    texts = [re.sub(TIME, "", line) for line in lines]
    assert re.fullmatch(r"fastcam \S+: .*", texts[0])
    assert any(re.match(r"figures: 3/3, ", text) for text in texts)
    assert outcome.out.splitlines()[0] in texts
    assert texts[-1] == "ended with exit code 0"

    shown = fastcam("status", out)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"{out}: fastcam render, finished ")
    assert "figures: 3 of 3 done by this run, 0 left" in shown.out
    record = json.loads(fastcam("status", out, "--json").out)
    assert (record["status"], record["done"], record["failed"]) == ("finished", 3, 0)
    assert api.status(out).status == "finished"


def test_what_is_wrong_is_in_the_log(fastcam: Call, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    outcome = fastcam("render", tmp_path / "none.pkl", "--output-dir", "x", "--log-file", log)
    assert outcome.code == 2
    (error,) = (line for line in log.read_text().splitlines() if " error: " in line)
    assert re.sub(TIME, "", error) == "error: " + outcome.err.strip().removeprefix("fastcam: ")


def test_a_log_in_a_folder_that_is_not_there(fastcam: Call, tmp_path: Path) -> None:
    log = tmp_path / "no" / "log.txt"
    outcome = fastcam("render", "a.pkl", "--output-dir", tmp_path / "x", "--log-file", log)
    assert outcome.code == 2
    assert outcome.err.startswith(f"fastcam: --log-file {log}: can't be written: ")
    outcome = fastcam("render", "a.pkl", "--output-dir", tmp_path / "x", "--log-file", "s3://b/log")
    assert outcome.code == 2
    assert outcome.err.startswith("fastcam: --log-file s3://b/log: lines are added to a log, and ")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_folder_without_a_run(fastcam: Call, tmp_path: Path) -> None:
    outcome = fastcam("status", tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"fastcam: {tmp_path}: has no progress.json; give ")


def test_a_run_that_is_stopped(fastcam: Call, tmp_path: Path) -> None:
    """SIGTERM, which batch systems send, ends a run in order."""
    (tmp_path / "slow.py").write_text(MODEL)
    (tmp_path / "images").mkdir()
    for index in range(40):
        path = tmp_path / "images" / f"{index}.png"
        Image.fromarray(np.full((16, 16, 3), index, np.uint8)).save(path)
    out, log = tmp_path / "out", tmp_path / "log.txt"
    options = ["--layer", "layer", "--batch-size", 1, "--workers", 0, "--device", "cpu"]
    model = ["--model", f"{tmp_path / 'slow.py'}:Slow", "--log-file", log]

    def is_under_way() -> bool:
        return (out / "progress.json").exists() and api.status(out).done > 1

    with running("infer", tmp_path / "images", *model, "--output-dir", out, *options) as command:
        wait_until(is_under_way, 60)
        shown = fastcam("status", out).out
        assert "fastcam infer, running for " in shown
        assert f"(process {command.process.pid} on " in shown
        assert re.search(r"images: \d+ of 40 done by this run, \d+ left, .*/s, \d+ s to go", shown)
        command.process.send_signal(signal.SIGTERM)
        ending = command.finish(60)
    shown = fastcam("status", out).out
    assert ending.code == 130
    assert "fastcam infer, interrupted " in shown
    assert "stopped by Ctrl-C or a signal" in log.read_text().splitlines()[-1]

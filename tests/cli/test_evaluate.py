"""``fastcam evaluate`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..conftest import Outcome

MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    image_size = 16

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(torch.relu(self.features(x)).mean((2, 3)))

def make():
    return Net()
"""


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    (tmp_path / "net.py").write_text(MODEL)
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for at in range(4):
        pixels = rng.integers(0, 256, (18, 18, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/p{at}.png")
    (tmp_path / "t.csv").write_text("id,age,sex\np0,30,f\np1,40,m\np2,x,f\np9,50,m\n")
    command = (
        f"evaluate --model {tmp_path}/net.py:make --image-dir {tmp_path}/images "
        f"--table {tmp_path}/t.csv --output-dir {tmp_path}/out --panel-size 64 --readers 0 "
        "--workers 1"
    )
    return command.split()


def test_numbers_and_what_was_left_out_are_told(
    fastcam: Callable[..., Outcome], given: list[object], tmp_path: Path
) -> None:
    done = fastcam(*given, "--target", "age", "--explain", "all")
    assert done.code == 3, done
    assert done.out.startswith("2 images evaluated: age, regression\n")
    assert "mae" in done.out
    assert f"1 image has no row: see {tmp_path}/out/unmatched.csv" in done.out
    assert "1 row has no image" in done.out
    assert "error: p2: not evaluated: row 4: age is 'x', which is not a number" in done.out
    assert "2 figures:" in done.out


def test_json(fastcam: Callable[..., Outcome], given: list[object]) -> None:
    found = json.loads(fastcam(*given, "--target", "age", "--json").out)
    assert (found["n"], found["exit_code"], found["images_without_row"]) == (2, 3, 1)
    assert set(found["metrics"]["mae"]) == {"value", "low", "high"}
    assert all(Path(path).is_file() for path in found["files"])


def test_mistakes_are_one_line(
    fastcam: Callable[..., Outcome], given: list[object], tmp_path: Path
) -> None:
    for options, words in (
        (["--target", "aeg"], "did you mean 'age'?"),
        (["--target", "age", "--id-column", "sex"], "none of its 4 rows fits an image"),
        (["--target", "sex"], "no true value in column 'sex' can be used: row 2: sex is 'f'"),
        (["--target", "age", "--class-names", "a,,b"], "--class-names 'a,,b': give different"),
    ):
        done = fastcam(*given, *options)
        assert done.code == 2, done
        assert words in done.err
        assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()

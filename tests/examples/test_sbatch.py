"""The batch scripts of examples/, run by bash without a batch system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastcam.demo.neck_set import SyntheticSet

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(script: str, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", str(EXAMPLES / script), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PATH": beside, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("script", ["render.sbatch", "infer.sbatch"])
def test_the_batch_system_reads_its_lines_first(script: str) -> None:
    lines = (EXAMPLES / script).read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    settings = [line for line in lines if line.startswith("#SBATCH --")]
    assert lines[1 : 1 + len(settings)] == settings
    assert any(line.startswith("#SBATCH --time=") for line in settings)


def test_render(neck: SyntheticSet, tmp_path: Path) -> None:
    done = _run("render.sbatch", neck.results, neck.images, neck.masks, "figures", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "figures").glob("*/slice*.png"))) >= 3
    assert not list(tmp_path.glob("dask-*.json"))


def test_infer_resumes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n\ndef build():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),"
        " nn.Flatten(), nn.Linear(4, 2))\n"
    )
    make = "from net import build; import torch; torch.save(build().state_dict(), 'net.pth')"
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)
    for _ in range(2):
        done = _run("infer.sbatch", "net.py:build", "net.pth", "images", "run", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / "figures").glob("001_*.png"))) == 1

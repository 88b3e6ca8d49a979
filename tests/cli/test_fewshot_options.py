"""``--model fewshot_vit`` with its flags, and the methods of mixed attention, as a user types
them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fastcam.models.fewshot.build import FewshotOptions
from fastcam.models.registry import load_model
from fastcam.models.training import save_weights
from fastcam.store.maps import MapStore

Call = Callable[..., Any]
FLAGS = ["--use-mab", "--use-ocab", "--use-drff"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vit_tiny with patches of 8 on 32 pixels: a grid of 4×4, windows of 4 with keys from 6×6."""
    torch.manual_seed(0)
    options = FewshotOptions(
        arch="vit_tiny", patch_size=8, use_mab=True, use_ocab=True, use_drff=True
    )
    with pytest.warns(UserWarning, match="weights are random"):
        model = load_model("fewshot_vit", image_size=32, num_classes=3, fewshot=options)
    path = tmp_path_factory.mktemp("few") / "few.safetensors"
    save_weights(model, path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_infer_and_render(fastcam: Call, weights: Path, image: Path, tmp_path: Path) -> None:
    methods = [text for name in ("window", "channel", "overlap") for text in ("--method", name)]
    made = fastcam(
        f"infer {image} --model fewshot_vit --checkpoint {weights} --output-dir {tmp_path}/out "
        "--workers 0",
        *FLAGS,
        *methods,
    )
    assert made.code == 0, made
    store = MapStore.open(tmp_path / "out" / "run.zarr")
    assert store.map_names == ("window", "channel", "overlap")
    assert store.layer_names("window") == ("mixed.0.window", "mixed.1.window")
    assert store.note("window") == "windows are not comparable with each other"
    assert store.gate_names == ("mixed.0.channel", "mixed.1.channel")
    gate = store.gate("mixed.1.channel", 0)
    assert gate.shape == (192,)
    assert 0 < gate.min() < gate.max() < 1
    drawn = fastcam("render", store.path, "--output-dir", tmp_path / "fig", "--workers", 1)
    assert drawn.code == 0, drawn
    assert len(list((tmp_path / "fig").glob("*.png"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--model fewshot_vit --use-mab --checkpoint WEIGHTS",
            "seems to be trained with --use-mab --use-ocab --use-drff (its keys mixed.*, "
            "overlap.*, fusion.*), but --use-mab was given; use --use-mab --use-ocab --use-drff",
        ),
        (
            f"--model fewshot_vit {' '.join(FLAGS)} --arch vit_small --checkpoint WEIGHTS",
            "use --arch vit_tiny",
        ),
        (
            "--model fewshot_vit --patch-size 16 --checkpoint WEIGHTS",
            "leave --patch-size out",
        ),
        ("--model resnet18 --use-drff", "--use-drff: only --model fewshot_vit has this"),
        (
            "--model fewshot_vit --use-mab --arch vit_tiny --image-size 176",
            "a grid of 11x11 patches can't be cut into windows",
        ),
        (
            "--model fewshot_vit --checkpoint WEIGHTS --method overlap --layer 9",
            "--layer 9: no such module is shown; overlap has, from 0: overlap.attn",
        ),
        (
            "--model resnet18 --method channel --image-size 32",
            "ResNet has no channel gate; looked for a sigmoid of each channel",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weights are random")
def test_mistakes_are_one_line(
    fastcam: Call, weights: Path, image: Path, tmp_path: Path, arguments: str, message: str
) -> None:
    options = arguments.replace("WEIGHTS", str(weights))
    outcome = fastcam(f"explain {image} --output-dir {tmp_path}/out {options}")
    lines = [line for line in outcome.err.splitlines() if line.startswith("fastcam: ")]
    errors = [line for line in lines if "warning" not in line]
    assert (outcome.code, len(errors)) == (2, 1), outcome
    assert message in errors[0]
    assert not (tmp_path / "out").exists()


def test_inspect_takes_the_flags(fastcam: Call, weights: Path) -> None:
    found = fastcam("inspect", "--model", "fewshot_vit", "--checkpoint", weights)
    assert found.code == 0, found
    names = {line.split()[0] for line in found.out.splitlines() if line.strip()}
    assert {"mixed.1.window", "overlap.attn", "fusion"} <= names

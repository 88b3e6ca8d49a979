"""Training of the demo's Vision Transformer: the loss falls, the seed decides, the file loads."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fastcam.demo.shapes_set import ShapesSet, make_shapes
from fastcam.demo.train_vit import ARCHITECTURE, MODEL_NAME, TrainSettings, train
from fastcam.errors import InputError, OutputError
from fastcam.models.registry import load_model
from fastcam.models.training import normalize, save_weights
from fastcam.models.vit import VisionTransformer

# One narrow layer and wide patches, so that a test takes seconds.
TINY = replace(ARCHITECTURE, dim=32, depth=1, patch_size=(16, 16), heads=2)


def test_the_loss_falls_on_pictures_seen_again() -> None:
    numbers: list[int] = []
    asked: list[tuple[int, int]] = []
    same = make_shapes(12, seed=1)

    def pictures(count: int, first: int) -> ShapesSet:
        asked.append((count, first))
        return same

    model, history = train(
        TrainSettings(steps=50, batch=12, learning_rate=3e-3),
        lambda number, _: numbers.append(number),
        TINY,
        pictures,
    )
    assert numbers == list(range(1, 51))
    assert asked == [(12, 12 * at) for at in range(50)]
    assert not model.training
    assert history[-1].loss < 0.3 * history[0].loss
    assert history[-1].accuracy == 1.0


def test_the_seed_decides_and_nothing_outside_changes() -> None:
    before = torch.random.get_rng_state()
    first, same, other = (
        train(TrainSettings(steps=2, batch=6, seed=seed), architecture=TINY)[0].state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("bad", ["steps", "batch", "learning_rate"])
def test_settings_are_checked(bad: str) -> None:
    with pytest.raises(InputError, match=bad):
        TrainSettings(**{bad: 0})


def test_half_precision_on_disk_loads_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.manual_seed(0)
    model = VisionTransformer(ARCHITECTURE).eval()
    save_weights(model, path, torch.float16)
    loaded = load_model(MODEL_NAME, path)
    assert isinstance(loaded, VisionTransformer)
    assert loaded.settings == ARCHITECTURE
    kept = model.state_dict()
    for key, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, kept[key].half().float())
    with pytest.raises(OutputError, match="doesn't exist"):
        save_weights(model, tmp_path / "none" / "model.safetensors")


def test_pictures_as_the_model_takes_them() -> None:
    images = make_shapes(2, seed=2).images
    batch = normalize(images)
    assert batch.shape == (2, 3, 80, 80)
    assert batch.dtype == torch.float32
    red = (images[1, 10, 20, 0] / 255 - 0.485) / 0.229
    assert float(batch[1, 0, 10, 20]) == pytest.approx(red, abs=1e-6)


def test_the_script(tmp_path: Path) -> None:
    output = tmp_path / "model.safetensors"
    command = [sys.executable, "-m", "fastcam.demo.train_vit", "--output", str(output)]
    done = subprocess.run(
        [*command, "--steps", "2", "--batch", "6"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"saved {output}")
    assert load_model(MODEL_NAME, output)
    bad = subprocess.run(
        [*command, "--learning-rate", "0"], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2
    assert bad.stderr == "fastcam: learning_rate 0.0 must be above 0\n"

"""The shipped Vision Transformer: what it is, and that it looks at the object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.demo.shapes_set import make_shapes
from fastcam.demo.train_vit import ARCHITECTURE
from fastcam.demo.vit import WEIGHTS, attention_maps, load_demo_model, run_vit_demo, score_vit
from fastcam.errors import InputError
from fastcam.models.data_config import preprocessing_of
from fastcam.models.training import normalize
from fastcam.models.vit import VisionTransformer
from fastcam.read.inputs.model_input import prepare


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return load_demo_model()


def test_the_file_is_small_and_whole(model: nn.Module) -> None:
    assert WEIGHTS.stat().st_size < 2_000_000
    assert isinstance(model, VisionTransformer)
    assert not model.training
    assert model.settings == ARCHITECTURE
    assert all(value.dtype == torch.float32 for value in model.parameters())


def test_it_is_fed_as_any_other_image_would_be(model: nn.Module) -> None:
    images = make_shapes(2, seed=3).images
    spec = preprocessing_of(model)
    expected = np.stack([prepare(image, spec) for image in images])
    np.testing.assert_allclose(normalize(images).numpy(), expected, atol=1e-6)


def test_peaks_lie_on_the_object(tmp_path: Path) -> None:
    score = run_vit_demo(tmp_path, images=600, shown=0, seed=7)
    assert score.images == 600
    assert score.accuracy >= 0.88
    assert score.rollout_hits >= 0.92
    assert score.attention_hits >= 0.6
    assert score.chance_hits < 0.12
    assert score.brightest_hits < 0.75
    assert score.chance_accuracy == pytest.approx(1 / 6)


def test_the_score_needs_the_training() -> None:
    """The same architecture untrained is no better than chance."""
    torch.manual_seed(0)
    score = score_vit(VisionTransformer(ARCHITECTURE).eval(), make_shapes(100, seed=7))
    assert score.accuracy < 0.4
    assert max(score.attention_hits, score.rollout_hits) < 0.6


def test_maps_are_those_of_the_engines(model: nn.Module) -> None:
    images = make_shapes(53, seed=4).images
    predicted, attention, rolled = attention_maps(model, images)
    batch = normalize(images)
    engine = AttentionEngine(model, layers=[-1])(batch)
    np.testing.assert_allclose(
        attention, engine.maps["attention"][:, 0].mean(dim=1).numpy(), atol=1e-6
    )
    np.testing.assert_allclose(
        rolled, RolloutEngine(model)(batch).maps["rollout"].numpy(), atol=1e-6
    )
    assert predicted.tolist() == engine.output.argmax(dim=1).tolist()


def test_pictures_and_views_are_written(tmp_path: Path) -> None:
    lines: list[str] = []
    score = run_vit_demo(tmp_path, lines.append, images=6, shown=2, seed=3)
    assert score.images == 6
    assert f"--checkpoint {WEIGHTS} --output-dir {tmp_path}" in lines[1]
    for place, name in enumerate(("01_disc", "02_square")):
        written = Image.open(tmp_path / "images" / f"{name}.png")
        assert np.array_equal(np.asarray(written), make_shapes(2, seed=3).images[place])
        views = {path.name for path in (tmp_path / name).iterdir()}
        assert {"vis_1_patch_grid.png", "vis_7_attention_rollout.png"} <= views
    assert (tmp_path / "vis_2_position_embedding.png").exists()


def test_numbers_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seed 0"):
        run_vit_demo(tmp_path, seed=0)
    with pytest.raises(InputError, match="4 pictures to show"):
        run_vit_demo(tmp_path, images=3, shown=4)
    assert not list(tmp_path.iterdir())

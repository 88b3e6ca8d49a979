"""The chain on a model trained here: its maps lie where the age shows, and evaluate says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fastcam
from fastcam.attribution.cam.engine import CamEngine
from fastcam.demo.age_set import IMAGES, TABLE, make_ages
from fastcam.demo.train_age import HELD_OUT_SEED
from fastcam.jobs.evaluate.metrics.localization import group_of, localize
from fastcam.models.training import normalize

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Aged


@pytest.fixture(scope="module")
def evaluated(aged: Aged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation with everything in it but the plots of errors: Grad-CAM of the last layer."""
    out: Path = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        # What the plots look like is not asked here.
        patch.setattr("fastcam.jobs.evaluate.job.write_plots", lambda *arguments: [])
        fastcam.evaluate(
            aged.name,
            aged.folder / IMAGES,
            aged.folder / TABLE,
            out,
            target="age",
            checkpoint=aged.checkpoint,
            faithfulness=6,
            workers=1,
        )
    return out


def localization(out: Path) -> dict[str, Any]:
    content = json.loads((out / "test_metrics.json").read_text())
    found: dict[str, Any] = content["localization"]
    return found


def test_the_model_tells_the_age(evaluated: Path) -> None:
    metrics = json.loads((evaluated / "test_metrics.json").read_text())["metrics"]
    # Guessing the mean age would be off by 17 years.
    assert metrics["mae"]["value"] < 6
    assert metrics["pearson"]["value"] > 0.9


def test_the_map_lies_where_the_age_shows(evaluated: Path) -> None:
    """Nobody told the model where; by chance 9 % of the map and of the peaks would lie there."""
    good = localization(evaluated)["good"]
    assert good["n"] > 15
    assert 0.05 < good["area"]["mean"] < 0.12
    assert good["share"]["mean"] > 1.7 * good["area"]["mean"]
    assert good["hit_rate"] > 3 * good["chance_hit_rate"]
    assert good["p_share"] < 1e-4


def test_the_map_lies_nowhere_else_in_the_face(aged: Aged) -> None:
    """The same masks, moved down to the mouth and the collar: far less than chance lies there."""
    made = make_ages(60, HELD_OUT_SEED)
    maps = CamEngine(aged.model)(normalize(made.images)).maps["gradcam/layer4"].numpy()
    there, elsewhere = (
        group_of([localize(m, mask) for m, mask in zip(maps, masks, strict=True)])
        for masks in (made.masks, np.roll(made.masks, 40, axis=1))
    )
    assert there.hit_rate is not None
    assert elsewhere.hit_rate is not None
    assert there.hit_rate > 0.4
    assert elsewhere.hit_rate < 0.2
    assert there.share.mean is not None
    assert elsewhere.share.mean is not None
    # Trained on one kind of processor it is more than 2.5 times as much, on another 2.3.
    assert there.share.mean > 2 * elsewhere.share.mean


def test_the_maps_are_to_be_believed(evaluated: Path) -> None:
    found = json.loads((evaluated / "faithfulness.json").read_text())
    assert found["score"] == "closeness"
    assert found["measured"] == 6
    assert abs(found["randomisation"]["all_random"]) < 0.5
    assert found["randomisation"]["layers"][0] == "fc"
    assert len(found["verdicts"]) == 3
    assert (evaluated / "faithfulness.png").stat().st_size > 10_000

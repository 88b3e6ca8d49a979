"""What the two checks say: numbers for a file, sentences for people, a page."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import wilcoxon

from fastcam.attribution.faithfulness.parameter_randomization import Randomization
from fastcam.attribution.faithfulness.perturbation_curves import Curves
from fastcam.jobs.evaluate.metrics.faithfulness import faithfulness_summary
from fastcam.jobs.evaluate.plots.faithfulness_page import faithfulness_page
from fastcam.report.plot_files import page_png


def curves(gain: float, count: int = 10, centre: bool = True) -> Curves:
    """Straight lines from 1 to 0; the map's is ``gain`` better in the middle than noise."""
    rng = np.random.default_rng(0)
    at = np.linspace(0, 1, 5)
    noise = np.repeat((1 - at)[None], count, 0) + 0.02 * rng.random((count, 5))
    bend = gain * np.array([0, 1, 1, 1, 0]) * (1 + 0.1 * rng.random((count, 1)))
    tables = [t.astype(np.float32) for t in (noise - bend, noise[:, ::-1] + bend, noise)]
    tables.append(tables[2][:, ::-1].copy())
    reasons = ["" for _ in range(count)]
    if count:
        tables[0][0] = np.nan
        reasons[0] = "the map has one value everywhere"
    return Curves(
        kind="probability",
        fractions=at,
        deletion=tables[0],
        insertion=tables[1],
        random_deletion=tables[2],
        random_insertion=tables[3],
        centre_deletion=tables[2] if centre else None,
        centre_insertion=tables[3] if centre else None,
        reasons=tuple(reasons),
    )


def layers(last: float, names: int = 4) -> Randomization:
    rng = np.random.default_rng(0)
    found = np.linspace(1, last, names + 1)[1:, None] + np.zeros((names, 6))
    return Randomization(
        map_name="gradcam/layer4",
        layers=tuple(f"layer{i}" for i in range(names)),
        spearman=found,
        absolute=found,
        flat=np.zeros(names, np.int64),
        random=0.1 * rng.normal(size=(6, 20)),
        other_image=np.full(6, 0.1),
        left_out=0,
    )


def test_numbers_and_verdicts_of_a_faithful_map() -> None:
    given = curves(0.2)
    found = faithfulness_summary(given, layers(0.05))
    json.dumps(found, allow_nan=False)
    assert (found["images"], found["measured"]) == (10, 9)
    own, noise = (np.trapezoid(c[1:], dx=0.25) for c in (given.deletion, given.random_deletion))
    assert found["deletion"]["auc"] == pytest.approx(own.mean(), abs=1e-6)
    assert found["deletion"]["better_than_random"] == found["insertion"]["better_than_random"] == 1
    assert found["deletion"]["p_random"] == pytest.approx(wilcoxon(own - noise).pvalue)
    assert found["deletion"]["aucs"][0] is None
    said = found["verdicts"]
    assert len(said) == 3
    for line in said[:2]:
        assert "of 9 images better than noise in 100%, p = 0.004; better than centered blob" in line
        assert line.endswith(": better than noise, better than centered blob")
    assert said[2].startswith("the maps depend on what the model learnt: rank correlation +0.05")


def test_a_map_no_better_than_noise_is_called_so() -> None:
    found = faithfulness_summary(curves(-0.2), None)
    assert found["deletion"]["better_than_random"] == 0
    for line in found["verdicts"]:
        assert line.endswith(": worse than noise, worse than centered blob")
    few = faithfulness_summary(curves(0.2, count=5), None)["verdicts"]
    assert all(line.endswith("not shown to be better than centered blob") for line in few)
    alone = faithfulness_summary(curves(0.2, centre=False), None)
    assert alone["deletion"]["p_centre"] is None
    assert all("blob" not in line for line in alone["verdicts"])


def test_a_map_that_only_noise_loses_to_is_not_called_faithful() -> None:
    """Better than noise, and worse than a blob that knows nothing of the image."""
    good = curves(0.1)
    better = curves(0.2)
    found = faithfulness_summary(
        replace(good, centre_deletion=better.deletion, centre_insertion=better.insertion), None
    )
    for line in found["verdicts"]:
        assert line.endswith(": better than noise, worse than centered blob")
    own, centre = good.auc("deletion")[1:], better.auc("deletion")[1:]
    assert found["deletion"]["p_centre"] == pytest.approx(wilcoxon(own - centre).pvalue)


@pytest.mark.parametrize(
    ("last", "words"),
    [(0.9, "hardly change"), (-0.8, "hardly change"), (0.3, "only in part"), (0.1, "depend on")],
)
def test_maps_that_ignore_the_weights_are_named(last: float, words: str) -> None:
    found = faithfulness_summary(None, layers(last))
    assert words in found["verdicts"][0]
    assert found["randomisation"]["all_random"] == pytest.approx(last)


@pytest.mark.parametrize(
    "given",
    [
        (curves(0.2), layers(0.1, 30)),
        (curves(0.2, centre=False), None),
        (None, layers(-0.9)),
        (curves(0.2, 1), layers(0.1)),
    ],
)
def test_a_page_of_whatever_there_is(given: tuple[Any, Any]) -> None:
    page = Image.open(io.BytesIO(page_png(faithfulness_page(*given, "a title with $ and _"))))
    assert page.size == (2250, 900)
    json.dumps(faithfulness_summary(*given), allow_nan=False)

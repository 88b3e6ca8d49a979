"""Classes compared: consistency against every pair, tests against SciPy."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fastcam.jobs.analyze.class_comparison import ClassComparison, class_groups, compare_classes
from fastcam.jobs.analyze.map_statistics import correlation, feature_statistics
from fastcam.jobs.analyze.results import ImageResult, LayerResult

LAYER = "layer4"


def image(cells: NDArray[np.float32], folder: str, confidence: float = 0.5) -> ImageResult:
    layers = {LAYER: LayerResult(feature_statistics(cells, (0, 0, 32, 32)), None)}
    return ImageResult(
        id="i",
        source=Path("i.png"),
        size=(32, 32),
        class_folder=folder,
        predicted=0,
        predicted_name="0",
        confidence=confidence,
        right=None,
        explained="0",
        output=(1.0,),
        layers=layers,
    )


def maps(count: int, seed: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    base = rng.random((5, 6))
    return [(base + 0.5 * rng.random((5, 6))).astype(np.float32) for _ in range(count)]


def cohort(
    cells: dict[str, list[NDArray[np.float32]]],
) -> tuple[list[ImageResult], ClassComparison]:
    flat = [(name, one) for name, group in cells.items() for one in group]
    images = [image(one, name, 0.5 + at / 100) for at, (name, one) in enumerate(flat)]
    return images, compare_classes(images, (LAYER,), lambda index, layer: flat[index][1])


def test_consistency_is_the_mean_over_every_pair() -> None:
    cells = {"a": maps(6, 0), "b": maps(4, 1)}
    _, found = cohort(cells)
    for one in found.classes:
        pairs = [
            stats.pearsonr(x.ravel(), y.ravel()).statistic
            for x, y in combinations(cells[one.name], 2)
        ]
        assert one.layers[LAYER].consistency == pytest.approx(np.mean(pairs), abs=1e-5)
        scaled = [(m - m.min()) / (m.max() - m.min()) for m in cells[one.name]]
        np.testing.assert_allclose(
            found.mean_maps[one.name][LAYER], np.mean(scaled, axis=0), atol=1e-5
        )


def test_maps_without_evidence_do_not_count_for_consistency() -> None:
    same = maps(1, 0)[0]
    _, found = cohort({"a": [same, same, np.zeros((5, 6), np.float32)], "b": maps(2, 1)})
    assert found.classes[0].layers[LAYER].consistency == pytest.approx(1.0)
    _, found = cohort({"a": [same, np.zeros((5, 6), np.float32)], "b": maps(2, 1)})
    assert found.classes[0].layers[LAYER].consistency is None


def test_two_classes_by_mann_whitney() -> None:
    images, found = cohort({"a": maps(6, 0), "b": maps(5, 1)})
    (test,) = [d for d in found.differences if (d.layer, d.metric) == (LAYER, "mean_activation")]
    values = {
        name: [
            i.layers[LAYER].feature_statistics.raw.mean_activation
            for i in images
            if i.class_folder == name
        ]
        for name in "ab"
    }
    known = stats.mannwhitneyu(values["a"], values["b"], alternative="two-sided")
    assert (test.statistic, test.p) == pytest.approx((known.statistic, known.pvalue))
    wins = np.mean([np.sign(x - y) for x in values["a"] for y in values["b"]])
    assert test.effect == pytest.approx(wins)
    corrected = stats.false_discovery_control([d.p for d in found.differences])
    assert [d.q for d in found.differences] == pytest.approx(corrected.tolist())


def test_three_classes_by_kruskal_wallis() -> None:
    images, found = cohort({"a": maps(5, 0), "b": maps(5, 1), "c": maps(4, 2)})
    (test,) = [d for d in found.differences if d.metric == "confidence"]
    values = [[i.confidence or 0.0 for i in images if i.class_folder == n] for n in "abc"]
    known = stats.kruskal(*values)
    assert (test.statistic, test.p) == pytest.approx((known.statistic, known.pvalue))
    assert test.effect == pytest.approx(known.statistic * (14 + 1) / (14**2 - 1))
    assert test.classes == ("a", "b", "c")


def test_what_cannot_be_tested_is_left_out() -> None:
    _, found = cohort({"a": maps(5, 0), "b": maps(2, 1)})
    assert found.differences == ()
    same = maps(1, 0)[0]
    _, found = cohort({"a": [same] * 3, "b": [same] * 3})
    assert {d.metric for d in found.differences} == {"confidence"}


def test_groups_are_folders_or_predictions() -> None:
    cells = maps(2, 0)
    folders, groups = class_groups([image(cells[0], "x"), image(cells[1], "y")])
    assert (folders, groups) == ("folder", {"x": [0], "y": [1]})
    assert class_groups([image(cells[0], ""), image(cells[1], "")]) == ("", {"0": [0, 1]})


def test_correlation_is_pearsons() -> None:
    one, other = maps(2, 3)
    known = stats.pearsonr(one.ravel(), other.ravel()).statistic
    assert correlation(one, other) == pytest.approx(known)
    assert correlation(one, np.ones_like(one)) is None

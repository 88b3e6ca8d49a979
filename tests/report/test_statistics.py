from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from fastcam.errors import OutputError
from fastcam.jobs.render.patches.statistics_files import write_statistics
from fastcam.read.results.case import Case
from fastcam.report.statistics import (
    METRICS,
    CaseStatistics,
    known_values,
    measure,
    rank_sum_text,
    share_inside,
    summarize,
)
from tests.sample_runs import make_case

WEIGHTS = arrays.arrays(
    np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=32, allow_subnormal=False)
).filter(lambda weights: float(weights.sum()) > 1e-3)


def a_case(weights: Any, slices: Any = None, **changes: Any) -> Case:
    weights = np.asarray(weights, dtype=np.float32)
    count = weights.size
    boxes = np.tile(np.array([0, 0, 24, 24], np.int32), (count, 1))
    slices = np.zeros(count, np.int32) if slices is None else slices
    unknown = np.full(count, np.nan, np.float32)
    scores = {"confidence": 0.8, "probabilities": (0.2, 0.8), "mask_ratio": unknown}
    return replace(make_case(1, "患者/1", slices, weights, boxes, **scores), **changes)


def cohort_rows(count: int, seed: int = 0) -> list[CaseStatistics]:
    rng = np.random.default_rng(seed)
    return [
        measure(
            a_case(
                rng.dirichlet(np.full(30, 0.3)),
                rng.integers(0, 9, 30),
                place=place,
                name=f"患者{place}",
                correct=bool(rng.random() < 0.7),
                confidence=float(rng.uniform(0.5, 1)),
                mask_ratio=rng.uniform(0.3, 1, 30).astype(np.float32),
            )
        )
        for place in range(1, count + 1)
    ]


def test_one_case_worked_by_hand() -> None:
    found = measure(
        a_case([1, 2, 4, 1], [5, 5, 7, 9], mask_ratio=np.array([1, 0.5, 0.25, 0], np.float32))
    )
    assert (found.patches, found.slices, found.case) == (4, 3, "患者/1")
    # Shares 1/8, 1/4, 1/2, 1/8: H = ln2/2 + ln4/4 + 2 ln8/8 = 1.75 ln2
    assert found.entropy == pytest.approx(1.75 * math.log(2))
    assert found.normalised_entropy == pytest.approx(1.75 / 2)
    assert found.top1 == pytest.approx(0.5)
    assert found.top5 == found.top10 == pytest.approx(1.0)
    # Ascending 1 1 2 4: sum of |differences| over ordered pairs is 20; 20 / (2 * 16 * 2)
    assert found.gini == pytest.approx(20 / 64)
    assert found.inside_mask == pytest.approx((1 + 1 + 1 + 0) / 8)
    assert found.half_slices == 1


@given(WEIGHTS)
def test_measures_against_scipy_and_the_pairwise_formula(weights: NDArray[np.float32]) -> None:
    found = measure(a_case(weights, np.arange(weights.size) // 3))
    wide = weights.astype(np.float64)
    assert found.entropy == pytest.approx(float(stats.entropy(wide)), abs=1e-9)
    if weights.size > 1:
        most = math.log(weights.size)
        assert found.normalised_entropy == pytest.approx(
            float(stats.entropy(wide)) / most, abs=1e-9
        )
    pairs = np.abs(wide[:, None] - wide[None, :]).sum()
    assert found.gini == pytest.approx(pairs / (2 * wide.size**2 * wide.mean()), abs=1e-9)
    shares = sorted(wide / wide.sum(), reverse=True)
    for count, share in ((1, found.top1), (5, found.top5), (10, found.top10)):
        assert share == pytest.approx(sum(shares[:count]))
    assert found.half_slices is not None
    sums = sorted(
        (wide[at : at + 3].sum() / wide.sum() for at in range(0, wide.size, 3)), reverse=True
    )
    assert sum(sums[: found.half_slices]) >= 0.5 - 2e-6
    assert sum(sums[: found.half_slices - 1]) < 0.5


def test_all_equal_and_one_patch() -> None:
    equal = measure(a_case(np.full(8, 0.125), [0, 0, 1, 1, 2, 2, 3, 3]))
    assert (equal.normalised_entropy, equal.half_slices) == (pytest.approx(1.0), 2)
    assert equal.gini == pytest.approx(0.0)
    one = measure(a_case([1.0]))
    assert (one.entropy, one.normalised_entropy, one.top1, one.gini) == (0.0, 0.0, 1.0, 0.0)


def test_weights_that_are_all_zero_measure_as_unknown() -> None:
    found = measure(a_case([0.0, 0.0], mask_ratio=np.array([1, 1], np.float32)))
    unknown = {name for name in METRICS if getattr(found, name) is None}
    assert unknown == set(METRICS) - {"confidence"}
    assert summarize([found]).metrics["gini"].all.n == 0


def test_given_shares_replace_the_files_and_unknown_patches_drop_out() -> None:
    case = a_case([0.5, 0.25, 0.25], mask_ratio=np.array([1, 1, 1], np.float32))
    assert measure(case).inside_mask == pytest.approx(1.0)
    assert measure(case, np.array([0.0, 1.0, np.nan])).inside_mask == pytest.approx(1 / 3)
    assert measure(case, np.full(3, np.nan)).inside_mask is None
    assert measure(a_case([1.0])).inside_mask is None


@settings(max_examples=50)
@given(
    arrays.arrays(np.uint8, (3, 7, 9), elements=st.integers(0, 2)),
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(-6, 10), st.integers(-6, 10), *[st.integers(1, 8)] * 2
        ),
        max_size=8,
    ),
)
def test_share_inside_counts_the_pixels_one_by_one(
    masks: NDArray[np.uint8], places: list[tuple[int, int, int, int, int]]
) -> None:
    boxes = np.array([[x, y, x + w, y + h] for _, x, y, w, h in places], np.int32).reshape(-1, 4)
    slices = np.array([place[0] for place in places], dtype=np.int32)
    asked: list[int] = []

    def mask_of(index: int) -> NDArray[np.uint8]:
        asked.append(index)
        return masks[index]

    found = share_inside(boxes, slices, mask_of)
    for share, (index, x, y, w, h) in zip(found, places, strict=True):
        pixels = [
            masks[index, row, column] != 0
            for row, column in product(range(y, y + h), range(x, x + w))
            if 0 <= row < 7 and 0 <= column < 9
        ]
        if pixels:
            assert share == pytest.approx(sum(pixels) / len(pixels))
        else:
            assert np.isnan(share)
    assert sorted(asked) == sorted(set(slices.tolist()))


def test_cohort_against_numpy_and_pair_counts() -> None:
    rows = cohort_rows(40)
    found = summarize(rows)
    right = [row for row in rows if row.correct]
    wrong = [row for row in rows if not row.correct]
    assert (found.n, found.right, found.wrong) == (40, len(right), len(wrong))
    assert set(found.metrics) == set(METRICS)
    for name, metric in found.metrics.items():
        high, low = known_values(right, name), known_values(wrong, name)
        for spread, values in ((metric.right, high), (metric.wrong, low)):
            assert spread.n == values.size
            assert spread.mean == pytest.approx(np.mean(values))
            assert spread.sd == pytest.approx(
                np.sqrt(((values - values.mean()) ** 2).sum() / (values.size - 1))
            )
            assert [spread.q1, spread.median, spread.q3] == pytest.approx(
                np.percentile(values, [25, 50, 75])
            )
        above = sum((a > b) + 0.5 * (a == b) for a, b in product(high, low))
        assert metric.test is not None
        assert metric.test.u == pytest.approx(above)
        signs = [np.sign(a - b) for a, b in product(high, low)]
        assert metric.test.effect == pytest.approx(np.mean(signs))  # Cliff's delta
        assert metric.test.p == pytest.approx(stats.mannwhitneyu(high, low).pvalue)


def test_the_effect_is_above_zero_when_right_predictions_are_higher() -> None:
    rows = [
        measure(a_case([1.0], correct=correct, confidence=confidence))
        for correct, confidence in zip(
            (True, True, True, False, False, False), (0.9, 0.8, 0.85, 0.6, 0.7, 0.5), strict=True
        )
    ]
    test = summarize(rows).metrics["confidence"].test
    assert test is not None
    assert (test.u, test.effect) == (9.0, 1.0)
    assert test.p == pytest.approx(2 / 20)  # exact: 2 of the 20 orders are as extreme
    tied = summarize(rows).metrics["gini"].test
    assert tied is not None
    assert (tied.p, tied.effect) == (1.0, 0.0)


def test_two_in_a_group_are_too_few_for_a_test_and_that_is_said() -> None:
    rows = [
        measure(a_case([1.0], correct=number < 4, confidence=0.5 + number / 20))
        for number in range(6)
    ]
    test = summarize(rows).metrics["confidence"].test
    assert test is None
    assert rank_sum_text(test, (4, 2)) == "no test: fewer than 3 in a group"
    assert rank_sum_text(test, (0, 0)) == ""


def test_an_empty_group_has_no_test() -> None:
    found = summarize([measure(a_case([0.5, 0.5]))])
    assert found.metrics["confidence"].test is None
    assert found.metrics["confidence"].all.sd is None
    assert found.metrics["confidence"].wrong.median is None


@pytest.mark.parametrize("count", [0, 1, 2, 60])
def test_files_are_complete_for_any_number_of_cases(tmp_path: Path, count: int) -> None:
    rows = cohort_rows(count)
    if rows:
        rows[0] = measure(a_case([0.0, 0.0]))  # everything unknown
    paths = write_statistics(tmp_path, rows)
    assert [path.name for path in paths] == ["statistics.json", "statistics.csv", "statistics.png"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(paths[0].read_text("utf-8"), parse_constant=refuse)
    assert ("患者" in paths[0].read_text("utf-8")) == bool(rows)
    assert [entry["case"] for entry in found["cases"]] == [row.case for row in rows]
    assert found["cohort"]["n"] == count
    assert set(found["metrics"]) == set(found["cohort"]["metrics"]) == set(METRICS)
    with paths[1].open(encoding="utf-8", newline="") as text:
        lines = list(csv.DictReader(text))
    assert len(lines) == count
    for line, row in zip(lines, rows, strict=True):
        assert line["case"] == row.case
        assert line["gini"] == ("" if row.gini is None else str(row.gini))
    with Image.open(paths[2]) as page:
        assert page.size == (2100, 1485)
        colors = {color for _, color in page.convert("RGB").getcolors(2_000_000) or []}
    # Right and wrong have their colors somewhere on the page.
    assert {(27, 120, 55), (197, 27, 27)} <= colors


def test_plots_leave_matplotlibs_global_state_alone(tmp_path: Path) -> None:
    import matplotlib as mpl
    from matplotlib import _pylab_helpers

    before = dict(mpl.rcParams)
    write_statistics(tmp_path, cohort_rows(5))
    assert dict(mpl.rcParams) == before
    assert not _pylab_helpers.Gcf.figs


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/statistics\.json"):
        write_statistics(tmp_path / "missing", cohort_rows(2))

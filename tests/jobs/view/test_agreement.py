"""Kappa against scikit-learn, statsmodels and the worked example of the paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_kappa

from fastcam.jobs.view.agreement import cohen_kappa, fleiss_kappa

MARKS = st.sampled_from("abcd")


@given(st.lists(st.tuples(MARKS, MARKS), min_size=1, max_size=40))
def test_cohens_kappa_is_scikit_learns(pairs) -> None:
    first, second = zip(*pairs, strict=True)
    kappa = cohen_kappa(first, second)
    if len(set(first) | set(second)) == 1:
        assert kappa is None
    else:
        assert kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


@given(st.integers(2, 5).flatmap(
    lambda readers: st.lists(st.lists(MARKS, min_size=readers, max_size=readers),
                             min_size=1, max_size=30)))  # fmt: skip
def test_fleiss_kappa_is_statsmodels(ratings) -> None:
    kappa = fleiss_kappa(ratings)
    if len({mark for marks in ratings for mark in marks}) == 1:
        assert kappa is None
    else:
        table, _ = aggregate_raters(np.array(ratings))
        assert kappa == pytest.approx(statsmodels_kappa(table), abs=1e-12)


def test_the_example_of_a_textbook() -> None:
    """Fourteen raters, ten subjects, five categories: kappa 0.210 (Fleiss' formula by hand)."""
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    ratings = [
        [str(mark) for mark, count in enumerate(row) for _ in range(count)] for row in counts
    ]
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_without_cases_or_readers_there_is_none() -> None:
    assert cohen_kappa([], []) is None
    assert fleiss_kappa([]) is None
    assert fleiss_kappa([["a"], ["b"]]) is None

"""Stability of maps of right and wrong predictions, in words and as a table."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from fastcam.jobs.evaluate.metrics.stability import stability_of, stability_table


class _Header:
    def __init__(self, *measures: float) -> None:
        self.measures = np.array(measures, np.float32)


def test_medians_and_test() -> None:
    values = [0.9, 0.8, 0.95, 0.7, 0.2, 0.4, 0.1]
    good = [True] * 4 + [False] * 3
    headers: Any = [_Header(0.0, value) for value in values]
    names = ("integrated-gradients: completeness error", "gradcam/layer4: stability")
    (found,) = stability_of(headers, good, names, "flips")
    first, second = (
        np.array(part, np.float32).astype(np.float64) for part in (values[:4], values[4:])
    )
    p = mannwhitneyu(first, second).pvalue
    assert found.line == (
        "stability of gradcam/layer4 under flips, median: right 0.850 (n = 4), "
        f"wrong 0.200 (n = 3), p = {p:.2g}"
    )
    (row,) = csv.DictReader(io.StringIO(stability_table([found])))
    assert (row["map"], row["target"], row["changed_by"]) == ("gradcam/layer4", "", "flips")
    assert (row["right_images"], row["wrong_images"]) == ("4", "3")
    numbers = [float(row[name]) for name in ("right_median", "wrong_median", "p")]
    assert numbers == pytest.approx([np.median(first), np.median(second), p], rel=1e-5)


def test_groups_that_are_empty_or_small() -> None:
    headers: Any = [_Header(0.5), _Header(0.7)]
    (found,) = stability_of(headers, [True, True], ("gradcam: stability",), "shifts")
    assert found.line.endswith("median: right 0.600 (n = 2), wrong none")
    assert stability_table([found]).splitlines()[1] == "gradcam,,shifts,0.6,2,,0,"
    assert stability_of(headers, [True, True], ("other",), "shifts") == []


def test_each_finding_by_itself() -> None:
    """Where one is not known the image counts for nothing."""
    headers: Any = [_Header(0.1, 0.2), _Header(0.3, 0.4), _Header(0.5, 0.6)]
    good = np.array([[1, 0], [0, np.nan], [1, 1]])
    names = ("gradcam: stability",) * 2
    found = stability_of(headers, good, names, "flips", ("Edema", "Mass"))
    assert [one.line for one in found] == [
        "stability of gradcam, Edema under flips, median: right 0.300 (n = 2), wrong 0.300 (n = 1)",
        "stability of gradcam, Mass under flips, median: right 0.600 (n = 1), wrong 0.200 (n = 1)",
    ]

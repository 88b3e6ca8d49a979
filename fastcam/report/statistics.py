"""How concentrated a case's attention is, and whether right and wrong predictions differ in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastcam.read.results.case import Case

METRICS = {
    "confidence": "largest predicted probability",
    "entropy": "Shannon entropy of the weights, in nats",
    "normalised_entropy": "entropy / log(number of patches): 0 one patch has all, 1 all equal",
    "top1": "share of the weight in the highest patch",
    "top5": "share of the weight in the 5 highest patches",
    "top10": "share of the weight in the 10 highest patches",
    "gini": "Gini index of the weights: 0 all equal, towards 1 one patch has all",
    "inside_mask": "share of the weight that lies inside the mask",
    "half_slices": "fewest slices that together hold half of the weight",
}

# Weights are float32: four slices of a quarter each may add up to a little less than a half.
_HALF = 0.5 - 1e-6
# Below so many pairs a signed-rank test can't be significant.
_FEWEST_PAIRS = 6
# With fewer in a group no test can be significant at 0.05 (3 against 3 reach p = 0.1), and the
# effect is that of single cases.
FEWEST_IN_GROUP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStatistics:
    """Attention of one case in numbers.

    Measures of the weights are taken over weights divided by their sum, and None where the weights
    are all zero.

    Attributes:
        place: the case's 1-based number in the results file.
        case: its name.
        true_label: its class; None where nobody knows it.
        predicted_label: the predicted class.
        correct: whether these are the same; None where nobody knows.
        confidence: largest predicted probability, 0 to 1.
        patches: number of patches.
        slices: number of slices that hold patches.
        entropy: Shannon entropy of the weights, in nats.
        normalised_entropy: entropy / log(patches), 0 to 1: 1 where all weights are equal.
        top1: share of the weight in the highest patch, 0 to 1.
        top5: share of the weight in the 5 highest patches.
        top10: share of the weight in the 10 highest patches.
        gini: Gini index of the weights: 0 where all are equal, towards 1 where one patch has all.
        inside_mask: share of the weight inside the mask, 0 to 1; None where no patch is known to
            lie in or out of it.
        half_slices: fewest slices that together hold half of the weight.
    """

    place: int
    case: str
    true_label: int | None
    predicted_label: int
    correct: bool | None
    confidence: float
    patches: int
    slices: int
    entropy: float | None
    normalised_entropy: float | None
    top1: float | None
    top5: float | None
    top10: float | None
    gini: float | None
    inside_mask: float | None
    half_slices: int | None


@dataclass(frozen=True, slots=True)
class Spread:
    """One metric over a group of cases. All numbers are None where no case has it.

    Attributes:
        n: number of cases that have it.
        mean: their mean.
        sd: their standard deviation (n - 1); None below two cases.
        median: their median.
        q1: lower quartile, interpolated linearly.
        q3: upper quartile, likewise.
    """

    n: int
    mean: float | None
    sd: float | None
    median: float | None
    q1: float | None
    q3: float | None


@dataclass(frozen=True, slots=True)
class RankSum:
    """Right against wrong predictions: Mann-Whitney U test (Mann & Whitney 1947), two-sided.

    Attributes:
        u: number of pairs (right, wrong) in which the right one is higher, ties half.
        p: not corrected for the number of metrics that are tested.
        effect: rank-biserial correlation, equal to Cliff's delta, -1 to 1:
            2 u / (n_right n_wrong) - 1. Above 0 the metric is higher where predictions are right.
    """

    u: float
    p: float
    effect: float


@dataclass(frozen=True, slots=True)
class MetricStatistics:
    """One metric over all predictions, over the right ones and over the wrong ones.

    Attributes:
        all: over all cases.
        right: over those that are predicted right.
        wrong: over those that are predicted wrong.
        test: right against wrong; None where a group has fewer than three cases.
    """

    all: Spread
    right: Spread
    wrong: Spread
    test: RankSum | None


@dataclass(frozen=True, slots=True)
class CohortStatistics:
    """A test set.

    Attributes:
        n: number of cases.
        right: how many are predicted right.
        wrong: how many are predicted wrong.
        metrics: each of ``METRICS`` by its name.
    """

    n: int
    right: int
    wrong: int
    metrics: dict[str, MetricStatistics]


def share_inside(
    boxes: NDArray[np.int32],
    slices: NDArray[np.int32],
    mask_of: Callable[[int], NDArray[np.uint8]],
) -> NDArray[np.float64]:
    """Share of each box's pixels where the mask isn't 0, 0 to 1: (N,).

    ``boxes`` (N, 4) are ``x1, y1, x2, y2`` in pixels of the mask, clipped to it; ``slices`` (N,)
    the slice of each. ``mask_of(slice)`` gives that slice's mask (h, w) and is called once per
    slice. NaN where nothing of the box lies on the slice.
    """
    shares = np.full(len(boxes), np.nan)
    for index in np.unique(slices).tolist():
        mask = mask_of(index)
        for box in np.flatnonzero(slices == index):
            x1, y1, x2, y2 = np.maximum(boxes[box], 0).tolist()
            pixels = mask[y1:y2, x1:x2]
            if pixels.size:
                shares[box] = np.count_nonzero(pixels) / pixels.size
    return shares


def measure(case: Case, inside: NDArray[np.floating] | None = None) -> CaseStatistics:
    """Measure one case.

    ``inside`` (N,) is the share of each patch's box inside the mask, NaN where unknown; None takes
    the shares that the results file gives. Patches of unknown share are left out of
    ``inside_mask``, and so is their weight.
    """
    total = float(case.weights.sum(dtype=np.float64))
    weights = case.weights.astype(np.float64) / total if total > 0.0 else None
    ratios = (case.mask_ratio if inside is None else inside).astype(np.float64)
    entropy = None if weights is None else _entropy(weights)
    most = math.log(case.weights.size) if case.weights.size > 1 else 1.0
    return CaseStatistics(
        place=case.place,
        case=case.name,
        true_label=case.true_label,
        predicted_label=case.predicted_label,
        correct=case.correct,
        confidence=case.confidence,
        patches=case.weights.size,
        slices=np.unique(case.slices).size,
        entropy=entropy,
        normalised_entropy=None if entropy is None else min(entropy / most, 1.0),
        top1=None if weights is None else _share_of_highest(weights, 1),
        top5=None if weights is None else _share_of_highest(weights, 5),
        top10=None if weights is None else _share_of_highest(weights, 10),
        gini=None if weights is None else _gini(weights),
        inside_mask=None if weights is None else _mean_known(ratios, weights),
        half_slices=None if weights is None else _half_slices(weights, case.slices),
    )


def summarize(rows: Sequence[CaseStatistics]) -> CohortStatistics:
    """Every metric over all cases, and right against wrong predictions."""
    right = [row for row in rows if row.correct]
    wrong = [row for row in rows if row.correct is False]
    metrics = {
        name: MetricStatistics(
            all=spread(known_values(rows, name)),
            right=spread(known_values(right, name)),
            wrong=spread(known_values(wrong, name)),
            test=rank_sum(known_values(right, name), known_values(wrong, name)),
        )
        for name in METRICS
    }
    return CohortStatistics(len(rows), len(right), len(wrong), metrics)


def known_values(rows: Sequence[CaseStatistics], metric: str) -> NDArray[np.float64]:
    """The metric's values of the cases that have it, in the rows' order."""
    values = [getattr(row, metric) for row in rows]
    return np.array([value for value in values if value is not None], dtype=np.float64)


def _entropy(weights: NDArray[np.float64]) -> float:
    """-sum p ln p (Shannon 1948), with 0 ln 0 = 0."""
    positive = weights[weights > 0.0]
    return max(float(-(positive * np.log(positive)).sum()), 0.0)


def _share_of_highest(weights: NDArray[np.float64], count: int) -> float:
    return min(float(np.sort(weights)[-count:].sum()), 1.0)


def _gini(weights: NDArray[np.float64]) -> float:
    """Gini index as Hurley & Rickard 2009 (Comparing Measures of Sparsity, IEEE Trans. Inf.
    Theory 55) write it, weights ascending and of sum 1, k from 1:
    1 - 2 sum_k w_k (N - k + 1/2) / N; from 0 to 1 - 1/N.
    """
    count = weights.size
    above = (count - np.arange(1, count + 1) + 0.5) / count
    return max(float(1.0 - 2.0 * (np.sort(weights) * above).sum()), 0.0)


def _mean_known(ratios: NDArray[np.float64], weights: NDArray[np.float64]) -> float | None:
    finite = np.isfinite(ratios)
    total = float(weights[finite].sum())
    return float((ratios[finite] * weights[finite]).sum() / total) if total > 0.0 else None


def _half_slices(weights: NDArray[np.float64], slices: NDArray[np.int32]) -> int:
    _, inverse = np.unique(slices, return_inverse=True)
    per_slice = np.sort(np.bincount(inverse, weights=weights))[::-1]
    return int(np.searchsorted(np.cumsum(per_slice), _HALF)) + 1


def spread(values: NDArray[np.float64]) -> Spread:
    """Mean, sample deviation and quartiles of one group's values (n,)."""
    if not values.size:
        return Spread(0, None, None, None, None, None)
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    sd = float(values.std(ddof=1)) if values.size > 1 else None
    return Spread(values.size, float(values.mean()), sd, median, q1, q3)


def rank_sum(right: NDArray[np.float64], wrong: NDArray[np.float64]) -> RankSum | None:
    """The test of two groups' values; None where one has fewer than three."""
    if min(right.size, wrong.size) < FEWEST_IN_GROUP:
        return None
    # Imported here: scipy.stats takes 0.5 s, and drawing figures doesn't need it.
    from scipy.stats import mannwhitneyu

    result = mannwhitneyu(right, wrong, alternative="two-sided")
    u = float(result.statistic)
    return RankSum(u=u, p=float(result.pvalue), effect=2.0 * u / (right.size * wrong.size) - 1.0)


def signed_rank_p(differences: NDArray[np.float64]) -> float | None:
    """Wilcoxon's signed-rank test (1945) of paired differences (n,), two-sided: p, 0 to 1.

    None below six pairs, where p can't fall under 0.05; 1 where all differences are 0.
    """
    if differences.size < _FEWEST_PAIRS:
        return None
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue)


def p_text(p: float, with_sign: bool = False) -> str:
    """``0.012``, or ``= 0.012`` with its sign; ``< 0.001`` below that."""
    if p < 0.001:
        return "< 0.001"
    return f"= {p:.3f}" if with_sign else f"{p:.3f}"


def rank_sum_text(test: RankSum | None, sizes: Sequence[int]) -> str:
    """p and effect in words, or why there are none; ``sizes`` of the groups that are compared."""
    if test is not None:
        return f"p {p_text(test.p, True)}   effect {test.effect:+.2f}"
    return f"no test: fewer than {FEWEST_IN_GROUP} in a group" if any(sizes) else ""

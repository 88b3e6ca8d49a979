"""How far readers agree beyond chance: Cohen's kappa of two, Fleiss' kappa of several.

J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
Measurement 20, 1960, equation 1. J. L. Fleiss, "Measuring nominal scale agreement among many
raters", Psychological Bulletin 76, 1971, equations 3, 5, 6 and 7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement of two readers on the same cases: 1 is all, 0 is that of chance.

    None where it is not defined: without cases, and where both give all cases one same mark.
    """
    count = len(first)
    if count == 0:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / count
    shares, others = Counter(first), Counter(second)
    chance = sum(shares[mark] * others[mark] for mark in shares) / count**2
    return None if chance == 1.0 else (observed - chance) / (1.0 - chance)


def fleiss_kappa(ratings: Sequence[Sequence[str]]) -> float | None:
    """Agreement of several readers: ``ratings`` has for each case the mark of each of them.

    None where it is not defined: without cases, with one reader, and where all marks are the same.
    """
    count = len(ratings)
    readers = len(ratings[0]) if ratings else 0
    if readers < 2:
        return None
    totals: Counter[str] = Counter()
    agreement = 0.0
    for marks in ratings:
        counts = Counter(marks)
        totals += counts
        agreement += (sum(n * n for n in counts.values()) - readers) / (readers * (readers - 1))
    observed = agreement / count
    chance = sum((total / (count * readers)) ** 2 for total in totals.values())
    return None if chance == 1.0 else (observed - chance) / (1.0 - chance)

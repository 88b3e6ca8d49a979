"""Faithfulness of maps in numbers and in words: from curves and randomized layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcam.report.statistics import p_text, signed_rank_p

if TYPE_CHECKING:
    from fastcam.attribution.faithfulness.parameter_randomization import Randomization
    from fastcam.attribution.faithfulness.perturbation_curves import Curves

# Rank correlations with all weights random, above which maps are said to hardly change, and below
# which they are said to follow the weights. Rules of thumb; the numbers stand beside the words.
UNCHANGED, CHANGED = 0.5, 0.25
# Each game, and whether a large area under its curve is good.
_GAMES = (("deletion", False), ("insertion", True))
# What curves are compared with, in words and in the names of numbers.
_BASELINES = (("noise", "random"), ("centered blob", "centre"))


def faithfulness_summary(
    curves: Curves | None, randomization: Randomization | None
) -> dict[str, Any]:
    """Both checks for a JSON file; ``verdicts`` are the sentences for people.

    ``deletion`` and ``insertion``: mean area under the curve, ``random`` and ``centre`` that of the
    random maps and of the centered-blob baseline, ``better_than_random`` the share of images whose
    own map does better than noise, ``p_random`` the Wilcoxon signed-rank test of that, two-sided;
    ``better_than_centre`` and ``p_centre`` the same against the baseline.
    ``randomisation``: the mean rank correlation after each step, from the top layer down.
    """
    summary: dict[str, Any] = {}
    verdicts: list[str] = []
    if curves is not None:
        summary |= _curve_numbers(curves)
        verdicts += _curve_verdicts(curves, summary)
    if randomization is not None:
        summary["randomisation"] = _layer_numbers(randomization)
        verdicts.append(_layer_verdict(summary["randomisation"]))
    return {**summary, "verdicts": verdicts}


def _curve_numbers(curves: Curves) -> dict[str, Any]:
    measured = curves.known
    numbers: dict[str, Any] = {
        "score": curves.kind,
        "images": len(measured),
        "measured": int(measured.sum()),
        "reasons": [reason for reason in curves.reasons if reason],
        "fractions": curves.fractions.round(6).tolist(),
    }
    for game, high_is_good in _GAMES:
        own, noise = curves.auc(game)[measured], curves.auc(f"random_{game}")[measured]
        centre = None
        if getattr(curves, f"centre_{game}") is not None:
            centre = curves.auc(f"centre_{game}")[measured]
        sign = 1.0 if high_is_good else -1.0
        numbers[game] = {
            "good_is": "high" if high_is_good else "low",
            "auc": _mean(own),
            "random": _mean(noise),
            "centre": None if centre is None else _mean(centre),
            "better_than_random": _mean(sign * (own - noise) > 0),
            "better_than_centre": None if centre is None else _mean(sign * (own - centre) > 0),
            "p_random": signed_rank_p(own - noise),
            "p_centre": None if centre is None else signed_rank_p(own - centre),
            "aucs": _listed(curves.auc(game)),
            "curve": _listed(getattr(curves, game)[measured].mean(0)) if measured.any() else None,
        }
    return numbers


def _curve_verdicts(curves: Curves, numbers: dict[str, Any]) -> list[str]:
    if not numbers["measured"]:
        return [f"faithfulness: no image could be measured: {'; '.join(set(numbers['reasons']))}"]
    probability = curves.kind == "probability"
    score = "probability" if probability else "similarity to the whole image's output"
    lines = []
    for game, words in (("deletion", "deleting"), ("insertion", "inserting")):
        part = numbers[game]
        areas, shares, verdicts = [], [], []
        for name, baseline in _BASELINES:
            if part[baseline] is None:
                continue
            share, p = part[f"better_than_{baseline}"], part[f"p_{baseline}"]
            areas.append(f"{name} {part[baseline]:.2f}")
            shares.append(f"better than {name} in {share:.0%}, p {_p_words(p)}")
            verdicts.append(_baseline_verdict(name, share, p))
        lines.append(
            f"{words} what the map marks: area under the {game} curve ({score}) {part['auc']:.2f} "
            f"({part['good_is']} is good), {', '.join(areas)}; of {numbers['measured']} images "
            f"{'; '.join(shares)}: {', '.join(verdicts)}"
        )
    return lines


def _baseline_verdict(name: str, share: float, p: float | None) -> str:
    """``share`` of the images in which the map does better than a baseline, ``p`` of the test."""
    if p is None or p >= 0.05:
        return f"not shown to be better than {name}"
    return f"better than {name}" if share > 0.5 else f"worse than {name}"


def _layer_numbers(randomization: Randomization) -> dict[str, Any]:
    own = randomization.spearman
    return {
        "map": randomization.map_name,
        "images": int(own.shape[1]),
        "left_out": randomization.left_out,
        "layers": list(randomization.layers),
        "spearman": _listed(own.mean(1)),
        "spearman_absolute": _listed(randomization.absolute.mean(1)),
        "maps_of_one_value": randomization.flat.tolist(),
        "all_random": float(own[-1].mean()),
        "noise": float(randomization.random.mean()),
        "noise_95": np.quantile(randomization.random, [0.025, 0.975]).tolist(),
        "other_image": _mean(randomization.other_image),
    }


def _layer_verdict(numbers: dict[str, Any]) -> str:
    last = max(numbers["all_random"], numbers["spearman_absolute"][-1], key=abs)
    evidence = (
        f"rank correlation {last:+.2f} when all weights are random (noise "
        f"{numbers['noise']:+.2f}, another image's map {_signed(numbers['other_image'])})"
    )
    if abs(last) >= UNCHANGED:
        return (
            f"the maps hardly change when the model forgets what it learnt: {evidence}; they show "
            "what is in the image, as an edge detector would: don't take them as evidence"
        )
    if abs(last) >= CHANGED:
        return f"the maps depend on what the model learnt only in part: {evidence}"
    return f"the maps depend on what the model learnt: {evidence}"


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if values.size else None


def _listed(values: NDArray[Any]) -> list[float | None]:
    return [round(v, 6) if np.isfinite(v) else None for v in values.astype(np.float64).tolist()]


def _p_words(p: float | None) -> str:
    return "unknown (too few)" if p is None else p_text(p, True)


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}"

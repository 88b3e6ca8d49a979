"""Are the maps to be believed: what curves and randomised layers say, in numbers and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fastcam.attribution.faithfulness.parameter_randomization import Randomised
    from fastcam.attribution.faithfulness.perturbation_curves import Curves

# Rank correlations with all weights random, above which maps are said to hardly change, and below
# which they are said to follow the weights. Rules of thumb; the numbers stand beside the words.
UNCHANGED, CHANGED = 0.5, 0.25
_FEWEST = 6  # pairs, below which a signed-rank test can't be significant
# What a map has to beat in each game, and whether a large area is good there.
_GAMES = (("deletion", "below"), ("insertion", "above"))

Floats = NDArray[np.float64]


def faithfulness_summary(curves: Curves | None, randomised: Randomised | None) -> dict[str, Any]:
    """Both checks for a JSON file; ``verdicts`` are the sentences for people.

    ``deletion`` and ``insertion``: mean area under the curve, ``random`` and ``centre`` that of the
    maps of noise and of a blob in the middle, ``better_than_random`` the share of images whose own
    map does better than noise, ``p_random`` the Wilcoxon signed-rank test of that, two-sided.
    ``randomisation``: the mean rank correlation after each step, from the top layer down.
    """
    found: dict[str, Any] = {}
    verdicts: list[str] = []
    if curves is not None:
        found |= _curves(curves)
        verdicts += _said_of_curves(curves, found)
    if randomised is not None:
        found["randomisation"] = _randomised(randomised)
        verdicts.append(_said_of_layers(found["randomisation"]))
    return {**found, "verdicts": verdicts}


def _curves(curves: Curves) -> dict[str, Any]:
    known = curves.known
    found: dict[str, Any] = {
        "score": curves.kind,
        "images": len(known),
        "measured": int(known.sum()),
        "reasons": [reason for reason in curves.reasons if reason],
        "fractions": curves.fractions.round(6).tolist(),
    }
    for game, wanted in _GAMES:
        own, noise = curves.auc(game)[known], curves.auc(f"random_{game}")[known]
        centre = None
        if getattr(curves, f"centre_{game}") is not None:
            centre = curves.auc(f"centre_{game}")[known]
        sign = 1.0 if wanted == "above" else -1.0
        found[game] = {
            "good_is": "high" if wanted == "above" else "low",
            "auc": _mean(own),
            "random": _mean(noise),
            "centre": None if centre is None else _mean(centre),
            "better_than_random": _mean(sign * (own - noise) > 0),
            "better_than_centre": None if centre is None else _mean(sign * (own - centre) > 0),
            "p_random": _paired(own - noise),
            "aucs": _listed(curves.auc(game)),
            "curve": _listed(getattr(curves, game)[known].mean(0)) if known.any() else None,
        }
    return found


def _said_of_curves(curves: Curves, found: dict[str, Any]) -> list[str]:
    if not found["measured"]:
        return [f"faithfulness: no image could be measured: {'; '.join(set(found['reasons']))}"]
    what = "probability" if curves.kind == "probability" else "closeness to the whole output"
    lines = []
    for game, words in (("deletion", "deleting"), ("insertion", "inserting")):
        part = found[game]
        passed = part["better_than_random"] > 0.5 and (part["p_random"] or 1.0) < 0.05
        verdict = "better than noise" if passed else "not shown to be better than noise"
        centre = "" if part["centre"] is None else f", a blob in the middle {part['centre']:.2f}"
        lines.append(
            f"{words} what the map marks: area under the {what} curve {part['auc']:.2f} "
            f"({part['good_is']} is good), noise {part['random']:.2f}{centre}; better than noise "
            f"in {part['better_than_random']:.0%} of {found['measured']} images, p "
            f"{_p_words(part['p_random'])}: {verdict}"
        )
    return lines


def _randomised(randomised: Randomised) -> dict[str, Any]:
    own = randomised.spearman
    return {
        "map": randomised.map_name,
        "images": int(own.shape[1]),
        "left_out": randomised.left_out,
        "layers": list(randomised.layers),
        "spearman": _listed(own.mean(1)),
        "spearman_absolute": _listed(randomised.absolute.mean(1)),
        "maps_of_one_value": randomised.flat.tolist(),
        "all_random": float(own[-1].mean()),
        "noise": float(randomised.random.mean()),
        "noise_95": np.quantile(randomised.random, [0.025, 0.975]).tolist(),
        "other_image": _mean(randomised.other_image),
    }


def _said_of_layers(found: dict[str, Any]) -> str:
    last = max(found["all_random"], found["spearman_absolute"][-1], key=abs)
    numbers = (
        f"rank correlation {last:+.2f} when all weights are random (noise "
        f"{found['noise']:+.2f}, another image's map {_signed(found['other_image'])})"
    )
    if abs(last) >= UNCHANGED:
        return (
            f"the maps hardly change when the model forgets what it learnt: {numbers}; they show "
            "what is in the image, as an edge detector would: don't take them as evidence"
        )
    if abs(last) >= CHANGED:
        return f"the maps depend on what the model learnt only in part: {numbers}"
    return f"the maps depend on what the model learnt: {numbers}"


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if values.size else None


def _listed(values: NDArray[Any]) -> list[float | None]:
    return [round(v, 6) if np.isfinite(v) else None for v in values.astype(np.float64).tolist()]


def _paired(differences: Floats) -> float | None:
    if differences.size < _FEWEST:
        return None
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue)


def _p_words(p: float | None) -> str:
    return "unknown (too few)" if p is None else "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}"

"""From a model's raw output to predictions and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from fastcam.errors import InputError

Task = Literal["auto", "classification", "multilabel", "regression", "segmentation", "detection"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for n inputs; all are None for a regression, for a segmentation, whose output is
    the share of the pixels that are predicted as each class, and for a detection, whose output are
    the scores of the boxes that are explained.

    - ``prediction`` (n,) int64, the class; of one output for multilabel, between two classes, 1
      from a probability of 0.5 on
    - ``probability`` (n, k) float32, 0 to 1, by softmax, or one by one for multilabel
    - ``confidence`` (n,) float32, the predicted class's probability
    """

    prediction: NDArray[np.int64] | None
    probability: NDArray[np.float32] | None
    confidence: NDArray[np.float32] | None


def predictions_of(output: NDArray[Any], task: Task = "auto") -> Predictions:
    """The predictions in raw output (n, k), any float dtype.

    ``auto``: a regression where k is 1, else classes. Raises InputError for an unknown task, and
    for a classification by one output.
    """
    if task not in get_args(Task):
        raise InputError(f"--task {task!r} is not known: use one of {', '.join(get_args(Task))}")
    if task == "auto":
        task = "regression" if output.shape[1] == 1 else "classification"
    if task in ("regression", "segmentation", "detection"):
        return Predictions(None, None, None)
    if task == "classification" and output.shape[1] == 1:
        raise InputError(
            "--task classification: the model has one output; use multilabel (its sigmoid is the "
            "probability) or regression"
        )
    wide = output.astype(np.float64)
    with np.errstate(invalid="ignore"):  # of two infinite outputs, which the run calls a failure
        probability = softmax(wide, axis=1) if task == "classification" else expit(wide)
    if probability.shape[1] == 1:
        # The one output between two classes is the probability of the second.
        second = probability[:, 0]
        predicted = (second >= 0.5).astype(np.int64)
        confidence = np.maximum(second, 1.0 - second)
    else:
        predicted = output.argmax(axis=1)
        confidence = np.take_along_axis(probability, predicted[:, None], axis=1)[:, 0]
    return Predictions(
        predicted.astype(np.int64), probability.astype(np.float32), confidence.astype(np.float32)
    )


def log_odds_of(output: NDArray[Any], multilabel: bool) -> NDArray[np.float64]:
    """The logarithm of p / (1 - p) of each class, in the finite raw output (k,) of one input.

    It orders inputs as their probabilities do, also where these round to 0 or 1: float32 has the
    sigmoid of 17 and of 30 as 1. Of a softmax it is ``z_c - log(sum of exp(z_j) over j != c)``;
    of one output, and for ``multilabel``, the output itself.
    """
    wide: NDArray[np.float64] = output.astype(np.float64)
    if multilabel or wide.size < 2:
        return wide
    top = int(wide.argmax())
    shares = np.exp(wide - wide[top])
    # A difference from the sum is exact enough for all but the highest, which is most of it.
    shares[top] = 0.0
    rest = wide[top] + np.log1p(np.maximum(shares.sum() - shares, 0.0))
    others = np.delete(wide, top)
    second = others.max()
    rest[top] = second + np.log(np.exp(others - second).sum())
    log_odds: NDArray[np.float64] = wide - rest
    return log_odds

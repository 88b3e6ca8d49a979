"""The answer of a case from those of its slices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import InputError


def pooled_output(output: NDArray[np.float32], pool: str) -> NDArray[np.float32]:
    """The outputs (m, k) of m slices as one (k,): their highest for "max", else their mean."""
    pooled = output.max(axis=0) if pool == "max" else output.mean(axis=0, dtype=np.float64)
    return np.asarray(pooled, np.float32)


def pooled_probability(
    probability: NDArray[np.float32], pool: str
) -> tuple[NDArray[np.float32], int]:
    """The probabilities (m, k) of m slices as one (k,), and the class of the highest.

    For each class by itself the mean, the highest, or the noisy-or ``1 - prod(1 - p)``, the
    probability that at least one slice shows it if slices are independent (Pearl 1988, section
    4.3.2). Of "max" and "noisy-or" the classes need not add up to 1. Ties: the lowest class. One
    output between two classes (k is 1) is the probability of class 1, predicted from 0.5 on.
    """
    wide = probability.astype(np.float64)
    if pool == "mean":
        order: NDArray[Any] = wide.mean(axis=0)
        pooled = order
    elif pool == "max":
        order = pooled = wide.max(axis=0)
    else:
        # By logarithms: hundreds of slices bring several classes within rounding of 1.
        with np.errstate(divide="ignore"):
            order = -np.log1p(-wide).sum(axis=0)
        pooled = -np.expm1(-order)
    if len(pooled) == 1:
        return pooled.astype(np.float32), int(pooled[0] >= 0.5)
    return pooled.astype(np.float32), int(order.argmax())


def check_pool(pool: str, classes: bool) -> None:
    """InputError for a rule that is for probabilities where there are none."""
    if pool == "noisy-or" and not classes:
        raise InputError(
            "--pool noisy-or is for probabilities, and the model is a regression: use mean or max"
        )

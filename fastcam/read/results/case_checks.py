"""One case of a results file: every key checked, then a ``Case``."""

from __future__ import annotations

import difflib
import re

import numpy as np
from numpy.typing import NDArray

from fastcam.errors import CaseError
from fastcam.read.results.case import Case
from fastcam.read.results.positions import Column, check_patches, columns_of
from fastcam.read.results.scalars import boolean, integer, printable, share, text

REQUIRED = (
    "patient_name",
    "true_label",
    "predicted_label",
    "is_correct",
    "prob_class_0",
    "confidence",
    "attention_weights",
    "positions",
)
KNOWN = (*REQUIRED, "num_patches")
_PROBABILITY = re.compile(r"prob_class_([0-9]{1,4})")
# Softmax in float16 is off by this much.
_SUM_TOLERANCE = 5e-3
_CONFIDENCE_TOLERANCE = 1e-3


def name_of(number: int, record: dict[str, object]) -> str:
    """The name of case ``number`` (from 1); CaseError if it has none."""
    _demand_key(record, "patient_name", f"case {number}")
    return text(record["patient_name"], f"case {number}: patient_name")


def check_case(number: int, record: dict[str, object]) -> tuple[Case, list[str]]:
    """Case ``number`` (from 1) and what is odd about it, as one line each.

    ``record`` is a dict of the results file; out of an ``.npz`` its ``positions`` are a dict of
    ``Column``. Raises CaseError naming case, position, key and value.
    """
    name = name_of(number, record)
    where = f"case {number} {printable(name)}"
    for key in REQUIRED:
        _demand_key(record, key, where)
    positions = record["positions"]
    weights = _weights(record["attention_weights"], where)
    if isinstance(positions, dict) and all(isinstance(c, Column) for c in positions.values()):
        count, columns = len(weights), positions
    else:
        count, columns = columns_of(positions, where)
    if count != len(weights):
        raise CaseError(
            f"{where}: attention_weights has {len(weights)} values, but positions has {count}; "
            "there must be one for each patch"
        )
    if "num_patches" in record:
        stated = integer(record["num_patches"], f"{where}: num_patches")
        if stated != count:
            raise CaseError(f"{where}: num_patches is {stated}, but positions has {count}")
    if count == 0:
        raise CaseError(f"{where}: it has no patches, so there is nothing to draw")
    patches = check_patches(count, columns, where)
    case = Case(
        place=number,
        name=name,
        true_label=integer(record["true_label"], f"{where}: true_label"),
        predicted_label=integer(record["predicted_label"], f"{where}: predicted_label"),
        correct=boolean(record["is_correct"], f"{where}: is_correct"),
        confidence=share(record["confidence"], f"{where}: confidence"),
        probabilities=_probabilities(record, where),
        weights=weights,
        boxes=patches.boxes,
        slices=patches.slices,
        roi=patches.roi,
        mask_ratio=patches.mask_ratio,
    )
    return case, _oddities(case)


def _demand_key(record: dict[str, object], key: str, where: str) -> None:
    if key in record:
        return
    unknown = [other for other in record if isinstance(other, str) and other not in KNOWN]
    near = difflib.get_close_matches(key, unknown, n=1, cutoff=0.75)
    hint = f" (rename {printable(near[0])}?)" if near else ""
    raise CaseError(f"{where}: the key {key!r} is missing{hint}")


def _weights(value: object, where: str) -> NDArray[np.float32]:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" and array.size == 0 and array.ndim == 1:
        array = array.astype(np.float32)
    if array.dtype.kind not in "iuf" or array.ndim != 1:
        shape = f"{array.dtype} of shape {array.shape}"
        description = shape if array.ndim else printable(value)
        raise CaseError(
            f"{where}: attention_weights is {description}, must be N numbers, one per patch"
        )
    with np.errstate(over="ignore"):
        weights = array.astype(np.float32)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        index = int(np.argmax(bad))
        raise CaseError(
            f"{where}: attention_weights[{index}] is {printable(array[index])}, must be finite and "
            "0 or more"
        )
    return weights


def _probabilities(record: dict[str, object], where: str) -> tuple[float, ...]:
    keys = sorted(
        (int(match[1]), key)
        for key in record
        if isinstance(key, str) and (match := _PROBABILITY.fullmatch(key))
    )
    for expected, (number, _) in enumerate(keys):
        if number != expected:
            raise CaseError(f"{where}: the key 'prob_class_{expected}' is missing")
    return tuple(share(record[key], f"{where}: {key}") for _, key in keys)


def _oddities(case: Case) -> list[str]:
    oddities = []
    largest = max(case.probabilities)
    if abs(case.confidence - largest) > _CONFIDENCE_TOLERANCE:
        oddities.append(
            f"confidence is {case.confidence:.4f}, but the largest probability is {largest:.4f}; "
            "the confidence is shown as it stands"
        )
    if case.correct != (case.true_label == case.predicted_label):
        oddities.append(
            f"is_correct is {case.correct}, but true_label is {case.true_label} and "
            f"predicted_label {case.predicted_label}; is_correct is shown as it stands"
        )
    total = float(case.weights.sum(dtype=np.float64))
    if abs(total - 1) > _SUM_TOLERANCE:
        oddities.append(f"attention_weights sum to {total:.4g}, not 1; they are used as they stand")
    return oddities

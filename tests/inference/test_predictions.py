"""Raw outputs to predictions: against formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from fastcam.errors import InputError
from fastcam.inference.predictions import log_odds_of, predictions_of


def test_classes_by_softmax() -> None:
    said = predictions_of(np.array([[0.0, math.log(3.0)], [1000.0, 0.0]], np.float32))
    assert said.prediction is not None
    assert said.prediction.tolist() == [1, 0]
    np.testing.assert_allclose(said.probability, [[0.25, 0.75], [1.0, 0.0]], atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(said.confidence, [0.75, 1.0], atol=1e-6)  # type: ignore[arg-type]


def test_one_output_is_a_regression() -> None:
    said = predictions_of(np.array([[3.5]], np.float32))
    assert (said.prediction, said.probability, said.confidence) == (None, None, None)


def test_multilabel_by_sigmoid() -> None:
    said = predictions_of(np.array([[0.0, math.log(4.0)]], np.float32), "multilabel")
    np.testing.assert_allclose(said.probability, [[0.5, 0.8]], atol=1e-6)  # type: ignore[arg-type]
    assert said.prediction is not None
    assert said.prediction.tolist() == [1]


def test_one_class_is_none() -> None:
    with pytest.raises(InputError, match="has one output"):
        predictions_of(np.zeros((1, 1), np.float32), "classification")


def test_unknown_task() -> None:
    with pytest.raises(InputError, match="--task 'x' is not known"):
        predictions_of(np.zeros((1, 1), np.float32), "x")  # type: ignore[arg-type]


def test_one_output_between_two_classes() -> None:
    """Its sigmoid is the probability of class 1."""
    said = predictions_of(np.log([[4.0], [0.25], [1.0]]), "multilabel")
    assert said.prediction is not None
    assert said.prediction.tolist() == [1, 0, 1]
    np.testing.assert_allclose(said.probability, [[0.8], [0.2], [0.5]], atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(said.confidence, [0.8, 0.8, 0.5], atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "logits", [[0.3, -1.2], [2.0, 1.0, 0.5, -3.0], [1000.0, 900.0, -1000.0], [5.0] * 4]
)
def test_log_odds_of_a_softmax(logits: list[float]) -> None:
    found = log_odds_of(np.array(logits, np.float32), multilabel=False)
    values = np.array(logits, np.float32).astype(float)
    others = [logsumexp(np.delete(values, c)) for c in range(len(values))]
    np.testing.assert_allclose(found, values - others, rtol=1e-12)


def test_log_odds_order_what_is_rounded_to_one() -> None:
    steep = np.array([[17.0], [18.0], [30.0]], np.float32)
    assert predictions_of(steep, "multilabel").probability == pytest.approx(1.0, abs=1e-7)
    assert [float(log_odds_of(row, multilabel=True)[0]) for row in steep] == [17.0, 18.0, 30.0]
    pairs = [log_odds_of(np.array([z, 0.0, -z], np.float32), False)[0] for z in (40.0, 50.0, 900.0)]
    assert pairs == sorted(set(pairs))

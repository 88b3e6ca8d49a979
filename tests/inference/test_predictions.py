"""Raw outputs to predictions: against formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastcam.errors import InputError
from fastcam.inference.predictions import predictions_of


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

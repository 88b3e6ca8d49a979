from __future__ import annotations

from typing import Any

import pytest
import torch

from fastcam.attribution.targets import target_scores
from fastcam.errors import InputError

LOGITS = torch.tensor([[1.0, 5.0, 2.0], [4.0, 0.0, -1.0]])


@pytest.mark.parametrize(
    ("targets", "classes", "several"),
    [
        (None, [[1], [0]], False),
        (2, [[2], [2]], False),
        ([2, 0], [[2], [0]], False),
        (torch.tensor([0, 1]), [[0], [1]], False),
        ([[0, 1], [2, 1]], [[0, 1], [2, 1]], True),
        ([[2, 0]], [[2, 0], [2, 0]], True),
        (torch.tensor([[1], [1]]), [[1], [1]], True),
    ],
)
def test_what_is_explained(targets: Any, classes: list[list[int]], several: bool) -> None:
    scores = target_scores(targets, LOGITS)
    assert scores.classes is not None
    assert scores.classes.tolist() == classes
    assert scores.several is several
    assert scores.values.tolist() == [
        [float(row[c]) for c in chosen] for row, chosen in zip(LOGITS, classes, strict=True)
    ]


@pytest.mark.parametrize("output", [torch.ones(4, 1), torch.ones(4), (torch.ones(4, 1), None)])
def test_a_regression_explains_its_number(output: Any) -> None:
    scores = target_scores(None, output)
    assert scores.values.tolist() == [[1.0]] * 4
    assert scores.classes is not None
    assert scores.classes.tolist() == [[0]] * 4


def test_a_callable_gets_the_models_own_output() -> None:
    output = {"logits": LOGITS, "extra": torch.ones(2, 3, 4)}
    scores = target_scores(lambda out: out["extra"].sum((1, 2)) * 2, output)
    assert scores.values.tolist() == [[24.0], [24.0]]
    assert (scores.classes, scores.several) == (None, False)
    assert scores.output.tolist() == LOGITS.tolist()
    dense = target_scores(lambda out: out.mean((1, 2, 3)), torch.ones(2, 3, 4, 4))
    assert dense.output.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([0, 1, 2], "3 targets for a batch of 2"),
        ([0], "1 targets for a batch of 2"),
        ([[0, 1]] * 3, "3 targets for a batch of 2"),
        (3, "target 3: the model has 3 outputs, 0 to 2"),
        ([0, -1], "target -1"),
        ([[0, 7], [0, 1]], "target 7"),
        ([0.5, 1.0], "whole numbers"),
        ([True, False], "whole numbers"),
        ([[0, 1], [2]], "rows of one length"),
        ("cat", "not whole numbers"),
        ([], "shape"),
        (lambda out: out, r"shape \(2, 3\)"),
        (lambda out: 3.0, "one number an image"),
        (lambda out: out[:1, 0], "1 numbers for 2 images"),
    ],
)
def test_wrong_targets(targets: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        target_scores(targets, LOGITS)

"""Which cases are drawn."""

from __future__ import annotations

import pytest

from fastcam.errors import InputError
from fastcam.jobs.render.case_selection import select
from fastcam.options import Selection
from fastcam.read.results.results import RejectedCase
from fastcam.store.patches import CaseHeader


def header(place: int, name: str, correct: bool = True) -> CaseHeader:
    return CaseHeader(
        place=place,
        name=name,
        true_label=1,
        predicted_label=int(correct),
        correct=correct,
        confidence=0.9,
        probabilities=(0.1, 0.9),
        patches=3,
    )


HEADERS = [
    header(1, "a"),
    header(2, "b", False),
    header(3, "c"),
    header(4, "b"),
    header(5, "d", False),
]


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(), [0, 1, 2, 3, 4]),
        (Selection(only_errors=True), [1, 4]),
        (Selection(patients=("b",)), [1, 3]),
        (Selection(patients=("c", "a")), [0, 2]),
        (Selection(patients=("b", "c"), only_errors=True), [1]),
        (Selection(max_samples=2), [0, 1]),
        (Selection(offset=3), [3, 4]),
        (Selection(offset=1, max_samples=2), [1, 2]),
        (Selection(offset=1, max_samples=9, only_errors=True), [4]),
        (Selection(offset=9), []),
    ],
)
def test_selection_filters_first_and_then_counts(selection, chosen):
    assert select(HEADERS, selection) == chosen


def test_an_unknown_patient_is_named_with_its_likes():
    headers = [header(1, "patient_001"), header(2, "patient_002")]
    with pytest.raises(InputError, match="'patient_01' is not among the 2 cases; did you mean p"):
        select(headers, Selection(patients=("patient_01",)))
    with pytest.raises(InputError, match=r"'xyz' is not among the 2 cases$"):
        select(headers, Selection(patients=("xyz",)))


def test_a_rejected_patient_is_named_with_its_reason():
    rejected = [RejectedCase(2, "bad", "weights are NaN")]
    with pytest.raises(InputError, match="'bad' can't be drawn: weights are NaN"):
        select([header(1, "a")], Selection(patients=("bad",)), rejected)
    assert select([header(1, "a")], Selection(patients=("a",)), rejected) == [0]

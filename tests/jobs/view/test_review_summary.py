from __future__ import annotations

import json

import pytest

from fastcam.errors import InputError
from fastcam.jobs.view.review_file import Judgement, ReviewFile
from fastcam.jobs.view.review_summary import review_files, review_summary, summary_text
from tests.jobs.view.sample_rooms import patch_run

MARKS = {
    "ann": {"p0": "good", "p1": "good", "p2": "bad"},
    "bob": {"p0": "good", "p1": "bad", "p2": "bad"},
}


@pytest.fixture
def judged(tmp_path):
    patch_run(tmp_path)
    for reader, marks in MARKS.items():
        file = ReviewFile(tmp_path / f"review-{reader}.tsv")
        for case, mark in marks.items():
            file.append(Judgement(case=case, mark=mark, reader=reader, note="n" * (case == "p0")))
    return tmp_path


def test_readers_are_compared_by_hand(judged) -> None:
    summary = review_summary(review_files(judged))
    assert summary.marks == {"ann": {"good": 2, "bad": 1}, "bob": {"bad": 2, "good": 1}}
    (pair,) = summary.pairs
    # 2 of 3 alike; by chance 2/3 * 1/3 + 1/3 * 2/3 = 4/9: (2/3 - 4/9) / (1 - 4/9) = 0.4.
    assert (pair.readers, pair.cases, pair.same) == (("ann", "bob"), 3, 2)
    assert pair.kappa == pytest.approx(0.4)
    assert summary.fleiss is None
    assert (summary.cases, summary.judgements, summary.notes) == (3, 6, 1)
    assert repr(summary) == "<review of 3 cases: 6 judgements, 2 readers>"
    assert summary.verdicts == ()


def test_three_readers_have_fleiss_kappa(judged) -> None:
    file = ReviewFile(judged / "review-cid.tsv")
    for case in ("p0", "p1"):
        file.append(Judgement(case=case, mark="good", reader="cid"))
    summary = review_summary(review_files(judged))
    assert summary.shared == 2
    # Of two cases one is unanimous, one 2 to 1; good 5 of 6, bad 1 of 6.
    observed, chance = (1 + 1 / 3) / 2, (5 / 6) ** 2 + (1 / 6) ** 2
    assert summary.fleiss == pytest.approx((observed - chance) / (1 - chance))
    assert "Fleiss' kappa" in summary_text(summary)


def test_the_command_finds_the_run_beside_the_judgements(judged, fastcam) -> None:
    outcome = fastcam("review", judged, "--json")
    data = json.loads(outcome.out)
    assert outcome.code == 0
    assert data["verdicts"] == [
        {"mark": "bad", "right": 3, "wrong": 0, "unknown": 0},
        {"mark": "good", "right": 3, "wrong": 0, "unknown": 0},
    ]
    text = fastcam("review", judged).out
    assert "ann and bob: the same mark in 2 of 3 cases, Cohen's kappa 0.400" in text


def test_verdicts_are_those_of_the_cases(judged) -> None:
    summary = review_summary(review_files(judged), {"p0": True, "p1": False})
    rows = {row.mark: (row.right, row.wrong, row.unknown) for row in summary.verdicts}
    assert rows == {"good": (2, 1, 0), "bad": (0, 1, 2)}


def test_a_folder_without_judgements_is_said(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no review\*.tsv"):
        review_files(tmp_path)
    (tmp_path / "review.tsv").write_text("case\tmark\n")
    with pytest.raises(InputError, match="no judgement in it yet"):
        review_summary(review_files(tmp_path))

"""Judgements on disk: nothing is lost, by whichever crash, text or second reader."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcam.errors import InputError, OutputError
from fastcam.jobs.view.review_file import COLUMNS, Judgement, ReviewFile, latest, read_review

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_a_line_a_judgement_under_the_names_of_the_columns(tmp_path) -> None:
    file = ReviewFile(tmp_path / "review.tsv")
    assert file.read() == []
    written = file.append(Judgement(case="p1", mark="good", slice="3", reader="ann"))
    file.append(Judgement(case="p2", mark="bad", note="=1+1"))
    with (tmp_path / "review.tsv").open(newline="") as opened:
        rows = list(csv.DictReader(opened, delimiter="\t"))
    assert [row["case"] for row in rows] == ["p1", "p2"]
    assert rows[0]["mark"] == "good"
    assert rows[0]["note"] == "n/a"
    assert rows[1]["note"] == "'=1+1"  # no formula for a spreadsheet
    assert file.read()[0] == written
    assert file.read()[1].note == "=1+1"
    assert written.time.endswith("+00:00")


@given(case=TEXTS.filter(lambda text: text not in ("", "n/a")), note=TEXTS, reader=TEXTS)
def test_any_text_comes_back(tmp_path_factory, case, note, reader) -> None:
    path = tmp_path_factory.mktemp("texts") / "review.tsv"
    ReviewFile(path).append(Judgement(case=case, note=note, reader=reader, mark="1"))
    (judgement,) = read_review(path)
    assert (judgement.case, judgement.mark) == (case, "1")
    assert judgement.note == ("" if note == "n/a" else note)
    assert judgement.reader == ("" if reader == "n/a" else reader)
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("lost", [1, 2, 5, 17, 30])
def test_half_a_line_costs_only_itself(tmp_path, lost) -> None:
    path = tmp_path / "review.tsv"
    file = ReviewFile(path)
    for number in range(3):
        file.append(Judgement(case=f"p{number}", mark="1"))
    path.write_bytes(path.read_bytes()[:-lost])
    whole = ["p0", "p1"] if lost > 1 else ["p0", "p1", "p2"]  # but for its end it is there
    assert [judgement.case for judgement in file.read()] == whole
    file.append(Judgement(case="p3", mark="2"))
    assert [judgement.case for judgement in file.read()] == [*whole, "p3"]


def append_many(path: Path, reader: str) -> None:
    file = ReviewFile(path)
    for number in range(40):
        file.append(Judgement(case=f"p{number}", mark="1", reader=reader))


def test_readers_at_the_same_time_lose_nothing(tmp_path) -> None:
    path = tmp_path / "review.tsv"
    context = multiprocessing.get_context("fork")
    readers = [context.Process(target=append_many, args=(path, name)) for name in "abc"]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    judgements = read_review(path)
    assert len(judgements) == 120
    assert path.read_text().count("case\t") == 1
    for name in "abc":
        cases = [judgement.case for judgement in judgements if judgement.reader == name]
        assert cases == [f"p{number}" for number in range(40)]


def test_a_killed_process_has_lost_nothing_that_it_said_was_saved(tmp_path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from fastcam.jobs.view.review_file import Judgement, ReviewFile\n"
        f"file = ReviewFile(Path({str(tmp_path / 'review.tsv')!r}))\n"
        "for number in range(10000):\n"
        "    file.append(Judgement(case=f'p{number}', mark='1'))\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(25):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    said = 25 + len(process.stdout.read().split())
    process.wait()
    cases = [judgement.case for judgement in read_review(tmp_path / "review.tsv")]
    assert cases[:said] == [f"p{number}" for number in range(said)]
    assert len(cases) <= said + 1


def test_the_last_word_holds_and_can_be_taken_back() -> None:
    judgements = [
        Judgement(case="a", reader="x", mark="1"),
        Judgement(case="a", reader="x", mark="2"),
        Judgement(case="a", reader="y", mark="3"),
        Judgement(case="b", reader="x", mark="1"),
        Judgement(case="b", reader="x", mark=""),
    ]
    marks = {key: judgement.mark for key, judgement in latest(judgements).items()}
    assert marks == {("x", "a"): "2", ("y", "a"): "3"}


def test_another_file_is_left_alone(tmp_path) -> None:
    path = tmp_path / "review.tsv"
    path.write_text("subject\tage\n1\t2\n")
    with pytest.raises(InputError, match="has no columns case and mark"):
        read_review(path)
    with pytest.raises(OutputError, match="give another --review"):
        ReviewFile(path / "review.tsv").append(Judgement(case="a"))


def test_folders_of_a_file_are_made_for_the_first_judgement(tmp_path) -> None:
    file = ReviewFile(tmp_path / "a" / "b" / "review.tsv")
    file.check_place()
    assert not (tmp_path / "a").exists()
    file.append(Judgement(case="p0", mark="1"))
    assert [judgement.case for judgement in file.read()] == ["p0"]


def test_a_place_where_nothing_can_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="judgements can't be written there; give another"):
        ReviewFile(tmp_path / "file" / "review.tsv").check_place()


def test_the_columns_of_the_format() -> None:
    assert {"case", "slice", "method", "mark", "note", "reader", "time"} <= set(COLUMNS)

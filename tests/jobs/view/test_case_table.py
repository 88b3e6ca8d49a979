from __future__ import annotations

import pytest

from fastcam.errors import InputError
from fastcam.jobs.view.request import Judging, ViewRequest, parse_memory
from fastcam.jobs.view.room import Room
from fastcam.options import Sources
from tests.jobs.view.sample_rooms import patch_request, patch_run
from tests.sample_map_stores import image_store


def columns(room: Room, blind: bool = False) -> dict[str, list]:
    return {column["name"]: column["values"] for column in room.table.facts(blind)["columns"]}


def test_columns_of_a_store_of_maps(tmp_path) -> None:
    room = Room(ViewRequest(runs=(image_store(tmp_path).path,)))
    assert room.table.ids == ("a0", "a1", "a2")
    table = columns(room)
    assert table["label"] == ["1", "0", ""]
    assert table["prediction"] == ["1", "1", "1"]
    assert table["right"] == [True, False, None]
    assert table["confidence"] == pytest.approx([0.7] * 3)
    assert table["p0"] == pytest.approx([0.1] * 3)


def test_a_table_is_joined_by_its_ids(tmp_path) -> None:
    table = tmp_path / "facts.csv"
    table.write_text("patient,age,site\nP1,44.5,north\np0,30,south\nother,1,east\n")
    shown = columns(Room(patch_request(tmp_path, table=table)))
    assert shown["age"] == [30.0, 44.5, None]
    assert shown["site"] == ["south", "north", ""]


def test_a_table_of_other_cases_is_said(tmp_path) -> None:
    table = tmp_path / "facts.csv"
    table.write_text("patient,age\nx,1\ny,2\n")
    with pytest.raises(InputError, match="no column names the images"):
        Room(patch_request(tmp_path, table=table))


def test_cases_of_two_runs_are_joined(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = patch_run(tmp_path / "a", ("p0", "p1"))
    second = patch_run(tmp_path / "b", ("p1", "p2"))
    room = Room(
        ViewRequest(
            runs=(first, second), names=("A", "B"),
            sources=Sources(root_dir=tmp_path / "a" / "images"),
        )
    )  # fmt: skip
    assert room.table.ids == ("p0", "p1", "p2")
    assert room.table.indices == ((0, 1, None), (None, 0, 1))
    assert columns(room)["prediction · A"] == ["1", "1", ""]
    facts = room.case_facts(2)["runs"]
    assert facts[0]["error"] == "p2: is not in A"
    assert "no image of 'p2'" in facts[1]["error"]
    both = room.case_facts(1)["runs"]
    assert [own["best"] for own in both] == [3, 3]


def test_runs_of_one_name_are_told_apart(tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        patch_run(tmp_path / folder)
    paths = tuple(tmp_path / folder / "run.zarr" for folder in ("a", "b"))
    room = Room(ViewRequest(runs=paths, sources=Sources(root_dir=tmp_path / "a" / "images")))
    assert [run.name for run in room.runs] == ["a", "b"]


def test_a_blind_reader_is_told_nothing(tmp_path) -> None:
    (tmp_path / "facts.csv").write_text("patient,diagnosis\np0,tumour\n")
    room = Room(patch_request(tmp_path, table=tmp_path / "facts.csv", judging=Judging(blind=True)))
    assert set(columns(room, blind=True)) == {"patches"}
    told = str(room.facts()) + str(room.case_facts(0))
    for word in ("tumour", "label", "prediction", "correct", "confidence", "0.9"):
        assert word not in told


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("1.5g", 3 << 29), ("2GiB", 2 << 30), ("7", 7)]
)
def test_sizes_of_memory(text, size) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "M", "many", "-1G", "nan", "1T"])
def test_what_is_no_size_is_said(text) -> None:
    with pytest.raises(InputError, match="--memory"):
        parse_memory(text)


def test_a_run_that_is_not_there_is_said(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file or folder; give a run store"):
        Room(ViewRequest(runs=(tmp_path / "none.zarr",)))
    with pytest.raises(InputError, match="holds no run store"):
        Room(ViewRequest(runs=(tmp_path,)))

"""Columns of a table as the inputs of a model: images, numbers, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastcam.errors import InputError
from fastcam.read.inputs.input_tables import find_table_inputs
from fastcam.read.inputs.named_inputs import ModelInput, main_image, parse_inputs, read_inputs
from fastcam.read.inputs.tables import Row, Table

COLUMNS = {"image": "scan", "prior": "old_scan", "age": "age"}


def write(folder: Path, text: str) -> Path:
    for name in ("a", "b", "c"):
        (folder / "sub").mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(folder / "sub" / f"{name}.png")
        Image.new("L", (4, 4)).save(folder / f"{name}_old.png")
    table = folder / "table.csv"
    table.write_text(text, encoding="utf-8")
    return table


GOOD = 'Scan,old_scan,age,label\nsub/a.png,a_old.png,50,0\nsub/b.png,b_old.png,"61,5",1\n'


def test_a_row_is_a_case(tmp_path: Path) -> None:
    inputs, items = find_table_inputs([write(tmp_path, GOOD)], None, COLUMNS)
    assert inputs == (
        ModelInput("image", "Scan", "image"),
        ModelInput("prior", "old_scan", "image"),
        ModelInput("age", "age", "number"),
    )
    assert [(item.id, item.group, item.label) for item in items] == [
        ("a", "sub", "0"),
        ("b", "sub", "1"),
    ]
    assert items[1].source == tmp_path / "sub" / "b.png"
    assert items[1].inputs == (tmp_path / "sub/b.png", tmp_path / "b_old.png", 61.5)


def test_the_case_is_called_after_the_first_image(tmp_path: Path) -> None:
    inputs, items = find_table_inputs(
        [write(tmp_path, GOOD)], None, {"age": "age", "prior": "old_scan"}
    )
    assert main_image(inputs) == 1
    assert items[0].source == tmp_path / "a_old.png"


def test_a_folder_is_what_paths_are_relative_to(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "table.csv"
    table.write_text(GOOD, encoding="utf-8")
    _, items = find_table_inputs([tmp_path], table, COLUMNS)
    assert items[0].source == tmp_path / "sub" / "a.png"


def test_a_number_that_is_missing_costs_its_row(tmp_path: Path) -> None:
    text = GOOD + "sub/c.png,c_old.png,,1\nsub/a.png,b_old.png,n/a,1\n"
    text = text.replace("label", "id").replace(",1\n", ",x\n", 1).replace(",1\n", ",y\n", 1)
    _, items = find_table_inputs([write(tmp_path, text)], None, COLUMNS)
    assert items[2].inputs[2] == "row 4: age is empty, which is not a number"
    assert items[3].inputs[2] == "row 5: age is 'n/a', which is not a number"


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        (GOOD, {"image": "scam"}, r"no column 'scam' \(--input image=scam\).*did you mean 'Scan'"),
        (GOOD.replace("b_old", "d_old"), COLUMNS, r"1 of 2 files in column old_scan are missing"),
        (GOOD.replace("a_old.png", ""), COLUMNS, r"row 2 has no old_scan, which --input prior="),
        (GOOD, {"age": "age"}, r"age are numbers in .*; one input must be images"),
        ("scan,old_scan,age\n", COLUMNS, "names no image: it has a heading only"),
        (
            GOOD + "sub/a.png,b_old.png,3,1\n",
            COLUMNS,
            "two rows have the id 'a'; give the table a column id",
        ),
        (
            "scan,mask\nsub/a.png,none.png\n",
            {"image": "scan"},
            "row 2: the mask .*none.png is missing",
        ),
    ],
)
def test_what_is_wrong_with_a_table(
    text: str, columns: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        find_table_inputs([write(tmp_path, text)], None, columns)


def test_inputs_need_a_table(tmp_path: Path) -> None:
    table = write(tmp_path, GOOD)
    for sources in ([tmp_path], [tmp_path / "a_old.png"], [table, table], []):
        with pytest.raises(InputError, match="--input takes columns of a table"):
            find_table_inputs(sources, None, COLUMNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image", "give NAME=COLUMN"),
        ("=scan", "give NAME=COLUMN"),
        ("image=", "give NAME=COLUMN"),
        ("image=other", "'image' is given twice"),
    ],
)
def test_how_an_input_is_written(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_inputs(["image=scan", text])
    assert parse_inputs([" image = a=b "]) == {"image": "a=b"}


@settings(deadline=None)
@given(numbers=st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=5))
def test_numbers_come_in_as_they_stand_there(numbers: list[float]) -> None:
    rows = tuple(
        Row(n, {"scan": str(Path(__file__)), "x": repr(x)}) for n, x in enumerate(numbers, 2)
    )
    table = Table(Path("t.csv"), ("scan", "x"), rows)
    inputs, values = read_inputs(table, Path(), {"a": "scan", "x": "x"})
    assert [entry.kind for entry in inputs] == ["image", "number"]
    assert [row[1] for row in values] == numbers

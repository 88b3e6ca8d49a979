"""Many true values an image, as CheXpert and NIH have them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fastcam.errors import InputError
from fastcam.read.inputs.finding_columns import (
    finding_columns,
    finding_targets,
    label_text,
    label_values,
)
from fastcam.read.inputs.tables import Row, Table

CELLS = (
    {"id": "a", "age": "61", "Edema": "1", "Mass": "0", "Nodule": "", "all": "Edema|Mass"},
    {"id": "b", "age": "34", "Edema": "-1", "Mass": "1.0", "Nodule": "0", "all": "['Mass']"},
    {"id": "c", "age": "50", "Edema": "", "Mass": "nan", "Nodule": "-1", "all": ""},
    {"id": "d", "age": "50", "Edema": "0", "Mass": "1", "Nodule": "1", "all": "Mass; Cyst"},
)  # fmt: skip
NAMES = ("Edema", "Mass", "Nodule")


def _table() -> Table:
    rows = tuple(Row(number, dict(cells)) for number, cells in enumerate(CELLS, 2))
    return Table(Path("t.csv"), tuple(CELLS[0]), rows)


def test_columns_of_findings() -> None:
    table = _table()
    rows = dict(enumerate(table.rows))
    assert finding_columns(table, None, (), "id", 3) == NAMES
    assert finding_columns(table, "mass, edema", (), "id", 2) == ("Mass", "Edema")
    targets = finding_targets(rows, NAMES, (), 3)
    assert targets.names == NAMES
    assert targets.texts == {0: "1,0,", 1: ",1,0", 3: "0,1,1"}
    assert targets.errors == {2: "row 4: none of its findings is known"}
    assert targets.uncertain == {"Edema": 1, "Nodule": 1}


def test_lists_of_findings() -> None:
    table = _table()
    rows = dict(enumerate(table.rows))
    assert finding_columns(table, "all", NAMES, "id", 3) == ("all",)
    targets = finding_targets(rows, ("all",), NAMES, 3)
    assert targets.texts == {0: "1,1,0", 1: "0,1,0", 2: "0,0,0"}
    assert "'Cyst'" in targets.errors[3]
    with pytest.raises(InputError, match="--class-names gives 0 names"):
        finding_targets(rows, ("all",), (), 3)


@pytest.mark.parametrize(
    ("cell", "values", "uncertain"),
    [
        ("[1, 0, nan]", "1,0,", {}),
        ("1|0|1", "1,0,1", {}),
        ("(1.0; -1; 0)", "1,,0", {"Mass": 1}),
        ("1,,0", "1,,0", {}),
        ("['1', '0', '1']", "1,0,1", {}),
        ("true, false, False", "1,0,0", {}),
        ("", "0,0,0", {}),
        ("none", "0,0,0", {}),
    ],
)
def test_lists_of_values(cell: str, values: str, uncertain: dict[str, int]) -> None:
    targets = finding_targets({7: Row(9, {"all": cell})}, ("all",), NAMES, 3)
    assert targets.errors == {}
    assert targets.texts == {7: values}

    assert targets.uncertain == uncertain


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("[1, 0]", "row 9: all has 2 values, and there are 3 findings"),
        ("[nan, nan, nan]", "row 9: none of its findings is known"),
        ("[1, 0, 2]", "row 9: all has '1', which is none of the findings"),
    ],
)
def test_lists_of_values_that_say_nothing(cell: str, error: str) -> None:
    targets = finding_targets({7: Row(9, {"all": cell})}, ("all",), NAMES, 3)
    assert targets.texts == {}
    assert targets.errors[7].startswith(error)


def test_another_number_of_columns() -> None:
    with pytest.raises(InputError, match="the model has 5 outputs, and 3 columns are findings"):
        finding_columns(_table(), None, (), "id", 5)


def test_values_as_text() -> None:
    assert label_text((1.0, math.nan, 0.0)) == "1,,0"
    assert label_values("1,,0")[::2] == (1.0, 0.0)
    assert math.isnan(label_values("1,,0")[1])


def test_what_is_no_finding() -> None:
    rows = {0: Row(2, {"A": "1", "B": "2"})}
    targets = finding_targets(rows, ("A", "B"), (), 2)
    assert targets.errors[0] == "row 2: B is '2', which is none of 1, 0, -1 and empty"


def test_one_finding_is_no_list_of_several() -> None:
    rows = [Row(2, {"id": "a", "A": "1", "B": "0"}), Row(3, {"id": "b", "A": "", "B": "1"})]
    with pytest.raises(InputError, match=r"2 outputs, and 1 columns are findings \(A\): name them"):
        finding_columns(Table(Path("t.csv"), ("id", "A", "B"), tuple(rows)), "A", (), "id", 2)

"""True values: numbers, class numbers, class names."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastcam.errors import InputError
from fastcam.read.inputs.tables import Row, Table
from fastcam.read.inputs.target_column import classes, numbers, target_column


def rows(*cells: str) -> dict[int, Row]:
    return {at: Row(at + 2, {"y": cell}) for at, cell in enumerate(cells)}


def test_numbers() -> None:
    found = numbers(rows("34", "34,5", "-1e2", "", "n/a", "nan", "inf"), "y")
    assert found.values == {0: 34.0, 1: 34.5, 2: -100.0}
    assert list(found.errors) == [3, 4, 5, 6]
    assert found.errors[3] == "row 5: y is empty, which is not a number"
    assert found.errors[4] == "row 6: y is 'n/a', which is not a number"


def test_class_numbers() -> None:
    found = classes(rows("0", "2.0", "3", "1", "1.5", ""), "y", 3)
    assert found.values == {0: 0.0, 1: 2.0, 3: 1.0}
    assert found.names == ()
    assert "row 4: y is '3', which is not a class number from 0 to 2" in found.errors[2]
    assert list(found.errors) == [2, 4, 5]
    with pytest.raises(InputError, match=r"row 3: .* 2 of 3 rows; the model has 3 outputs"):
        classes(rows("1", "34.5", "-1"), "y", 3)


def test_class_names() -> None:
    found = classes(rows("b", "a", ""), "y", 2)
    assert (found.values, found.names) == ({0: 1.0, 1: 0.0}, ("a", "b"))
    assert "sorted order: a, b" in found.note
    assert list(found.errors) == [2]
    given = classes(rows("b", "a", "c"), "y", 2, ("b", "a"))
    assert given.values == {0: 0.0, 1: 1.0}
    assert "none of the classes b, a" in given.errors[2]
    with pytest.raises(InputError, match=r"holds names of 2 classes \(a, b\); the model has 3"):
        classes(rows("a", "b"), "y", 3)
    with pytest.raises(InputError, match="gives 1 names, but the model has 2"):
        classes(rows("a"), "y", 2, ("a",))


def test_the_rows_without_an_image_are_told_of() -> None:
    table = [*rows("a", "b", "", "a").values()]
    with pytest.raises(InputError) as error:
        classes({0: table[0], 3: table[3]}, "y", 2, table_rows=table)
    assert str(error.value) == (
        "column 'y' holds names of 1 class (a) in the rows of the images that were found, which "
        "alone count, and 2 in all its rows; the model has 2: give --class-names A,B,... in "
        "the order of its outputs"
    )
    with pytest.raises(InputError, match=r"of 2 classes \(a, b\); the model has 3"):
        classes(dict(enumerate(table)), "y", 3, table_rows=table)


def test_class_numbers_have_the_names_that_are_given() -> None:
    found = classes(rows("1", "0", "", "1.0"), "y", 2, ("Stable", "Unstable"))
    assert found.values == {0: 1.0, 1: 0.0, 3: 1.0}
    assert found.names == ("Stable", "Unstable")
    assert list(found.errors) == [2]
    other = classes(rows("1", "0", "2"), "y", 2, ("Stable", "Unstable"))
    assert other.values == {}
    assert "none of the classes Stable, Unstable" in other.errors[2]


def test_names_may_be_numbers() -> None:
    assert classes(rows("7", "5"), "y", 2, ("7", "5")).values == {0: 0.0, 1: 1.0}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("id", "Age", "x"), "Age"),
        (("id", "bone age"), "bone age"),
        (("label", "id", "a"), "label"),
    ],
)
def test_the_target_is_found(columns: tuple[str, ...], expected: str) -> None:
    assert target_column(Table(Path("t"), columns, ()), None, "id") == expected


def test_the_target_is_asked_for() -> None:
    with pytest.raises(InputError, match="give --target; it has id, a, b"):
        target_column(Table(Path("t"), ("id", "a", "b"), ()), None, "id")
    with pytest.raises(InputError, match="give --target"):
        target_column(Table(Path("t"), ("id", "age", "label"), ()), None, "id")

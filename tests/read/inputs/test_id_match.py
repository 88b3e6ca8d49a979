"""Ids of tables and images, brought together."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.read.inputs.id_match import match_rows
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.tables import Row, Table

ROOT = Path("/data/Images")


def items(*names: str) -> list[Item]:
    return [Item(name.rpartition(".")[0], "", ROOT / name) for name in names]


def table(*rows: tuple[str, str], columns: tuple[str, str] = ("id", "age")) -> Table:
    lines = [Row(n, dict(zip(columns, row, strict=True))) for n, row in enumerate(rows, 2)]
    return Table(Path("t.csv"), columns, tuple(lines))


def ages(images: list[Item], found: Table, column: str | None = None) -> dict[str, str]:
    matched = match_rows(images, found, "age", column)
    return {images[place].id: row.cells["age"] for place, row in matched.rows.items()}


@pytest.mark.parametrize(
    "written",
    [
        "b",
        "b.png",
        "b.jpg",
        "B.PNG",
        "sub/b.png",
        "Images/sub/b",
        "./sub/b.tif",
        r"C:\x\sub\b.bmp",
        "/elsewhere/b.nii.gz",
        "b ",
    ],
)
def test_folders_suffixes_and_case_are_forgiven(written: str) -> None:
    images = items("a.png", "sub/b.png")
    assert ages(images, table(("a", "1"), (written.strip(), "2"))) == {"a": "1", "sub/b": "2"}


@pytest.mark.parametrize("written", ["7", "07", "7.0", "0007.png"])
def test_zeros_that_a_spreadsheet_drops(written: str) -> None:
    assert ages(items("007.png", "070.png"), table((written, "1"))) == {"007": "1"}


def test_folders_decide_between_images_of_one_name() -> None:
    images = items("x/a.png", "y/a.png")
    assert ages(images, table(("x/a", "1"), ("Y/a.jpg", "2"))) == {"x/a": "1", "y/a": "2"}
    found = match_rows(images, table(("x/a", "1"), ("a", "2")), "age", "id")
    assert list(found.rows) == [0]
    assert [(e.what, e.name, e.row) for e in found.unmatched] == [
        ("row", "a", 3),
        ("image", "y/a", 0),
    ]
    assert "fits 2 images" in found.unmatched[0].reason


def test_the_suffix_decides_where_all_else_is_alike() -> None:
    images = [Item("a.png", "", ROOT / "a.png"), Item("a.jpg", "", ROOT / "a.jpg")]
    assert ages(images, table(("a.JPG", "2"), ("x/a.png", "1"))) == {"a.png": "1", "a.jpg": "2"}
    found = match_rows(images, table(("a", "2"), ("a.png", "1")), "age", "id")
    assert list(found.rows) == [0]
    assert "fits 2 images" in found.unmatched[0].reason


def test_exact_case_goes_first() -> None:
    images = items("a.png", "A.png")
    assert ages(images, table(("A", "2"), ("a", "1"))) == {"a": "1", "A": "2"}


def test_nobody_is_dropped_silently() -> None:
    found = match_rows(
        items("a.png", "b.png", "c.png"),
        table(("a", "1"), ("ghost", "2"), ("", "3"), ("b", "4"), ("b.png", "4")),
        "age",
        None,
    )
    assert sorted(found.rows) == [0, 1]
    assert not found.errors
    assert [(e.what, e.name, e.row) for e in found.unmatched] == [
        ("row", "ghost", 3),
        ("row", "", 4),
        ("duplicate", "b.png", 6),
        ("image", "c", 0),
    ]
    assert (found.count("row"), found.count("duplicate")) == (2, 1)


def test_rows_that_contradict_each_other() -> None:
    found = match_rows(
        items("a.png", "b.png"), table(("a", "1"), ("a", "2"), ("b", "3")), "age", None
    )
    assert list(found.rows) == [1]
    assert found.errors == {0: "rows 2, 3 give it different values of 'age'"}
    assert not found.unmatched


def test_the_column_of_ids_is_found() -> None:
    columns = ("site", "when", "scan", "age")
    lines = [
        Row(n, dict(zip(columns, ("1", "2020", f"s{n}.dcm", f"{n}"), strict=True))) for n in (2, 3)
    ]
    found = match_rows(
        items("s2.png", "s3.png"), Table(Path("t"), columns, tuple(lines)), "age", None
    )
    assert found.column == "scan"


def test_the_target_is_never_the_column_of_ids() -> None:
    images = items("1.png", "2.png", "3.png")
    assert match_rows(images, table(("1", "2"), ("x", "3"), ("y", "1")), "age", None).column == "id"


def test_nothing_fits() -> None:
    with pytest.raises(InputError, match="no column names the images: the first row has id 'q'"):
        match_rows(items("a.png"), table(("q", "1")), "age", None)
    with pytest.raises(InputError, match="none of its 1 rows fits an image; column 'id' has q"):
        match_rows(items("a.png"), table(("q", "1")), "age", "id")
    with pytest.raises(InputError, match="has no column 'ids'"):
        match_rows(items("a.png"), table(("q", "1")), "age", "ids")


NAMES = st.text("abcxyz019_-.", min_size=1, max_size=6).filter(lambda n: n.strip(".") == n)
FOLDERS = st.lists(st.sampled_from(["x", "y", "Images", "deep er"]), max_size=2)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(FOLDERS, NAMES), min_size=1, max_size=8, unique_by=lambda p: p[1].casefold()
    ),
    st.data(),
)
def test_any_spelling_of_a_unique_name_finds_its_image(
    paths: list[tuple[list[str], str]], data: st.DataObject
) -> None:
    images = items(*("/".join([*folders, f"{name}.png"]) for folders, name in paths))
    rows = []
    for at, (folders, name) in enumerate(paths):
        kept = folders if data.draw(st.booleans()) else []
        suffix = data.draw(st.sampled_from(["", ".png", ".JPG", ".nii.gz"]))
        before = data.draw(st.sampled_from(["", "./", "/mnt/"]))
        # Without a suffix the name's own end may look like one: then it isn't the same name.
        if not suffix:
            name = f"{name}.png" if "." in name else name
        rows.append((before + "/".join([*kept, name]) + suffix, str(at)))
    found = match_rows(images, table(*rows), "age", "id")
    assert {place: row.cells["age"] for place, row in found.rows.items()} == {
        at: str(at) for at in range(len(images))
    }
    assert not found.unmatched

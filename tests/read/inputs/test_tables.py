"""Tables in every format say the same."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item, find_inputs
from fastcam.read.inputs.table_cells import cell_text
from fastcam.read.inputs.tables import Table, read_cells

HEADING: list[object] = ["ID", " age ", "sex"]
LINES: list[list[object]] = [["007", 34.5, "f"], [None, None, None], ["b/x.png", 41.0, "männlich"]]
EXPECTED = [("007", "34.5", "f"), ("b/x.png", "41", "männlich")]


def write_sheet(path: Path, lines: list[list[object]]) -> Path:
    pytest.importorskip("python_calamine")
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("values")
    for line in lines:
        sheet.append(line)
    book.save(path)
    return path


def write_text(path: Path, delimiter: str) -> Path:
    rows = [HEADING, *LINES]
    text = "\r\n".join(delimiter.join("" if c is None else str(c) for c in row) for row in rows)
    path.write_text(text, encoding="utf-8-sig")
    return path


def values(table: Table) -> list[tuple[str, ...]]:
    return [tuple(row.cells[name] for name in table.columns) for row in table.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_text(tmp_path: Path, delimiter: str) -> None:
    table = read_cells(write_text(tmp_path / "t.csv", delimiter))
    assert table.columns == ("ID", "age", "sex")
    assert values(table) == [("007", "34.5", "f"), ("b/x.png", "41.0", "männlich")]
    # As an editor counts: the empty line is line 3.
    assert [row.number for row in table.rows] == [2, 4]


def test_a_workbook(tmp_path: Path) -> None:
    table = read_cells(write_sheet(tmp_path / "t.xlsx", [HEADING, *LINES]))
    assert table.columns == ("ID", "age", "sex")
    assert values(table) == EXPECTED
    assert [row.number for row in table.rows] == [2, 4]


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {name: [line[at] for line in LINES] for at, name in enumerate(HEADING)}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert values(read_cells(tmp_path / "t.parquet")) == EXPECTED


def test_a_quoted_cell_may_hold_a_line_end(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"x\ny",1\nz,2\n')
    assert values(read_cells(tmp_path / "t.csv")) == [("x\ny", "1"), ("z", "2")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.0, "7"),
        (7, "7"),
        (7.25, "7.25"),
        (float("nan"), ""),
        (None, ""),
        (" a ", "a"),
        (True, "1"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (1e300, "1e+300"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_a_short_row_and_a_column_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,,b\n1,note\n,only a note,\n")
    assert values(read_cells(tmp_path / "t.csv")) == [("1", "")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.doc", b"x", "is not a table: fastcam reads .csv"),
        ("t.csv", b"a,a\n1,2\n", "two columns called 'a'"),
        ("t.csv", b"\xff\xfe", "is not UTF-8"),
        ("t.xlsx", b"PK", "is not a readable workbook"),
        ("t.parquet", b"PAR1", "is no Parquet file"),
        ("no.csv", None, "can't be read"),
        ("no.xlsx", None, "does not exist"),
    ],
)
def test_what_is_wrong(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if name.startswith("t."):
        for suffix, library in ((".parquet", "pyarrow"), (".xlsx", "python_calamine")):
            if name.endswith(suffix):
                pytest.importorskip(library)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_cells(tmp_path / name)
    assert name in str(caught.value)


def test_columns_by_name(tmp_path: Path) -> None:
    table = read_cells(write_text(tmp_path / "t.csv", ","))
    assert table.column("--target", "AGE") == "age"
    with pytest.raises(InputError, match=r"no column 'aged' \(--target\); it has ID, age, sex"):
        table.column("--target", "aged")
    with pytest.raises(InputError, match="did you mean 'age'"):
        table.column("--target", "aged")


def test_a_workbook_is_a_table_of_infer_too(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    table = write_sheet(tmp_path / "t.xlsx", [["File", "label"], ["a.png", 1.0]])
    assert find_inputs([table]) == [Item("a", "", tmp_path / "a.png", None, "1")]


def test_a_row_of_more_cells_than_the_first_is_refused(tmp_path: Path) -> None:
    """A decimal comma that isn't quoted would make 0 of 0,5."""
    path = tmp_path / "t.csv"
    path.write_text("image,value\na.png,1\nb.png,0,5\n")
    with pytest.raises(InputError, match=r"t\.csv: row 3 has 3 cells, but the first row 2"):
        read_cells(path)
    path.write_text('image,value\na.png,1,\nb.png,"0,5",,\n')
    assert [row.cells["value"] for row in read_cells(path).rows] == ["1", "0,5"]

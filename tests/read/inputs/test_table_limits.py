"""Tables that take more than their size allows, and tables that are merely large."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fastcam.errors import InputError
from fastcam.read.inputs.id_match import match_rows
from fastcam.read.inputs.inputs import Item
from fastcam.read.inputs.tables import read_cells

openpyxl = pytest.importorskip("openpyxl")


MEASURE = """
import resource, sys
from pathlib import Path
from fastcam.errors import InputError
from fastcam.read.inputs.tables import read_cells
try:
    read_cells(Path(sys.argv[1]))
except InputError:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def far_cell(path: Path, *cells: str) -> Path:
    book = openpyxl.Workbook()
    for cell in cells:
        book.active[cell] = "x"
    book.save(path)
    return path


@pytest.mark.parametrize("cells", [["XFD1048576"], ["A1", "XFD1048576"]])
def test_a_cell_in_the_last_corner_is_refused(tmp_path: Path, cells: list[str]) -> None:
    path = far_cell(tmp_path / "far.xlsx", *cells)
    assert path.stat().st_size < 6000
    with pytest.raises(InputError, match="takes more memory or time than its size allows"):
        read_cells(path)
    # Measured from a small process: what one starts is counted as at least its own size.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 512 * 1024


def test_an_open_document_of_repeated_cells_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "far.ods"
    cell = '<table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell>'
    rows = "".join(
        f'<table:table-row table:number-rows-repeated="{count}">'
        f'<table:table-cell table:number-columns-repeated="16383"/>{cell}</table:table-row>'
        for count in (1, 1_048_574)
    )
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"'
        for short in ("office", "table", "text")
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet>"
            f'<table:table table:name="a">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    with pytest.raises(InputError) as caught:
        read_cells(path)
    assert str(caught.value).startswith(f"{path}: is ")


@pytest.mark.parametrize("suffix", [".xlsx", ".ods"])
def test_a_workbook_that_inflates_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bomb{suffix}"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as member,
    ):
        for _ in range(200):
            member.write(b" " * (1 << 20))
    with pytest.raises(InputError, match="refused as a zip bomb"):
        read_cells(path)


def long_cell(path: Path) -> None:
    """Two rows, one of which has a text of 200 MB."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"image": ["00", "x" * 200_000_000], "class": ["0", "1"]})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False)


def alike_cells(path: Path) -> None:
    """A text of 10 MB that is in the file once, and in 5,000 cells."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    zeros = pa.array([0] * 5000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(zeros, pa.array(["x" * 10_000_000]))
    parquet.write_table(pa.table({"note": texts}), path, compression="zstd")


@pytest.mark.parametrize("write", [long_cell, alike_cells])
def test_huge_texts_in_a_parquet_file_are_refused(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "huge.parquet"
    write(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="cells take more memory or time") as caught:
        read_cells(path)
    assert "\n" not in str(caught.value)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 512 * 1024


def test_a_limit_of_the_system_is_kept(tmp_path: Path) -> None:
    # As `ulimit -v` sets it: a limit may not be raised.
    path = far_cell(tmp_path / "a.xlsx", "A1")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 34, 1 << 34));"
        "from pathlib import Path; from fastcam.read.inputs import table_cells;"
        "print(table_cells.read_apart(Path(sys.argv[1]), 1 << 40))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[['x']]\n", "")


def test_no_file_beside_the_data_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python_calamine", "json", "datetime"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    path = far_cell(tmp_path / "a.xlsx", "A1")
    monkeypatch.chdir(tmp_path)
    assert read_cells(path).columns == ("x",)


def test_thousands_of_columns_are_read_and_few_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = [f"c{number}" for number in range(30_000)]
    path.write_text("\n".join([",".join(["id", *names]), "A,1,2", "B,3,4"]))
    table = read_cells(path)
    assert len(table.columns) == 30_001
    assert table.rows[0].cells["c1"] == "2"
    assert table.rows[1].cells["c29999"] == ""
    with pytest.raises(InputError, match="it has id, c0, c1, c2, c3, c4, c5, c6 and 29993 more"):
        table.column("--target", "none of them")
    items = [Item(name, "", Path(f"/data/{name}.png")) for name in "AB"]
    assert match_rows(items, table, "c0", None).column == "id"


def work(function: Callable[..., object], *arguments: object) -> int:
    """Calls of Python functions that a call makes."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return count


def test_many_images_of_one_name_take_work_in_proportion(tmp_path: Path) -> None:
    def calls(count: int) -> int:
        items = [Item(f"f{n}/A", "", Path(f"/data/f{n}/A.png")) for n in range(count)]
        path = tmp_path / f"{count}.csv"
        path.write_text("id,age\n" + "".join(f"f{n}/A,{n}\nA,1\n" for n in range(count)))
        table = read_cells(path)
        matches = match_rows(items, table, "age", None)
        assert len(matches.rows) == count
        assert [matches.rows[n].cells["age"] for n in (0, count - 1)] == ["0", str(count - 1)]
        return work(match_rows, items, table, "age", None)

    assert calls(800) < 2.2 * calls(400)

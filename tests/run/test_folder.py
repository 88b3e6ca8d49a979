from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fastcam.errors import InputError, OutputError
from fastcam.run.failures import FAILURES, read_failures
from fastcam.run.folder import FIGURES, RUN, RunFolder
from fastcam.run.input_files import InputRecord
from fastcam.run.journal import Journal, parsed_rows
from fastcam.run.records import Failure, FigureRecord

SETTINGS = {"top_k": 3, "root_dir": Path("/data"), "heat_alpha": 0.5}


def drawn(path: str, place: int = 1, index: int | None = 4, case: str = "p") -> FigureRecord:
    return FigureRecord(
        path=path,
        place=place,
        case=case,
        slice=index,
        best=True,
        average=0.25,
        low=0.0,
        high=0.1 + 0.2,
    )


def draw(folder: RunFolder, *records: FigureRecord) -> None:
    """Make the files and list them."""
    for record in records:
        path = folder.path / record.path
        path.parent.mkdir(exist_ok=True)
        path.write_text("picture")
    folder.record(records)


def listed(folder: Path) -> list[str]:
    with (folder / FIGURES).open(newline="", encoding="utf-8") as file:
        return [row["path"] for row in csv.DictReader(file)]


A, B = drawn("001_p_slice4.png"), drawn("002_q/slice007_avg0.5000.png", 2, 7, '患者, "q"\nx')


def test_finished_files_are_known_to_the_next_run(tmp_path):
    with RunFolder(tmp_path / "deep" / "out", SETTINGS, overwrite=False) as folder:
        assert folder.finished == {}
        draw(folder, B, A)
    with RunFolder(tmp_path / "deep" / "out", SETTINGS, overwrite=False) as folder:
        assert folder.finished == {A.path: A, B.path: B}
    assert listed(tmp_path / "deep" / "out") == [A.path, B.path]


def test_a_file_that_is_gone_is_drawn_again(tmp_path):
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        draw(folder, A, B)
    (tmp_path / A.path).unlink()
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        assert set(folder.finished) == {B.path}
    assert listed(tmp_path) == [B.path]


def test_a_file_that_nobody_listed_is_not_finished(tmp_path):
    (tmp_path / A.path).write_text("somebody's")
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        assert folder.finished == {}


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_list_cut_off_by_a_kill_loses_its_last_line_only(tmp_path, cut):
    """Also within a character of three bytes, a quoted line break, or a number."""
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        draw(folder, A, B)
    journal = tmp_path / FIGURES
    journal.write_bytes(journal.read_bytes()[:-cut])
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        assert folder.finished[A.path] == A
        assert B.path not in folder.finished
        draw(folder, B)
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        assert folder.finished == {A.path: A, B.path: B}


def test_other_settings_are_refused_and_the_difference_is_named(tmp_path):
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        draw(folder, A)
    other = {**SETTINGS, "top_k": 5, "heat_alpha": 0.25}
    with pytest.raises(InputError) as raised:
        RunFolder(tmp_path, other, overwrite=False)
    message = str(raised.value)
    assert "top-k 3, now 5" in message
    assert "heat-alpha 0.5, now 0.25" in message
    assert "root-dir" not in message
    assert "--overwrite" in message
    assert "\n" not in message
    assert (tmp_path / A.path).exists()
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        assert set(folder.finished) == {A.path}


def test_settings_under_which_nothing_was_drawn_bind_nobody(tmp_path):
    with RunFolder(tmp_path, SETTINGS, overwrite=False):
        pass
    with RunFolder(tmp_path, {**SETTINGS, "top_k": 9}, overwrite=False) as folder:
        draw(folder, A)
    assert json.loads((tmp_path / RUN).read_text())["settings"]["top_k"] == 9


def test_overwrite_removes_what_is_listed_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    with RunFolder(out, SETTINGS, overwrite=False) as folder:
        draw(folder, A, B)
        folder.record([drawn("../outside.png"), drawn(str(tmp_path / "absolute.png"))])
        folder.write_failures([Failure("error", 1, "p", None, 1, "why")], ())
    mine = [
        out / "mine.png",
        out / "002_q/mine.png",
        tmp_path / "outside.png",
        tmp_path / "absolute.png",
    ]
    for path in mine:
        path.write_text("mine")
    with RunFolder(out, {**SETTINGS, "top_k": 9}, overwrite=True) as folder:
        assert folder.finished == {}
    assert not (out / A.path).exists()
    assert not (out / B.path).exists()
    assert not (out / FAILURES).exists()
    assert all(path.read_text() == "mine" for path in mine)
    assert listed(out) == []


def test_a_second_run_is_locked_out_until_the_first_is_done(tmp_path):
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        draw(folder, A)
        for overwrite in (False, True):
            with pytest.raises(InputError, match="another fastcam run is writing"):
                RunFolder(tmp_path, SETTINGS, overwrite)
        assert (tmp_path / A.path).exists()
        draw(folder, B)
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        assert set(folder.finished) == {A.path, B.path}


def test_a_refused_run_lets_go_of_the_folder(tmp_path):
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        draw(folder, A)
    with pytest.raises(InputError):
        RunFolder(tmp_path, {}, overwrite=False)
    with RunFolder(tmp_path, SETTINGS, overwrite=False):
        pass


def test_halves_of_a_killed_run_are_removed(tmp_path):
    leftovers = [".tmp-001_p-77-1", "001_p/.tmp-slice-77-1", ".run.zarr.77.part/x"]
    for name in [*leftovers, "notes/.tmp-mine"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    with RunFolder(tmp_path, SETTINGS, overwrite=False):
        pass
    assert not any((tmp_path / name).exists() for name in leftovers)
    assert (tmp_path / "notes/.tmp-mine").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"settings": 3}'])
def test_a_foreign_run_json_is_not_run_over(tmp_path, content):
    (tmp_path / RUN).write_text(content)
    (tmp_path / FIGURES).write_text("path,place\n")
    if content != '{"settings": 3}':
        with pytest.raises(InputError, match="not a run's description"):
            RunFolder(tmp_path, SETTINGS, overwrite=False)
    with RunFolder(tmp_path, SETTINGS, overwrite=True):
        pass
    assert json.loads((tmp_path / RUN).read_text())["settings"]["top_k"] == 3


def test_failures_of_cases_that_were_not_tried_again_are_kept(tmp_path):
    one, two = (Failure("error", n, "p", None, n, f"reason {n}") for n in (1, 2))
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        folder.write_failures([two, one], ())
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        folder.write_failures([], {1})
    with (tmp_path / FAILURES).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["place"], row["reason"]) for row in rows] == [("2", "reason 2")]
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        folder.write_failures([replace(two, figures=1)], ())
        folder.write_failures([], {1, 2})
    assert not (tmp_path / FAILURES).exists()


def test_failures_say_slices_and_survive_odd_names(tmp_path):
    failure = Failure("warning", 3, '患者 "x", \n', 0, 0, "a, b")
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        folder.write_failures([failure], ())
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        assert read_failures(folder.path) == [failure]


def test_a_folder_that_cannot_be_made_or_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file.*in the way"):
        RunFolder(tmp_path / "file", SETTINGS, overwrite=False)
    with pytest.raises(OutputError, match=r"deeper"):
        RunFolder(tmp_path / "file" / "deeper", SETTINGS, overwrite=False)
    with pytest.raises(OutputError, match=r"/proc/fastcam"):
        RunFolder(Path("/proc/fastcam"), SETTINGS, overwrite=False)
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    if os.geteuid() != 0:
        with pytest.raises(OutputError, match=r"locked.*can't be written"):
            RunFolder(locked, SETTINGS, overwrite=False)
    locked.chmod(0o755)
    (locked / FIGURES).mkdir()
    with pytest.raises(OutputError, match=r"figures\.csv: can't be written"):
        RunFolder(locked, SETTINGS, overwrite=False)


def test_without_locks_the_run_goes_on(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fastcam.run.folder_lock.fcntl.flock", refuse)
    (tmp_path / ".tmp-of-somebody").write_text("maybe alive")
    with RunFolder(tmp_path, SETTINGS, overwrite=False) as folder:
        draw(folder, A)
    assert (tmp_path / ".tmp-of-somebody").exists()


def test_a_full_disk_while_listing_is_an_output_error(tmp_path):
    with (  # noqa: PT012 - leaving the folder is part of what is tested
        pytest.raises(OutputError, match=r"figures\.csv: can't be written: No space left"),
        RunFolder(tmp_path, SETTINGS, overwrite=False) as folder,
    ):
        folder._journal._file.close()
        folder._journal._file = Path("/dev/full").open("w")  # noqa: SIM115 - closed by the folder
        folder.record([A])
    with RunFolder(tmp_path, SETTINGS, overwrite=False):
        pass


@pytest.mark.parametrize("half", ['2,"a, b', "2,c", '2,"' + "x" * 200_000])
def test_what_is_added_is_no_part_of_a_half_line(half: str, tmp_path: Path) -> None:
    """As a killed run, or a full disk, leaves one."""
    path = tmp_path / "inputs.csv"
    columns = ["place", "path", "size", "modified", "checksum"]
    rows = [InputRecord(place, f"{place}, b", 1, 2, "f") for place in range(3)]
    journal = Journal(path, columns, InputRecord.of_cells)
    journal.replace(rows[:1])
    journal.close()
    with path.open("a", encoding="utf-8") as file:
        file.write(half)
    journal = Journal(path, columns, InputRecord.of_cells)
    assert journal.rows() == rows[:1]
    journal.add(rows[1:])
    assert journal.rows() == rows
    journal.close()
    # Whole lines after an open quote, as of a version that went on behind the half line.
    path.write_text(path.read_text().replace(",f", f",f\n{half}", 1) + "\n")
    assert parsed_rows(path.read_text(), InputRecord.of_cells)[:1] == rows[:1]


def test_a_journal_that_cannot_be_mended_is_not_left_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise OSError(5, "Input/output error")

    path, columns = tmp_path / "inputs.csv", ["place", "path", "size", "modified", "checksum"]
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_drop_half_line", refused)
        with pytest.raises(OutputError, match="Input/output error") as caught:
            Journal(path, columns, InputRecord.of_cells)
    assert caught.value is not None  # its frames hold what was made
    Journal(path, columns, InputRecord.of_cells).close()

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash

from fastcam.run.folder import INPUTS, RunFolder
from fastcam.run.input_files import (
    InputRecord,
    changed_inputs,
    content_checksum,
    file_state,
    input_record,
)
from fastcam.run.records import FigureRecord


def record(path: Path, place: int = 1) -> InputRecord:
    made = input_record(place, path, file_state(path))
    assert made is not None
    return made


@pytest.fixture(params=["file", "folder"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A volume as a file, or as a folder of slices in a folder."""
    path = tmp_path / "volume"
    if request.param == "file":
        path.write_bytes(b"voxels")
    else:
        (path / "series").mkdir(parents=True)
        for name in ("1.png", "2.png"):
            (path / "series" / name).write_bytes(name.encode())
    return path


def part(source: Path) -> Path:
    return source if source.is_file() else source / "series" / "2.png"


def test_nothing_changed(source: Path) -> None:
    assert changed_inputs([record(source)]) == (set(), [])


def test_another_content_of_the_same_length_is_a_change(source: Path) -> None:
    before = record(source)
    file = part(source)
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(1, before.modified + 1))
    assert changed_inputs([before, record(source, 2)]) == ({1}, [])


def test_a_touched_file_is_no_change_and_known_as_it_is_now(source: Path) -> None:
    before = record(source)
    os.utime(part(source), ns=(1, 10**18))
    now = file_state(source)
    assert now is not None
    assert now != before.state
    places, touched = changed_inputs([before])
    assert places == set()
    assert touched == [replace(before, modified=now.modified)]
    assert changed_inputs(touched) == (set(), [])


def test_what_is_gone_has_not_changed(source: Path) -> None:
    before = record(source)
    shutil.rmtree(source) if source.is_dir() else source.unlink()
    assert changed_inputs([before]) == (set(), [])
    assert file_state(source) is None


def test_a_file_more_is_a_change_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"x")
    before = record(tmp_path / "a")
    (tmp_path / "a" / "2.png").write_bytes(b"y")
    assert changed_inputs([before])[0] == {1}


def test_what_changes_while_it_is_read_counts_as_changed(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"old")
    before = file_state(file)
    file.write_bytes(b"newer")
    made = input_record(1, file, before)
    assert made is not None
    assert made.checksum == ""
    assert changed_inputs([made])[0] == {1}


def test_the_checksum_is_xxh3_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(bytes(3 << 20))
    state = file_state(file)
    assert state is not None
    assert content_checksum(file, state) == xxhash.xxh3_64_hexdigest(bytes(3 << 20))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert record(tmp_path / "pipe").checksum == ""


def drawn(folder: RunFolder, place: int) -> FigureRecord:
    (folder.path / f"{place}.png").write_bytes(b"picture")
    return FigureRecord(
        path=f"{place}.png",
        place=place,
        case=f"p{place}",
        slice=0,
        best=True,
        average=0,
        low=0,
        high=1,
        size=7,
    )


@pytest.mark.parametrize("trusted", [False, True])
def test_figures_whose_inputs_changed_are_not_finished(tmp_path: Path, trusted: bool) -> None:
    sources = [tmp_path / name for name in "abc"]
    for path in sources:
        path.write_bytes(b"voxels")
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        for place, path in enumerate(sources, 1):
            folder.record([drawn(folder, place)], [record(path, place)])
    sources[1].write_bytes(b"others")
    os.utime(sources[1], ns=(1, 1))
    os.utime(sources[2], ns=(1, 1))
    with RunFolder(tmp_path / "out", {}, overwrite=False, trust_inputs=trusted) as folder:
        assert sorted(folder.finished) == ["1.png", "2.png", "3.png"][: 3 if trusted else 1] + (
            [] if trusted else ["3.png"]
        )
        assert [note.partition(" (")[0] for note in folder.notes] == (
            [] if trusted else ["inputs of 1 case changed: its figures are outdated"]
        )
        folder.record([drawn(folder, 2)], [record(sources[1], 2)])
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        assert len(folder.finished) == (2 if trusted else 3)
    assert (tmp_path / "out" / INPUTS).exists()


def test_a_font_that_changed_spoils_all_figures(tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(b"glyphs")
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        folder.record([drawn(folder, 1), drawn(folder, 2)], [record(font, 0)])
    font.write_bytes(b"other glyphs")
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        assert folder.finished == {}


@pytest.mark.parametrize("content", [b"", b"pictur", b"picture!"])
def test_a_figure_of_another_size_is_not_finished(tmp_path: Path, content: bytes) -> None:
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        folder.record([drawn(folder, 1), drawn(folder, 2)])
    (tmp_path / "out" / "2.png").write_bytes(content)
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        assert list(folder.finished) == ["1.png"]
        assert folder.notes == ["1 file has another size than was recorded: redrawn"]


def test_inputs_that_had_two_contents_while_a_case_was_drawn_are_changed(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"one")
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        folder.record([drawn(folder, 1)], [record(source)])
        source.write_bytes(b"two!")
        folder.record([drawn(folder, 1)], [record(source)])
    with RunFolder(tmp_path / "out", {}, overwrite=False) as folder:
        assert folder.finished == {}

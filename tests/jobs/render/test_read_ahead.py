"""The case that is drawn next, opened meanwhile: once, in another thread, honestly recorded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fastcam.errors import CaseError
from fastcam.jobs.render import read_ahead, worker_loop
from fastcam.jobs.render.read_ahead import ReadAhead
from fastcam.jobs.render.worker_loop import draw_item
from fastcam.options import PictureFormat
from fastcam.read.volumes.memory_limit import MemoryLimit, limited
from fastcam.run.input_files import file_state
from fastcam.run.work_items import CaseSlices, work_items
from tests.jobs.render.test_worker_loop import Figures, Header


def volume(folder: Path, content: str = "voxels") -> Path:
    path = folder / "volume.nii"
    path.write_text(content)
    return path


def test_a_case_is_opened_once_in_another_thread(tmp_path: Path) -> None:
    opened: list[int] = []
    done = threading.Event()

    def opener() -> None:
        opened.append(threading.get_ident())
        done.set()

    ahead, files = ReadAhead(), [volume(tmp_path)]
    ahead.begin("b", files, opener)
    ahead.begin("b", files, opener)
    assert done.wait(10)
    done.clear()
    ahead.begin("c", files, opener)
    assert done.wait(10)
    assert len(opened) == 2
    assert threading.get_ident() not in opened


def test_what_fails_ahead_fails_nobody(tmp_path: Path) -> None:
    begun = threading.Event()

    def opener() -> None:
        begun.set()
        raise CaseError("no volume")

    ahead, files = ReadAhead(), [volume(tmp_path)]
    ahead.begin("b", files, opener)
    assert begun.wait(10)
    assert ahead.states("b", files) == [file_state(files[0])]


def test_the_states_are_those_from_before_it_was_opened(tmp_path: Path) -> None:
    ahead, files = ReadAhead(), [volume(tmp_path), tmp_path / "missing"]
    before = file_state(files[0])
    ahead.begin("b", files, lambda: None)
    volume(tmp_path, "other voxels")
    assert ahead.states("a", files) == [file_state(files[0]), None]
    assert ahead.states("b", files) == [before, None]
    assert ahead.states("b", files) == [file_state(files[0]), None]  # of a later item of the case


def test_large_files_and_limited_memory_are_not_opened_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    ahead, files = ReadAhead(), [volume(tmp_path)]
    with limited(MemoryLimit(800)):
        ahead.begin("b", files, lambda: opened.append("b"), held=101)
    monkeypatch.setattr(read_ahead, "_MOST_BYTES", 5)
    ahead.begin("c", files, lambda: opened.append("c"))
    monkeypatch.setattr(read_ahead, "_MOST_BYTES", 6)
    done = threading.Event()
    with limited(MemoryLimit(800)):
        ahead.begin("d", files, done.set, held=100)
    assert done.wait(10)
    assert not opened


@dataclass(eq=False)
class Cases:
    """Cases of one figure; ``volumes`` are their files, and ``events`` what was done in turn."""

    output_dir: Path
    volumes: list[Path]
    format: PictureFormat = "png"
    ahead: dict[int, threading.Event] = field(default_factory=dict)

    def header(self, case: int) -> Header:
        return Header(case + 1, "abc"[case])

    def open(self, case_slices: CaseSlices) -> Figures:
        begun = self.ahead.get(case_slices.case)
        assert begun is None or begun.wait(10)
        return Figures(self.header(case_slices.case))

    def open_ahead(self, case_slices: CaseSlices) -> None:
        assert not case_slices.slices
        self.volumes[case_slices.case].write_text("changed while it was read")
        self.ahead[case_slices.case].set()


@pytest.mark.parametrize("spare", [True, False])
def test_an_input_that_changes_after_it_was_read_ahead_has_no_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: bool
) -> None:
    monkeypatch.setattr(worker_loop, "_has_core_to_spare", lambda: spare)
    volumes = [tmp_path / f"{name}.nii" for name in "abc"]
    for path in volumes:
        path.write_text("voxels")
    planned = [CaseSlices(case, (1,), False, str(volumes[case]), "", None, "") for case in range(3)]
    cases = Cases(tmp_path, volumes)
    if spare:
        cases.ahead = {1: threading.Event(), 2: threading.Event()}
    (item,) = work_items(planned)
    result = draw_item(cases, item, cases.open_ahead)
    assert [record.path for record in result.figures] == ["a1.png", "b1.png", "c1.png"]
    assert [(record.size, bool(record.checksum)) for record in result.inputs] == (
        [(6, True), (6, False), (6, False)] if spare else [(6, True)] * 3
    )

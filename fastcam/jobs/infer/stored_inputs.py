"""The files that a store of maps was made of: which of them changed, and their cases run again."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from fastcam.errors import OutputError
from fastcam.read.inputs.inputs import Item
from fastcam.run.files import remove
from fastcam.run.input_files import (
    FileState,
    InputRecord,
    case_records,
    changed_inputs,
    file_states,
)
from fastcam.run.object_journal import open_journal, parts_folder
from fastcam.run.seen_inputs import SEEN_COLUMNS, record_path
from fastcam.storage.locations import as_path, is_path
from fastcam.storage.object_path import ObjectPath


def changed_cases(store_path: Path, trusted: bool) -> set[int]:
    """The 0-based cases whose files changed since the store was made of them; none where these are
    ``trusted``, or nothing was recorded."""
    path = record_path(store_path)
    kept = path.exists() or (isinstance(path, ObjectPath) and parts_folder(path).is_dir())
    if trusted or not kept:
        return set()
    journal = open_journal(path, SEEN_COLUMNS, InputRecord.of_cells)
    try:
        records = {(record.place, record.path): record for record in journal.rows()}
        places, touched = changed_inputs(records.values())
        if touched:
            records |= {(record.place, record.path): record for record in touched}
            journal.replace(records.values())
    finally:
        journal.close()
    return {place - 1 for place in places}


def changed_note(count: int) -> str:
    """What users are told of so many cases that are run again."""
    subject = "1 input" if count == 1 else f"{count} inputs"
    return f"{subject} changed: run again (--trust-inputs keeps the maps)"


def damaged_note(count: int) -> str:
    """What users are told of so many cases whose maps are run again."""
    subject = "1 input are" if count == 1 else f"{count} inputs are"
    return f"maps of {subject} damaged or gone: run again"


def others_note(count: int) -> str:
    """What users are told of so many cases whose mask or label is another one than before."""
    subject = "1 input has" if count == 1 else f"{count} inputs have"
    return f"{subject} another mask or label than before: run again"


class StoredInputs:
    """Records the files of ``items`` as their cases are stored; a context manager.

    ``cases``: the 0-based numbers of those that are to be run. ``with_masks``: what is stored is
    made of their masks, too.
    """

    def __init__(
        self,
        store_path: Path,
        items: Sequence[Item],
        cases: Iterable[int],
        with_masks: bool = False,
    ) -> None:
        # Before anything is read of them: what changes afterwards is seen by the next run.
        self._states: dict[int, list[tuple[Path, FileState | None]]] = {case: [] for case in cases}
        files = [(c, path) for c in self._states for path in input_files(items[c], with_masks)]
        states = file_states([path for _, path in files])
        for (case, path), state in zip(files, states, strict=True):
            self._states[case].append((path, state))
        self._journal = open_journal(record_path(store_path), SEEN_COLUMNS, InputRecord.of_cells)
        if not self._journal.rows():
            self._journal.replace(())

    def __enter__(self) -> StoredInputs:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # What ended the run is said, not what follows from it.
        with contextlib.nullcontext() if error is None else contextlib.suppress(OutputError):
            self._journal.close()

    def add_records(self, records: Iterable[InputRecord]) -> None:
        """Record files whose states others have taken."""
        self._journal.add(records)
        if self._journal.due:
            self._journal.flush()

    def add(self, cases: Iterable[int]) -> None:
        """Record the files of cases that are stored; each case once."""
        records = case_records(
            (case + 1, path, state)
            for case in dict.fromkeys(cases)
            for path, state in self._states.pop(case, ())
        )
        if records:
            self._journal.add(records)
            if self._journal.due:
                self._journal.flush()


def recorded_masks(store_path: Path, items: Sequence[Item]) -> list[Path | None]:
    """The mask that each of ``items`` was run with, as it was named then, None where without one;
    of cases of which nothing was recorded that of the item."""
    journal = open_journal(record_path(store_path), SEEN_COLUMNS, InputRecord.of_cells)
    try:
        paths: dict[int, list[Path]] = {}
        for record in journal.rows():
            paths.setdefault(record.place - 1, []).append(as_path(record.path))
    finally:
        journal.close()
    return [
        next((p for p in reversed(paths[case]) if p.absolute() not in input_files(item)), None)
        if case in paths
        else item.mask
        for case, item in enumerate(items)
    ]


def forget_cases(store_path: Path, cases: Container[int]) -> None:
    """Remove what was recorded of the 0-based ``cases``, which are run with other files."""
    journal = open_journal(record_path(store_path), SEEN_COLUMNS, InputRecord.of_cells)
    try:
        journal.replace([record for record in journal.rows() if record.place - 1 not in cases])
    finally:
        journal.close()


def forget_inputs(store_path: Path) -> None:
    """Remove what was recorded of a store that another one takes the place of."""
    path = record_path(store_path)
    remove(path)
    if isinstance(path, ObjectPath):
        remove(parts_folder(path))


def input_files(item: Item, with_masks: bool = False) -> list[Path]:
    """The files and folders that the maps of ``item`` are made of, of its mask, too, or not.

    Absolute: the same run may be gone on with from another folder.
    """
    inputs = (value for value in item.inputs if is_path(value))
    mask = [item.mask] if with_masks and item.mask is not None else []
    return list(dict.fromkeys(path.absolute() for path in (item.source, *inputs, *mask)))

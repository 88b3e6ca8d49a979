"""The output folder of a run: what is finished, with which settings, and what failed.

``run.json`` says what the run was, ``figures.csv`` lists every finished file as it is finished,
``inputs.csv`` what these were made of, ``failures.csv`` what could not be drawn and why. A file
counts as finished when it is listed, there in its whole size, and what it was made of is as it
was; nothing is guessed from what happens to lie in the folder.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fastcam.errors import InputError, OutputError
from fastcam.run.failures import FAILURES, read_failures, uncounted, write_failures
from fastcam.run.files import (
    TEMPORARY,
    make_folder,
    remove,
    remove_files,
    remove_partial,
    write_text,
)
from fastcam.run.input_files import ALL_CASES, InputRecord, changed_inputs, places_without_mask
from fastcam.run.journal import Journal
from fastcam.run.object_journal import open_journal
from fastcam.run.processes import process_stamp
from fastcam.run.records import Failure, FigureRecord
from fastcam.storage.listing import listed

RUN = "run.json"
FIGURES = "figures.csv"
INPUTS = "inputs.csv"
STORE = "run.zarr"
_COLUMNS = [field.name for field in fields(FigureRecord)]
_INPUT_COLUMNS = [field.name for field in fields(InputRecord)]


class RunFolder:
    """An output folder locked by one run; a context manager that unlocks it again.

    ``settings`` is what decides how figures look. Raises :class:`InputError` when the folder
    holds figures of other settings (unless ``overwrite``, which removes exactly the files that
    earlier runs listed) or when another run is writing into it.

    Attributes:
        path: the folder.
        finished: each finished file by its path relative to the folder.
        notes: what is drawn anew though it was listed, and why; a line each, for people.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        overwrite: bool,
        trust_inputs: bool = False,
    ) -> None:
        """``trust_inputs``: what the figures were made of is not looked at."""
        self.path = path
        self.notes: list[str] = []
        self._settings = json.loads(json.dumps(settings, default=str))
        make_folder(path)
        with listed(path):
            self._take_over(overwrite, trust_inputs)

    def _take_over(self, overwrite: bool, trust_inputs: bool) -> None:
        """Find what earlier runs left, and go on with it."""
        path = self.path
        for name in (RUN, FIGURES, INPUTS, FAILURES):
            record = path / name
            if record.exists() and not (record.is_file() or record.is_dir()):
                raise InputError(f"{record}: is a pipe, socket or device, not a file; remove it")
        earlier = self._earlier_settings(overwrite)
        self._journal = open_journal(path / FIGURES, _COLUMNS, FigureRecord.of_cells)
        self._inputs: Journal[InputRecord] | None = None
        try:
            self._inputs = open_journal(path / INPUTS, _INPUT_COLUMNS, InputRecord.of_cells)
            self.finished = self._read_finished()
            other = earlier is not None and earlier != self._settings
            # A run that drew nothing, say with a wrong --root-dir, binds nobody.
            if other and self.finished and not overwrite:
                differing = _differing_settings(earlier, self._settings)
                raise InputError(
                    f"{path} holds figures made with other settings ({differing}); give another "
                    f"--output-dir, or --overwrite to replace them"
                )
            if overwrite or other:
                self._clear()
            self._earlier_failures = read_failures(self.path)
            self.remove_leftovers()
            self._records = self._unchanged_inputs(trust_inputs)
            # In this order: without its inputs' records a figure that is listed would never be
            # drawn anew.
            self.rewrite_journal()
            self._inputs.replace(self._records)
            self.write_run({"status": "running", "process": process_stamp()})
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # What ended the run is said, not what follows from it.
        with contextlib.nullcontext() if error is None else contextlib.suppress(OutputError):
            self._close()

    def _close(self) -> None:
        self._flush()
        self._journal.close()
        if self._inputs is not None:
            self._inputs.close()

    def record(self, figures: Iterable[FigureRecord], inputs: Iterable[InputRecord] = ()) -> None:
        """List finished files, which are on the disk already, and what they were made of."""
        figures, inputs = tuple(figures), tuple(inputs)
        if inputs and self._inputs is not None:
            self._inputs.add(inputs)
        if figures:
            self._journal.add(figures)
        if self._journal.due:
            self._flush()
        self.finished |= {record.path: record for record in figures}

    def _flush(self) -> None:
        """In this order: a figure that is listed without its inputs would never be drawn anew."""
        if self._inputs is not None:
            self._inputs.flush()
        self._journal.flush()

    def redraw_masked(self, places: Iterable[int]) -> list[str]:
        """Take from what is finished the figures that were drawn without a mask, of cases among
        ``places``, which have one now; a line for people where there are any."""
        added = places_without_mask(self._records).intersection(places)
        if not added or self._inputs is None:
            return []
        self._records = [record for record in self._records if record.place not in added]
        self.finished = {p: r for p, r in self.finished.items() if r.place not in added}
        self.rewrite_journal()
        self._inputs.replace(self._records)
        subject = "a mask of 1 case was" if len(added) == 1 else f"masks of {len(added)} cases were"
        return [f"{subject} added: redrawn (--trust-inputs keeps the figures)"]

    def rewrite_journal(self) -> None:
        """Replace the list by what is finished, in the order of cases and slices."""
        ordered = sorted(
            self.finished.values(),
            key=lambda r: (r.place, -1 if r.slice is None else r.slice, r.path),
        )
        self.finished = {record.path: record for record in ordered}
        self._journal.replace(ordered)

    def write_failures(self, failures: Iterable[Failure], redone: Container[int]) -> None:
        """Write ``failures.csv``; without failures there is none.

        What earlier runs listed of cases whose numbers are not ``redone`` still holds.
        """
        current = list(failures)
        keys = set(map(uncounted, current))
        earlier = [
            failure
            for failure in self._earlier_failures
            if failure.place not in redone and uncounted(failure) not in keys
        ]
        ordered = sorted(
            [*earlier, *current],
            key=lambda f: (f.place, -1 if f.slice is None else f.slice, f.level, f.reason),
        )
        write_failures(self.path, ordered)

    def write_run(self, facts: Mapping[str, Any]) -> None:
        """Write ``run.json``: the settings, and ``facts`` about how it went."""
        content = {**facts, "settings": self._settings}
        text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
        write_text(self.path / RUN, text + "\n", durable=True)

    def remove_leftovers(self) -> None:
        """Half-written files of a run, or of a worker, that was killed; nobody writes here now."""
        if not self._journal.locked:
            return
        for folder in (self.path, *self.path.glob("[0-9][0-9][0-9]*_*/")):
            for path in folder.glob(f"{TEMPORARY}*"):
                path.unlink(missing_ok=True)
        remove_partial(self.path / STORE)

    def remove_store(self) -> None:
        """Make room for a new run store."""
        remove(self.path / STORE)

    def _earlier_settings(self, overwrite: bool) -> object:
        path = self.path / RUN
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            return earlier["settings"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            if overwrite:
                return None
            raise InputError(
                f"{path} is not a run's description ({error}); give another --output-dir, or "
                f"--overwrite to replace it"
            ) from error

    def _read_finished(self) -> dict[str, FigureRecord]:
        """What is listed and there; emptied and cut files are to be drawn anew."""
        listed = {record.path: record for record in self._journal.rows()}
        finished = {p: record for p, record in listed.items() if record.is_there(self.path)}
        spoiled = sum((self.path / path).is_file() for path in listed.keys() - finished.keys())
        if spoiled:
            subject = "1 file has" if spoiled == 1 else f"{spoiled} files have"
            self.notes.append(f"{subject} another size than was recorded: redrawn")
        return finished

    def _unchanged_inputs(self, trusted: bool) -> list[InputRecord]:
        """Take from what is finished the figures whose inputs changed; the records of the other
        inputs, each once."""
        assert self._inputs is not None
        case_numbers = {record.place for record in self.finished.values()}
        records: dict[tuple[int, str], InputRecord] = {}
        for record in self._inputs.rows() if case_numbers else ():
            if record.place in case_numbers or record.place == ALL_CASES:
                key = record.place, record.path
                # One that changed while its figures were drawn has two contents.
                other = records.setdefault(key, record).checksum != record.checksum
                records[key] = replace(record, checksum="") if other else record
        places: set[int] = set()
        if not trusted:
            places, touched = changed_inputs(records.values())
            records |= {(record.place, record.path): record for record in touched}
        changed = case_numbers if ALL_CASES in places else places
        if changed:
            self.finished = {p: r for p, r in self.finished.items() if r.place not in changed}
            one = len(changed) == 1
            subject, figures = ("1 case", "its") if one else (f"{len(changed)} cases", "their")
            self.notes.append(
                f"inputs of {subject} changed: {figures} figures are outdated (--trust-inputs "
                "keeps them)"
            )
            changed = changed | {ALL_CASES}
        return [record for record in records.values() if record.place not in changed]

    def _clear(self) -> None:
        root = self.path.resolve()
        figures: list[Path] = []
        for record in self._journal.rows():
            path = self.path / record.path
            if path.resolve().is_relative_to(root) and not path.is_dir():
                figures.append(path)
        remove_files(figures)
        for path in (self.path / FAILURES, self.path / RUN):
            path.unlink(missing_ok=True)
        self._journal.replace(())
        self.finished = {}


def _differing_settings(earlier: object, current: Mapping[str, Any]) -> str:
    if not isinstance(earlier, dict):
        return "unreadable"
    keys = [*current, *(key for key in earlier if key not in current)]
    return "; ".join(
        differences((key.replace("_", "-"), earlier.get(key), current.get(key)) for key in keys)
    )


def differences(settings: Iterable[tuple[str, Any, Any]]) -> list[str]:
    """Which settings differ, of triples (name, old value, new value).

    >>> differences([("heat-alpha", 0.5, 0.4), ("top-k", 3, 3)])
    ['heat-alpha 0.5, now 0.4']
    """
    return [f"{name} {old}, now {new}" for name, old, new in settings if old != new]

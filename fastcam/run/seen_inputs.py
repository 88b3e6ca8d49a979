"""What a model saw: the files that a store was made of, compared with those that its maps are shown
with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from fastcam.errors import CaseError, InputError
from fastcam.run.input_files import InputRecord, file_states, is_other
from fastcam.run.journal import parsed_rows
from fastcam.run.object_journal import journal_text
from fastcam.storage.locations import as_path

SEEN_COLUMNS = [field.name for field in fields(InputRecord)]


class SeenFile(NamedTuple):
    """A file or folder that maps are shown with: its ``path``, and the ``record`` of what the model
    saw of it, there or at another place."""

    path: str
    record: InputRecord


class SeenInputs:
    """The records of a store's inputs, read when the first is asked for.

    Of a store without records, and where its inputs are ``trusted``, there are none.
    """

    def __init__(self, store_path: Path | None, trusted: bool = False) -> None:
        self._path = None if store_path is None or trusted else record_path(store_path.resolve())

    def files(
        self, place: int, sources: Sequence[Path], mask: Path | None = None
    ) -> tuple[SeenFile, ...]:
        """What the model saw of the ``sources`` of the case with the 1-based number ``place``, in
        the order in which it was given them, and of its ``mask`` where it saw that very file.

        A source under another name than was recorded is the user's choice, and left out. InputError
        where there are records that can't be read.
        """
        records = self._records.get(place, ())
        paths = list(dict.fromkeys(sources))
        found = [_seen_file(path, record) for path, record in zip(paths, records, strict=False)]
        if mask is not None and mask not in paths:
            own = (r for r in records[len(paths) :] if _whole(r.path) == mask.absolute())
            found += [SeenFile(str(mask), record) for record in own]
        return tuple(file for file in found if file is not None)

    @cached_property
    def _records(self) -> dict[int, list[InputRecord]]:
        if self._path is None:
            return {}
        try:
            text = journal_text(self._path)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InputError(
                f"{self._path}: can't be read: {error.strerror or error}; --trust-inputs goes on "
                "without what the model saw"
            ) from error
        # The last one of a file counts, at the place of the first: a case may have been run again.
        last = {(r.place, _whole(r.path)): r for r in parsed_rows(text, InputRecord.of_cells)}
        records: dict[int, list[InputRecord]] = {}
        for record in last.values():
            records.setdefault(record.place, []).append(record)
        return records


NOTHING_SEEN = SeenInputs(None)


def record_path(store_path: Path) -> Path:
    """The file with the records of a store's inputs."""
    # Beside it: within it Zarr wonders what it is.
    return store_path.with_name(f"{store_path.stem}.inputs.csv")


def check_seen(files: Iterable[SeenFile]) -> None:
    """CaseError where one of a case's files has another content than the model saw.

    A file of the size and time that were recorded is as it was; of others the content decides.
    What is gone is left to those who read it.
    """
    files = tuple(files)
    paths = [as_path(file.path) for file in files]
    for (path, record), now in zip(files, file_states(paths), strict=True):
        if now is not None and is_other(as_path(path), now, record):
            raise CaseError(
                f"{path}: changed since the model saw it; run fastcam infer again, or show the old "
                "map with it by --trust-inputs"
            )


def _seen_file(path: Path, record: InputRecord) -> SeenFile | None:
    recorded = as_path(record.path)
    if path.name == recorded.name:
        return SeenFile(str(path), record)
    # A folder with the series or file that was recorded in it, or the other way round.
    now, then = path.absolute(), recorded.absolute()
    inside = now in then.parents or then in now.parents
    return SeenFile(record.path, record) if inside else None


def _whole(path: str) -> Path:
    return as_path(path).absolute()

"""What the reading room is asked for: the runs, where their images lie, and how it may be used."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from fastcam.errors import InputError
from fastcam.options import Sources, Style

DEFAULT_MEMORY = 512 << 20
DEFAULT_MARKS = ("1", "2", "3", "4", "5")
# Keys 1 to 9 set them.
_MOST_MARKS = 9
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Who reaches the server, and where.

    Attributes:
        host: the address that the server listens on.
        port: its port; 0 for one that is free.
        allowed_hosts: further names by which browsers may call it, as of a proxy in front of it.
        embedded: whether pages of this machine may show the room in a frame, as notebooks do.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: tuple[str, ...] = ()
    embedded: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"--port {self.port} is not between 0 and 65535")

    @property
    def local(self) -> bool:
        """Whether the server can be reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How judgements are made.

    Attributes:
        file: the file that they are appended to; None: ``review.tsv`` in the folder of the first
            run.
        reader: who reads.
        marks: the names of the marks, which the keys 1, 2, ... set.
        blind: whether labels and predictions are hidden.
    """

    file: Path | None = None
    reader: str = ""
    marks: tuple[str, ...] = DEFAULT_MARKS
    blind: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.marks) <= _MOST_MARKS:
            raise InputError(
                f"--marks: {len(self.marks)} marks; give 1 to {_MOST_MARKS}, a key each"
            )
        for mark in self.marks:
            if not mark or not mark.isprintable():
                raise InputError(f"--marks {mark!r} is not a name; give words with commas between")
        if len(set(self.marks)) < len(self.marks):
            raise InputError("--marks names one mark twice")
        if not self.reader.isprintable():
            raise InputError(f"--reader {self.reader!r} has characters that can't be printed")


@dataclass(frozen=True, kw_only=True)
class ViewRequest:
    """The settings of a reading room. Raises :class:`InputError` where there are no runs.

    Attributes:
        runs: run stores, results files or output folders of ``fastcam render``.
        names: what the runs are called, in their order; empty: their files' names.
        sources: the images and masks, and their geometry; what an output folder says of its own
            is used where this says nothing.
        style: the look of the pictures when the room opens.
        table: further columns of the cases, joined by their ids.
        id_column: the column of ``table`` that holds the ids; None: the one that fits most cases.
        memory: bytes that decoded volumes may take.
        sharing: who reaches the server.
        judging: how judgements are made.
        trust_inputs: whether images that changed since the model saw them are not looked for.
    """

    runs: tuple[Path, ...]
    names: tuple[str, ...] = ()
    sources: Sources = field(default_factory=Sources)
    style: Style = field(default_factory=Style)
    table: Path | None = None
    id_column: str | None = None
    memory: int = DEFAULT_MEMORY
    sharing: Sharing = field(default_factory=Sharing)
    judging: Judging = field(default_factory=Judging)
    trust_inputs: bool = False

    def __post_init__(self) -> None:
        if not self.runs:
            raise InputError("no RUN given: give a run store, a results file or an output folder")
        if self.names and len(self.names) != len(self.runs):
            raise InputError(
                f"--name: {len(self.names)} names for {len(self.runs)} runs; give one for each"
            )
        if self.memory < 1 << 20:
            raise InputError(f"--memory {self.memory}: give at least 1M")

    def check_runs(self) -> None:
        """InputError where a run is not there at all."""
        for path in self.runs:
            if not path.exists():
                raise InputError(
                    f"{path}: no such file or folder; give a run store (.zarr), a results file "
                    "(.pkl, .npz, .json), or an output folder"
                )


def parse_memory(text: str) -> int:
    """Bytes of a text such as ``800M`` or ``2G``; InputError where it is none.

    >>> parse_memory("2G")
    2147483648
    """
    number, unit = text.strip().upper().removesuffix("B").removesuffix("I"), ""
    if number and number[-1] in "KMG":
        number, unit = number[:-1], number[-1]
    try:
        size = float(number)
    except ValueError:
        size = -1.0
    if not 0 < size < 1e15:
        raise InputError(f"--memory {text!r}: give a size as in 800M or 2G")
    return int(size * _UNITS[unit])

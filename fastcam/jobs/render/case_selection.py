"""Which cases of a store or results file are drawn."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Protocol

from fastcam.errors import InputError
from fastcam.options import Selection


class SelectableCase(Protocol):
    """What the selection of cases goes by."""

    @property
    def name(self) -> str: ...
    @property
    def correct(self) -> bool | None: ...


class Rejection(Protocol):
    """A case that can't be drawn, and why."""

    @property
    def name(self) -> str: ...
    @property
    def reason(self) -> str: ...


def select(
    headers: Sequence[SelectableCase], selection: Selection, rejected: Sequence[Rejection] = ()
) -> list[int]:
    """Indices of the chosen cases, in the order of the results file.

    Filters come first, then ``offset`` and ``max_samples`` count what they leave. InputError for
    a ``--patient`` that is unknown, or among the ``rejected``.
    """
    names = {header.name for header in headers}
    reasons = {entry.name: entry.reason for entry in rejected}
    for name in selection.patients:
        if name not in names and name in reasons:
            raise InputError(f"--patient {name!r} can't be drawn: {reasons[name]}")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise InputError(f"--patient {name!r} is not among the {len(names)} cases{hint}")
    selected = [
        index
        for index, header in enumerate(headers)
        if (not selection.patients or header.name in selection.patients)
        and not (selection.only_errors and header.correct is not False)
    ]
    stop = None if selection.max_samples is None else selection.offset + selection.max_samples
    return selected[selection.offset : stop]

"""Arguments and options that are paths take URLs as well."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from inspect import signature
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import ParameterInfo

from fastcam.storage.locations import as_path

_METAVAR = "PATH"


def with_urls(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer reads it, with every path parsed by :func:`as_path`: Typer itself would
    make ``s3:/bucket`` of ``s3://bucket``."""
    hints = get_type_hints(command, include_extras=True)
    hints = {name: _parsed(annotation) for name, annotation in hints.items()}

    @wraps(command)
    def parsing(**options: Any) -> None:
        command(**options)

    own = signature(command)
    parameters = [p.replace(annotation=hints[name]) for name, p in own.parameters.items()]
    vars(parsing)["__signature__"] = own.replace(parameters=parameters)
    parsing.__annotations__ = hints
    return parsing


def _parsed(annotation: Any) -> Any:
    if get_origin(annotation) is not Annotated or not _is_path(get_args(annotation)[0]):
        return annotation
    kind, *notes = get_args(annotation)
    for place, note in enumerate(notes):
        if isinstance(note, ParameterInfo):
            notes[place] = info = copy(note)
            info.parser, info.metavar = as_path, note.metavar or _METAVAR
    return Annotated[(kind, *notes)]


def _is_path(kind: Any) -> bool:
    """Whether it is ``Path``, a list of them, or either or None."""
    parts = [part for part in get_args(kind) if part is not NoneType]
    return kind is Path or (len(parts) == 1 and _is_path(parts[0]))

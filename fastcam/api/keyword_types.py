"""What kinds of values the public functions take, by their annotations, said in one line."""

from __future__ import annotations

import contextlib
import inspect
import os
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fastcam.errors import InputError

_NAMES = {int: "whole number", float: "number", str: "text"}


def check_types(
    function: Callable[..., object],
    args: Sequence[Any],
    keywords: Mapping[str, Any],
    options_of: Callable[..., object] | None = None,
) -> None:
    """InputError where an argument is of a kind that ``function`` doesn't take.

    Judged are numbers, texts, paths, and sequences and pairs of them; NumPy's numbers are numbers.
    ``options_of`` is the function whose keywords ``**options`` of ``function`` are. Missing and
    unknown arguments are left to Python's own words.
    """
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **keywords).arguments
    except TypeError:
        return
    hints = _hints(function)
    for name, value in bound.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            _check(name, hints, value)
        elif kind is not inspect.Parameter.VAR_KEYWORD:
            _check(name, hints, (value,))
        elif options_of is not None:
            for option, of_option in value.items():
                _check(option, _hints(options_of), (of_option,))


def plain_numbers(
    function: Callable[..., object],
    args: Sequence[Any],
    keywords: Mapping[str, Any],
    options_of: Callable[..., object] | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with Python's numbers and lists in the place of NumPy's, which no settings file
    could hold; of the kinds that are judged."""
    parameters = list(inspect.signature(function).parameters.values())
    hints, others = _hints(function), {} if options_of is None else _hints(options_of)

    def plain(name: str, value: Any) -> Any:
        hint = hints.get(name, others.get(name))
        return _plain(value) if hint is not None and _is_judged(hint) else value

    names = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL]
    return (
        tuple(plain(name, value) for name, value in zip(names, args, strict=False))
        + tuple(args[len(names) :]),
        {name: plain(name, value) for name, value in keywords.items()},
    )


def _plain(value: Any) -> Any:
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def _is_judged(hint: Any) -> bool:
    """Whether a kind is one of numbers, texts, paths, and several of these."""
    parts = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType, tuple, Sequence):
        return all(map(_is_judged, parts))
    if get_origin(hint) in (Literal, os.PathLike):
        return True
    return hint in (int, float, str, bool, types.NoneType)


@cache
def _hints(function: Any) -> dict[str, Any]:
    """The kinds of its parameters, but not those whose names are imported for type checks only."""
    hints: dict[str, Any] = {}
    for name, text in function.__annotations__.items():
        with contextlib.suppress(NameError):
            one = types.SimpleNamespace(__annotations__={name: text})
            hints |= get_type_hints(one, function.__globals__)
    return hints


def _check(name: str, hints: Mapping[str, Any], values: Iterable[Any]) -> None:
    for value in values:
        if name in hints and not _fits(value, hints[name]):
            shown = " ".join(repr(value).split())
            raise InputError(f"{name} {shown:.80}: give {_described(hints[name])}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a kind; kinds that aren't judged fit everything."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(_fits(value, type(part)) for part in parts)
    if origin is tuple:
        return (
            _is_sequence(value)
            and len(value) == len(parts)
            and all(map(_fits, value, parts))
        )  # fmt: skip
    if origin is Sequence:
        # Whatever else there is may be given out only once.
        of_lists = not _is_list(value) or all(_fits(part, parts[0]) for part in value)
        return _is_sequence(value) and of_lists
    if origin is os.PathLike:
        return isinstance(value, os.PathLike)
    if hint is types.NoneType:
        return value is None
    if hint is bool:
        return isinstance(value, Integral) or type(value).__name__ in ("bool", "bool_")
    if hint in (int, float):
        number = Integral if hint is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, str) if hint is str else True


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or type(value).__name__ == "ndarray"


def _is_sequence(value: Any) -> bool:
    """Whether a value is several; a text is one, although it has letters."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | os.PathLike)


def _described(hint: Any, several: bool = False) -> str:
    """The kinds that fit, in words: ``a whole number or None``."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        words = [_described(part, several) for part in parts]
        paths = any(word in words for word in ("a path", "paths"))  # which may be texts
        words = [word for word in words if not (paths and word in ("a text", "texts"))]
        return " or ".join(dict.fromkeys(words))
    if origin is Literal:
        return " or ".join(repr(part) for part in parts)
    if origin is tuple:
        return f"{len(parts)} {_described(parts[0], several=True)}"
    if origin is Sequence:
        return f"a list of {_described(parts[0], several=True)}"
    if hint in (types.NoneType, bool):
        return "None" if hint is types.NoneType else "True or False"
    name = "path" if origin is os.PathLike else _NAMES.get(hint, getattr(hint, "__name__", ""))
    return f"{name}s" if several else f"a {name}"

"""Groups of options: a dataclass in a command's signature stands for an option per field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer reads it, with an option for each field of its groups.

    A group is a parameter whose type is a dataclass, with fields annotated as options are. The
    options' defaults are those of the dataclass, or of the instance that is the parameter's
    default. All parameters are passed by name.
    """
    groups: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    parameters: list[Parameter] = []
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in signature(command).parameters.items():
        group = hints[name]
        if not is_dataclass(group):
            parameters.append(_option(name, parameter.default, group))
            continue
        assert isinstance(group, type)
        defaults = group() if parameter.default is Parameter.empty else parameter.default
        options = get_type_hints(group, include_extras=True)
        groups[name] = group, list(options)
        parameters += [
            _option(field, getattr(defaults, field), annotation)
            for field, annotation in options.items()
        ]

    @wraps(command)
    def expanded(**options: Any) -> None:
        for name, (group, fields) in groups.items():
            options[name] = group(**{field: options.pop(field) for field in fields})
        command(**options)

    expanded.__annotations__ = {option.name: option.annotation for option in parameters}
    vars(expanded)["__signature__"] = Signature(parameters)
    return expanded


def _option(name: str, default: object, annotation: object) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

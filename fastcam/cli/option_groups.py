"""Groups of options: a dataclass in a command's signature stands for an option per field.

A field may be a group itself. What a group is as keywords of a public function says its method
``keywords``, if it has one; else its fields are passed as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    groups: dict[str, Any] = {}
    parameters: list[Parameter] = []
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in signature(command).parameters.items():
        group = hints[name]
        if is_dataclass(group):
            defaults = None if parameter.default is Parameter.empty else parameter.default
            groups[name] = group
            parameters += _options(group, defaults)
        else:
            parameters.append(_option(name, parameter.default, group))

    @wraps(command)
    def expanded(**options: Any) -> None:
        built = {name: _build(group, options) for name, group in groups.items()}
        command(**options, **built)

    expanded.__annotations__ = {option.name: option.annotation for option in parameters}
    vars(expanded)["__signature__"] = Signature(parameters)
    return expanded


def keywords(*groups: Any) -> dict[str, Any]:
    """Groups of options as keywords of the public functions. InputError for unreadable values."""
    result: dict[str, Any] = {}
    for group in groups:
        if hasattr(group, "keywords"):
            result |= group.keywords()
            continue
        for name, value in vars(group).items():
            result |= keywords(value) if is_dataclass(value) else {name: value}
    return result


def _options(group: Any, defaults: Any) -> Iterator[Parameter]:
    """The options of a group and of those within it; ``defaults``: an instance, None: its own."""
    defaults = group() if defaults is None else defaults
    for name, annotation in get_type_hints(group, include_extras=True).items():
        if is_dataclass(annotation):
            yield from _options(annotation, getattr(defaults, name))
        else:
            yield _option(name, getattr(defaults, name), annotation)


def _build(group: Any, options: dict[str, Any]) -> Any:
    """The group with its fields, which are taken out of ``options``."""
    return group(
        **{
            name: _build(annotation, options) if is_dataclass(annotation) else options.pop(name)
            for name, annotation in get_type_hints(group, include_extras=True).items()
        }
    )


def _option(name: str, default: object, annotation: object) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

"""Messages of the public functions: they name keywords where the command line names options."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from fastcam.api.keyword_types import check_types, plain_numbers
from fastcam.errors import FastcamError, messages_name_options

P = ParamSpec("P")
R = TypeVar("R")

_OPTION = re.compile(r"(?<![\w-])--(?:no-)?([a-z][a-z0-9-]*[a-z0-9])")
# Keywords that are not called as their option is.
_OTHER_NAMES = {
    "input": ("inputs", "images"),
    "output_dir": ("folder",),
}


def keyword_messages(
    function: Callable[P, R], options_of: Callable[..., object] | None = None
) -> Callable[P, R]:
    """``function``, whose errors say ``image_size`` for ``--image-size``, but not for commands.

    An argument of a kind that it doesn't take is an InputError, too.

    Where it takes ``**options``, ``options_of`` is the function whose keywords they are.
    """
    keywords = tuple(signature(function).parameters)
    if options_of is not None:
        keywords += tuple(signature(options_of).parameters)

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        check_types(function, args, kwargs, options_of)
        plain, keywords_given = plain_numbers(function, args, kwargs, options_of)
        try:
            return function(*plain, **keywords_given)
        except FastcamError as error:
            if not messages_name_options() and len(error.args) == 1:
                error.args = (with_keywords(str(error.args[0]), keywords),)
            raise

    return called


def with_keywords(message: str, keywords: Collection[str]) -> str:
    """The message with each ``--option`` as the keyword that it is, if it is one of these."""

    def keyword(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        candidates = (name, f"{name}s", name.removesuffix("s"), *_OTHER_NAMES.get(name, ()))
        return next((c for c in candidates if c in keywords), match[0])

    return _OPTION.sub(keyword, message)

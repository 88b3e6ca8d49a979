"""Docstrings for the site: Sphinx's roles as Markdown, and what is said of arguments as a list."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([\w.]+)`")
# ``name``: or ``one``, ``two``: at the start of a sentence.
_ARGUMENT = re.compile(r"(?:^|(?<=[.;] ))(?=``(\w+)``(?:(?:, | and )``\w+``)*(?: \([^)]*\))?: )")
# Fewer are read as prose.
_FEWEST = 3


def as_markdown(text: str) -> str:
    """The docstring with each role as code: the last part of the name it refers to."""
    return _ROLE.sub(lambda match: f"``{match[1].rpartition('.')[2]}``", text)


def with_lists(text: str, arguments: Collection[str]) -> str:
    """The docstring with a list in place of a paragraph that goes through several arguments."""
    return "\n\n".join(_listed(paragraph, arguments) for paragraph in text.split("\n\n"))


def _listed(paragraph: str, arguments: Collection[str]) -> str:
    plain = " ".join(paragraph.split())
    starts = [match.start() for match in _ARGUMENT.finditer(plain) if match[1] in arguments]
    if len(starts) < _FEWEST:
        return paragraph
    ends = [*starts[1:], len(plain)]
    items = [f"- {plain[start:end].strip()}" for start, end in zip(starts, ends, strict=True)]
    return "\n".join([plain[: starts[0]].strip(), "", *items])


class SiteDocstrings(griffe.Extension):
    """Applies both to every docstring."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for every object that it has read."""
        if obj.docstring is None:
            return
        text = as_markdown(obj.docstring.value)
        if isinstance(obj, griffe.Function):
            text = with_lists(text, {parameter.name for parameter in obj.parameters})
        obj.docstring.value = text

"""How captions name a class."""

from __future__ import annotations


def with_class(name: str) -> str:
    """``class 3``, ``class plaque``: the word and a number or name, which may begin with it."""
    return name if name.casefold().startswith("class ") else f"class {name}"

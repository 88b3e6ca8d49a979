"""How captions name a class, and how many pixels have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# Of a segmentation the classes whose shares are said.
_MOST = 4


def with_class(name: str) -> str:
    """``class 3``, ``class plaque``: the word and a number or name, which may begin with it."""
    return name if name.casefold().startswith("class ") else f"class {name}"


def area_text(shares: Sequence[float], class_text: Callable[[int], str]) -> str:
    """On which share of the pixels each class is predicted, as in ``class liver on 20.0%, tumor on
    1.3% of the pixels``; of the first four."""
    parts = (f"{class_text(c)} on {share:.1%}" for c, share in enumerate(shares[:_MOST]))
    return with_class(f"{', '.join(parts)} of the pixels")


def pixel_count(count: int) -> str:
    """``1 pixel``, ``24 pixels``."""
    return f"{count} pixel" if count == 1 else f"{count} pixels"

"""Single values of a results file: Python or NumPy numbers, checked, with messages for people."""

from __future__ import annotations

import numpy as np

from fastcam.errors import CaseError

# Labels, indices and coordinates are kept as int32.
INT_LIMIT = 2**31


def printable(value: object) -> str:
    """``value`` as one short line that any terminal and any UTF-8 file can hold."""
    if isinstance(value, np.ndarray) and value.size > 20:
        return f"an array of shape {value.shape}"
    try:
        text = repr(value.tolist() if isinstance(value, np.generic | np.ndarray) else value)
    except (RecursionError, ValueError):  # nested without end, or a number of 10,000 digits
        text = f"a {type(value).__name__} too large to print"
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return text if len(text) <= 80 else text[:77] + "..."


def _unwrapped(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray) and value.ndim == 0:
        unwrapped: object = value.item()
        return unwrapped
    return value


def integer(value: object, subject: str) -> int:
    """``value`` as int; CaseError unless it is a whole number of less than 32 bits."""
    number = _unwrapped(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int):
        raise CaseError(f"{subject} is {printable(value)}, must be a whole number")
    if abs(number) >= INT_LIMIT:
        raise CaseError(f"{subject} is {printable(value)}, too large for 32 bits")
    return int(number)


def share(value: object, subject: str) -> float:
    """``value`` as float; CaseError unless it is a finite number from 0 to 1."""
    number = _unwrapped(value)
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise CaseError(f"{subject} is {printable(value)}, must be a number from 0 to 1")
    if not 0 <= number <= 1 and not (1 < number < 1 + 1e-5):
        raise CaseError(f"{subject} is {printable(value)}, must be from 0 to 1")
    return min(float(number), 1.0)


def boolean(value: object, subject: str) -> bool:
    """``value`` as bool; CaseError unless it is True, False, 0 or 1."""
    flag = _unwrapped(value)
    if isinstance(flag, int | float) and flag in (0, 1):
        return bool(flag)
    raise CaseError(f"{subject} is {printable(value)}, must be True or False")


def text(value: object, subject: str) -> str:
    """``value`` as str; CaseError unless it is text with something in it that UTF-8 can hold."""
    word = _unwrapped(value)
    if not isinstance(word, str):
        raise CaseError(f"{subject} is {printable(value)}, must be text")
    if not word.strip():
        raise CaseError(f"{subject} is {printable(value)}, must not be empty")
    if "\0" in word:
        raise CaseError(f"{subject} is {printable(value)}, must not contain a NUL character")
    if not word.isprintable() and any(0xD800 <= ord(letter) <= 0xDFFF for letter in word):
        raise CaseError(f"{subject} is {printable(value)}, which is not valid Unicode text")
    return str(word)

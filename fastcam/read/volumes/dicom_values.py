"""Numbers of a DICOM header as they are stored.

pydicom makes an object with checks of its own of every number: half of the time that the headers of
a series take.
"""

from __future__ import annotations

import struct
from typing import Any

# Tags with the representations of their values: decimal text, or two bytes.
FRAMES = 0x00280008, "IS"
INSTANCE = 0x00200013, "IS"
ROWS = 0x00280010, "US"
COLUMNS = 0x00280011, "US"
POSITION = 0x00200032, "DS"
PLANE = 0x00200037, "DS"


def stored_numbers(header: Any, tag: int, kind: str) -> tuple[float, ...] | None:
    """The numbers of an element of pydicom's ``header``; None where it is missing or empty.

    ``kind`` is the element's value representation: ``DS``, ``IS`` or ``US``. What isn't stored in
    that way is left to pydicom, with its errors.
    """
    element = header.get_item(tag)
    if element is None:
        return None
    value = element.value
    if isinstance(value, bytes) and element.VR in (kind, None):
        try:
            return _parsed(value, kind, element.is_little_endian) or None
        except ValueError:
            pass  # pydicom knows more ways to write a number, or says what is wrong
    value = header[tag].value
    if value is None or value == "":
        return None
    return tuple(map(float, value)) if hasattr(value, "__len__") else (float(value),)


def _parsed(value: bytes, kind: str, little_endian: bool) -> tuple[float, ...]:
    if kind == "US":
        shorts = struct.iter_unpack("<H" if little_endian else ">H", value[: len(value) & ~1])
        return tuple(float(short) for (short,) in shorts)
    text = value.decode("ascii").strip("\0 ")
    read = int if kind == "IS" else float
    return tuple(float(read(part)) for part in text.split("\\")) if text else ()


def stored_integer(header: Any, tag: int, kind: str) -> int | None:
    """The first number of an element, as :func:`stored_numbers`, whole."""
    numbers = stored_numbers(header, tag, kind)
    return None if numbers is None else int(numbers[0])

"""Diffusion weighting in the private elements of Siemens, GE and Philips.

Where the standard's own element is missing. What stands where is as dcm2niix reads it (Li et al.
2016).
"""

from __future__ import annotations

import struct
import warnings
from typing import Any

# Vendors may put their elements into any block; scanners use the first ones.
_BLOCKS = range(0x10, 0x14)
_SIEMENS = (0x0019, "SIEMENS MR HEADER")
_SIEMENS_CSA = (0x0029, "SIEMENS CSA HEADER")
_GE_PARAMETERS = (0x0043, "GEMS_PARM_01")
_GE_DIRECTION = (0x0019, "GEMS_ACQU_01")
_PHILIPS = (0x2001, "Philips Imaging DD 001")
_PHILIPS_DIRECTION = (0x2005, "Philips MR Imaging DD 001")
_ELEMENTS = {
    _SIEMENS: (0x0C, 0x0E),
    _SIEMENS_CSA: (0x10,),
    _GE_PARAMETERS: (0x39,),
    _GE_DIRECTION: (0xBB, 0xBC, 0xBD),
    _PHILIPS: (0x03,),
    _PHILIPS_DIRECTION: (0xB0, 0xB1, 0xB2),
}
# GE adds 10^9 to the b-values of some sequences.
_GE_OFFSET = 100_000
# In the unit of b, s/mm²: more is a number that means something else.
_MOST = 100_000.0

PRIVATE_TAGS = tuple(
    group << 16 | element
    for (group, _), elements in _ELEMENTS.items()
    for block in _BLOCKS
    for element in (block, *(block << 8 | own for own in elements))
)


def private_b_value(header: Any) -> float | None:
    """The b-value in s/mm² of pydicom's ``header``; None where no vendor's element has one."""
    siemens = _numbers(header, _SIEMENS, 0x0C, "d") or _csa_numbers(header, "B_value")
    philips = _numbers(header, _PHILIPS, 0x03, "f")
    ge = _numbers(header, _GE_PARAMETERS, 0x39, "i")
    for values in (siemens, philips, [ge[0] % _GE_OFFSET] if ge else []):
        if values and 0 <= values[0] < _MOST:
            return values[0]
    return None


def private_direction(header: Any) -> tuple[float, ...]:
    """The direction of the diffusion gradient, three numbers; empty where none is given."""
    siemens = _numbers(header, _SIEMENS, 0x0E, "d")
    if not siemens:
        siemens = _csa_numbers(header, "DiffusionGradientDirection")
    one_by_one = [
        [number for element in elements for number in _numbers(header, block, element, "f")[:1]]
        for block, elements in (
            (_PHILIPS_DIRECTION, (0xB0, 0xB1, 0xB2)),
            (_GE_DIRECTION, (0xBB, 0xBC, 0xBD)),
        )
    ]
    for direction in (siemens, *one_by_one):
        if len(direction) == 3 and any(direction):
            return tuple(direction)
    return ()


def _element(header: Any, vendor: tuple[int, str], element: int) -> Any:
    group, creator = vendor
    for block in _BLOCKS:
        owner = header.get((group, block))
        if owner is not None and str(owner.value).strip() == creator:
            entry = header.get((group, block << 8 | element))
            return None if entry is None else entry.value
    return None


def _numbers(header: Any, vendor: tuple[int, str], element: int, code: str) -> list[float]:
    """The numbers of a private element; ``code`` is struct's for one that is stored as bytes."""
    value = _element(header, vendor, element)
    if value is None:
        return []
    if isinstance(value, bytes):
        return _of_bytes(value, code)
    parts = value if hasattr(value, "__len__") and not isinstance(value, str) else [value]
    try:
        return [float(part) for part in parts]
    except (TypeError, ValueError):
        return []


def _of_bytes(value: bytes, code: str) -> list[float]:
    """A value of unknown representation (UN): decimal text, or the numbers themselves."""
    try:
        text = value.decode("ascii").strip("\0 ")
        return [float(part) for part in text.split("\\")]
    except (UnicodeDecodeError, ValueError):
        size = struct.calcsize(code)
        if not value or len(value) % size:
            return []
        return [float(number) for number in struct.unpack(f"<{len(value) // size}{code}", value)]


def _csa_numbers(header: Any, name: str) -> list[float]:
    """The numbers of a field of Siemens' CSA image header."""
    with warnings.catch_warnings():
        # nibabel calls its readers experimental whenever they are imported.
        warnings.simplefilter("ignore", UserWarning)
        from nibabel.nicom.csareader import CSAReadError, read
    value = _element(header, _SIEMENS_CSA, 0x10)
    if not isinstance(value, bytes) or not value:
        return []
    try:
        items = read(value)["tags"][name]["items"]
        return [float(item) for item in items]
    except (CSAReadError, LookupError, TypeError, ValueError, struct.error):
        return []

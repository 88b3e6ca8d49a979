"""Items of a pickled list as a pickle of their own; nothing is built.

A pickle names what was there before by its number in a memo, so the bytes of an item alone are no
pickle. Here a piece is given what it takes from items before it, and new numbers.
"""

# ruff: noqa: SIM109 - each test for a member of a tuple takes long to compile

from __future__ import annotations

import pickle

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import borrowing_kernel, kernel
from fastcam_kernels.pickle_items import BEGIN, BEHIND, END, FIRST, behind_of
from fastcam_kernels.pickle_opcodes import ACTION, GET, MEMOIZE, PUT, SKIP, index_of

_MEMOIZE, _BINGET, _LONG_BINGET = pickle.MEMOIZE[0], pickle.BINGET[0], pickle.LONG_BINGET[0]
_PROTO, _EMPTY_LIST, _MARK = pickle.PROTO[0], pickle.EMPTY_LIST[0], pickle.MARK[0]
_POP, _APPENDS, _STOP = pickle.POP[0], pickle.APPENDS[0], pickle.STOP[0]
# PROTO 4, EMPTY_LIST, MARK, APPENDS, STOP; the largest that an opcode becomes, of two bytes.
_FRAME_BYTES, _GROWTH = 6, 3


@borrowing_kernel
def _holder(definitions: NDArray[np.int64], index: int) -> int:
    """The definition (sorted, disjoint) that makes an entry of the memo; -1 where there is none."""
    low, high = 0, len(definitions)
    while low < high:
        middle = (low + high) // 2
        if definitions[middle, BEHIND] <= index:
            low = middle + 1
        else:
            high = middle
    return low if low < len(definitions) and definitions[low, FIRST] <= index else -1


@borrowing_kernel
def _need(
    data: NDArray[np.uint8],
    definitions: NDArray[np.int64],
    begin: int,
    end: int,
    first: int,
    numbers: NDArray[np.int64],
) -> bool:
    """Set ``numbers`` of definitions to 0 that a span takes from before entry ``first``; whether
    all of them are there."""
    offset = begin
    while offset < end:
        behind = behind_of(data, offset)
        if ACTION[data[offset]] == GET:
            index = index_of(data, offset, behind)
            if index < first:
                holder = _holder(definitions, index)
                if holder < 0:
                    return False
                numbers[holder] = 0
        offset = behind
    return True


@borrowing_kernel
def _append(
    data: NDArray[np.uint8], begin: int, end: int, out: NDArray[np.uint8], length: int
) -> int:
    for i in range(begin, end):
        out[length + i - begin] = data[i]
    return length + end - begin


@borrowing_kernel
def _copy(
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    first: int,
    number: int,
    definitions: NDArray[np.int64],
    numbers: NDArray[np.int64],
    out: NDArray[np.uint8],
    length: int,
) -> int:
    """Copy a span behind ``out[:length]``, its entries of the memo from ``first`` on numbered anew
    from ``number`` on; the new length."""
    offset = copied = begin
    while offset < end:
        action = ACTION[data[offset]]
        behind = behind_of(data, offset)
        if action == PUT or action == MEMOIZE or action == GET or action == SKIP:
            length = _append(data, copied, offset, out, length)
            copied = behind
        if action == PUT or action == MEMOIZE:
            out[length] = _MEMOIZE
            length += 1
        elif action == GET:
            index = index_of(data, offset, behind)
            if index >= first:
                index += number - first
            else:
                holder = _holder(definitions, index)
                index += numbers[holder] - definitions[holder, FIRST]
            small = index < 256
            out[length] = _BINGET if small else _LONG_BINGET
            length += 1
            for _ in range(1 if small else 4):
                out[length] = index & 0xFF
                index >>= 8
                length += 1
        offset = behind
    return _append(data, copied, end, out, length)


@kernel
def piece(
    data: NDArray[np.uint8],
    items: NDArray[np.int64],
    definitions: NDArray[np.int64],
    most: int,
) -> NDArray[np.uint8]:
    """A pickle of a list of consecutive items, given by their spans (n, 4).

    ``definitions`` (m, 4) are those of :func:`spans`, none inside another. Empty where one is
    missing, or where the pickle would be longer than ``most`` bytes.
    """
    numbers = np.full(len(definitions), -1, np.int64)
    first = items[0, FIRST]
    size = 0
    for item in range(len(items)):
        size += items[item, END] - items[item, BEGIN]
        if not _need(data, definitions, items[item, BEGIN], items[item, END], first, numbers):
            return np.empty(0, np.uint8)
    # What definitions take is defined before them.
    for row in range(len(definitions) - 1, -1, -1):
        if numbers[row] == 0:
            begin, end = definitions[row, BEGIN], definitions[row, END]
            size += end - begin + 1
            if not _need(data, definitions, begin, end, definitions[row, FIRST], numbers):
                return np.empty(0, np.uint8)
    if size > most:
        return np.empty(0, np.uint8)
    out = np.empty(_FRAME_BYTES + _GROWTH * size, np.uint8)
    out[0], out[1] = _PROTO, 4
    length, number = 2, 0
    for row in range(len(definitions)):
        if numbers[row] == 0:
            numbers[row] = number
            length = _copy(
                data, definitions[row, BEGIN], definitions[row, END], definitions[row, FIRST],
                number, definitions, numbers, out, length,
            )  # fmt: skip
            out[length] = _POP
            length += 1
            number += definitions[row, BEHIND] - definitions[row, FIRST]
    out[length], out[length + 1] = _EMPTY_LIST, _MARK
    length += 2
    for item in range(len(items)):
        length = _copy(
            data, items[item, BEGIN], items[item, END], first, number, definitions, numbers, out,
            length,
        )  # fmt: skip
    out[length], out[length + 1] = _APPENDS, _STOP
    return out[: length + 2]

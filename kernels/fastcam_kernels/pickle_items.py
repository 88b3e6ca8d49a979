"""Where the items of a pickled list lie, found by walking its opcodes without building anything.

For pickles of protocols 0 to 5 whose memo is numbered in order, as ``pickle`` and ``torch.save``
write them. :mod:`fastcam_kernels.pickle_pieces` makes pickles of the items.
"""

# ruff: noqa: SIM109 - each test for a member of a tuple takes long to compile

from __future__ import annotations

import pickle

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import borrowing_kernel, kernel
from fastcam_kernels.pickle_opcodes import (
    ACTION,
    ADDITEMS,
    APPEND,
    APPENDS,
    ARGUMENT,
    BAD,
    BUILD,
    DUP,
    EMPTY_LIST,
    GET,
    LINE,
    LIST,
    MARK,
    MEMOIZE,
    NEEDS,
    POP,
    POPMARK,
    PUSH,
    PUT,
    SETITEM,
    SETITEMS,
    SKIP,
    STOP,
    end_of,
    index_of,
)

# Columns of a table of spans: offsets where one begins and ends, and entries of the memo before
# and behind it.
BEGIN, END, FIRST, BEHIND, COLUMNS = range(5)
# Columns of the stack: where what made an object begins, the entries of the memo before that,
# whether the object came out of the memo, and the row of its definition.
_FROM, _MEMO, _RECALLED, _ROW, _SLOT = range(5)

_MEMOIZE, _BINGET = pickle.MEMOIZE[0], pickle.BINGET[0]
# Most of a file is opcodes of fixed size that are pushed.
_QUICK = np.where((ACTION == PUSH) & (ARGUMENT >= 0) & (ARGUMENT < LINE), 1 + ARGUMENT, 0)


@kernel
def _larger(table: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    if rows <= len(table):
        return table
    larger = np.empty((max(rows, 2 * len(table)), table.shape[1]), np.int64)
    for row in range(len(table)):
        for column in range(table.shape[1]):
            larger[row, column] = table[row, column]
    return larger


@borrowing_kernel
def _set(table: NDArray[np.int64], row: int, a: int, b: int, c: int, d: int) -> None:
    table[row, 0], table[row, 1], table[row, 2], table[row, 3] = a, b, c, d


@kernel
def spans(
    data: NDArray[np.uint8], start: int, stop: int, wanted: NDArray[np.uint8]
) -> tuple[bool, NDArray[np.int64], NDArray[np.int64]]:
    """The items of the list that is pickled in ``data`` (n,) from ``start``, and definitions.

    Gives (whether it is a list that can be taken apart, spans of its items (m, 4), spans of what
    makes the entries of the memo whose number is ``wanted`` (entries,), in their order). Stops at
    ``stop``, or at the end of the pickle.
    """
    items, defined = np.empty((1024, COLUMNS), np.int64), np.empty((64, COLUMNS), np.int64)
    slots, marks = np.empty((1024, _SLOT), np.int64), np.empty((64, 3), np.int64)
    count = rows = top = marked = memoized = 0
    root = -1
    limit, offset = len(data), start
    while offset < stop:
        fence = marks[marked - 1, 0] if marked else 0
        while 0 < top < len(slots) and offset + 10 < limit:
            code = data[offset]
            if _QUICK[code] > 0:
                _set(slots, top, offset, memoized, 0, -1)
                top += 1
                offset += _QUICK[code]
            elif code == _BINGET and data[offset + 1] < memoized and data[offset + 1] != root:
                _set(slots, top, offset, memoized, 1, -1)
                top += 1
                offset += 2
            elif code == _MEMOIZE and 1 < top > fence and memoized >= len(wanted):
                memoized += 1
                offset += 1
            else:
                break
        action = ACTION[data[offset]]
        end = end_of(data, offset)
        needs = NEEDS[action]
        if (
            not offset < end <= limit
            or action == BAD
            or action == DUP
            or action == POP
            or action == POPMARK
            or (needs < 0 and not marked)
            or (needs > 0 and top - fence < needs)
        ):
            return False, items, defined
        slots = _larger(slots, top + 2)
        if action == PUSH or action == GET:
            if action == GET:
                index = index_of(data, offset, end)
                if index < 0 or index >= memoized or index == root:
                    return False, items, defined
            if top == 0:
                return False, items, defined
            _set(slots, top, offset, memoized, int(action == GET), -1)
            top += 1
        elif action == PUT or action == MEMOIZE:
            if action == PUT and index_of(data, offset, end) != memoized:
                return False, items, defined
            if top == 1 and root >= 0:
                return False, items, defined
            root = memoized if top == 1 else root
            if memoized < len(wanted) and wanted[memoized]:
                if slots[top - 1, _ROW] >= 0:
                    return False, items, defined
                defined = _larger(defined, rows + 1)
                begin, first = slots[top - 1, _FROM], slots[top - 1, _MEMO]
                _set(defined, rows, begin, end, first, memoized + 1)
                slots[top - 1, _ROW] = rows
                rows += 1
            memoized += 1
        elif action == MARK:
            marks = _larger(marks, marked + 1)
            marks[marked, 0], marks[marked, 1], marks[marked, 2] = top, offset, memoized
            marked += 1
        elif action == STOP:
            return top == 1 and marked == 0, items[:count], defined[:rows]
        elif action != SKIP:
            several = action == APPENDS or action == SETITEMS or action == ADDITEMS
            in_place = several or action == APPEND or action == SETITEM or action == BUILD
            begin = top - needs if needs >= 0 else fence - int(several)
            if begin < (marks[marked - 2, 0] if marked > 1 and needs < 0 else 0):
                return False, items, defined
            if begin == 0 and in_place:
                if action != APPEND and action != APPENDS:
                    return False, items, defined
                items = _larger(items, count + top)
                for slot in range(1, top):
                    last = slot + 1 == top
                    until = offset if last else slots[slot + 1, _FROM]
                    behind = memoized if last else slots[slot + 1, _MEMO]
                    _set(items, count, slots[slot, _FROM], until, slots[slot, _MEMO], behind)
                    count += 1
            elif begin == 0:
                if top or (action != EMPTY_LIST and action != LIST):
                    return False, items, defined
                _set(slots, 0, offset, 0, 0, -1)
            elif in_place:
                if slots[begin, _RECALLED]:
                    return False, items, defined
                if slots[begin, _ROW] >= 0:
                    defined[slots[begin, _ROW], END] = end
                    defined[slots[begin, _ROW], BEHIND] = memoized
            elif needs < 0:
                _set(slots, begin, marks[marked - 1, 1], marks[marked - 1, 2], 0, -1)
            elif begin == top:
                _set(slots, begin, offset, memoized, 0, -1)
            else:
                slots[begin, _RECALLED], slots[begin, _ROW] = 0, -1
            marked -= int(needs < 0)
            top = begin + 1
        offset = end
    return True, items[:count], defined[:rows]


@borrowing_kernel
def behind_of(data: NDArray[np.uint8], offset: int) -> int:
    """The offset behind the opcode at ``offset``, which is whole."""
    argument = ARGUMENT[data[offset]]
    return offset + 1 + argument if 0 <= argument < LINE else end_of(data, offset)


@borrowing_kernel
def recalled(data: NDArray[np.uint8], parts: NDArray[np.int64], found: NDArray[np.uint8]) -> int:
    """Set ``found`` (entries,) to 1 for the entries of the memo that spans (n, 4) take from before
    them; how many there are that were 0."""
    new = 0
    for part in range(len(parts)):
        offset, end = parts[part, BEGIN], parts[part, END]
        first = parts[part, FIRST]
        while offset < end:
            behind = behind_of(data, offset)
            if ACTION[data[offset]] == GET:
                index = index_of(data, offset, behind)
                if index < first and not found[index]:
                    found[index] = 1
                    new += 1
            offset = behind
    return new

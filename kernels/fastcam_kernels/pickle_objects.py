"""The table of objects that a pickle would build: what each costs, without building any.

A stack entry is ``-1 - offset`` of the opcode for a number, text or bytes, else the row of an
object. For an object the table keeps how many such atoms lie in it, how much hashing and copying
it costs, how deep its tuples go, and a linked list of the objects in it. Sums end at ``INFINITE``.
"""

# ruff: noqa: SIM109 - each test for a member of a tuple takes long to compile

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import borrowing_kernel, kernel
from fastcam_kernels.pickle_opcodes import (
    CALLS,
    ENCODES,
    MAKES_DICT,
    MAKES_SET,
    ORDINARY,
    RESERVES,
    atom,
    is_latin1,
    wide,
)

# Columns of the table of objects.
FLAGS, _ATOMS, PAYLOAD, HASH, DEPTH, _HARD, _HEAD, COLUMNS = range(8)
# Flags: the kind of object, which is a text of a long line, any other object, or the name of a
# function with what calling that costs; of tuples whether they hold integers of more than a byte,
# and whether they end with "latin1".
TEXT, OBJECT, NAME = range(3)
_KIND, _WIDE, _LATIN1 = 0xFF, 0x100, 0x200
INFINITE = 1 << 60
# Sums in the table are int32, to be small: more than any limit on hashing, and of 16 bytes each.
_FULL, _UNIT = (1 << 31) - 1, 16
# What an object takes at least, in bytes, and what each object in it adds.
_LEAST, _SLOT = 16, 8


@kernel
def room(entries: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """An array of at least ``count`` entries that begins with these, or is this one.

    Loops, as whole slices take seconds to compile.
    """
    if count <= len(entries):
        return entries
    larger = np.empty(max(count, 2 * len(entries)), np.int64)
    for i in range(len(entries)):
        larger[i] = entries[i]
    return larger


@kernel
def table_room(table: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
    """As :func:`room`, for the rows of a table."""
    if rows <= len(table):
        return table
    columns = table.shape[1]
    larger = np.empty((max(rows, 2 * len(table)), columns), np.int32)
    for row in range(len(table)):
        for column in range(columns):
            larger[row, column] = table[row, column]
    return larger


@borrowing_kernel
def plus(first: int, second: int) -> int:
    return min(first + second, INFINITE)


@borrowing_kernel
def _times(first: int, second: int) -> int:
    if first > 0 and second > INFINITE // first:
        return INFINITE
    return first * second


@borrowing_kernel
def units(size: int) -> int:
    """Bytes as the table has them."""
    return min((size + _UNIT - 1) // _UNIT, _FULL)


@borrowing_kernel
def new(objects: NDArray[np.int32], row: int, kind: int) -> None:
    for column in range(COLUMNS):
        objects[row, column] = 0
    objects[row, FLAGS] = kind
    objects[row, HASH] = 1
    objects[row, _HEAD] = -1


@borrowing_kernel
def _link(
    objects: NDArray[np.int32], edges: NDArray[np.int32], count: int, into: int, row: int
) -> int:
    """Put an object into another; how many edges there are now."""
    edges[count, 0], edges[count, 1] = row, objects[into, _HEAD]
    objects[into, _HEAD] = count
    return count + 1


@borrowing_kernel
def hashing_of(data: NDArray[np.uint8], objects: NDArray[np.int32], entry: int) -> int:
    """Steps of hashing an entry: a tuple hashes all that is in it, every time."""
    return atom(data, -1 - entry)[1] if entry < 0 else int(objects[entry, HASH])


@borrowing_kernel
def make_tuple(
    data: NDArray[np.uint8],
    objects: NDArray[np.int32],
    edges: NDArray[np.int32],
    count: int,
    row: int,
    stack: NDArray[np.int64],
    first: int,
    top: int,
) -> int:
    """Make the object ``row`` a tuple of ``stack[first:top]``; how many edges there are now."""
    new(objects, row, OBJECT)
    total, hashing, depth, hard, flags, atoms = 0, 1, 0, 0, OBJECT, 0
    for place in range(first, top):
        entry = stack[place]
        if entry >= 0:
            count = _link(objects, edges, count, row, entry)
            hashing += wide(objects[entry, HASH])
            depth = max(depth, objects[entry, DEPTH])
        else:
            size, steps, alike, large = atom(data, -1 - entry)
            total += size
            hashing += steps
            hard += alike
            flags |= _WIDE * large
            atoms += 1
    if top > first and stack[top - 1] < 0 and is_latin1(data, -1 - stack[top - 1]):
        flags |= _LATIN1
    objects[row, FLAGS], objects[row, _ATOMS] = flags, atoms
    objects[row, PAYLOAD], objects[row, HASH] = units(total), min(hashing, _FULL)
    objects[row, DEPTH], objects[row, _HARD] = depth + 1, hard
    return count


@borrowing_kernel
def _own(objects: NDArray[np.int32], row: int) -> tuple[int, int]:
    """Bytes and tuple hashes of an object without the objects in it."""
    atoms = wide(objects[row, _ATOMS])
    size = _LEAST + _SLOT * atoms + _UNIT * wide(objects[row, PAYLOAD])
    return size, atoms + wide(objects[row, HASH])


@kernel
def _walk_deep(
    objects: NDArray[np.int32], edges: NDArray[np.int32], entry: int, most: int
) -> tuple[int, int]:
    """As :func:`walk`, for objects in objects in objects: it needs memory of its own."""
    waiting = np.empty(16, np.int64)
    waiting[0], left = entry, 1
    total, hashes = 0, 0
    while left and total <= most:
        left -= 1
        row = waiting[left]
        size, steps = _own(objects, row)
        total += size
        hashes += steps
        edge = objects[row, _HEAD]
        while edge >= 0 and total <= most:
            waiting = room(waiting, left + 1)
            waiting[left] = edges[edge, 0]
            left += 1
            total += _SLOT
            edge = edges[edge, 1]
    return total, hashes


@borrowing_kernel
def walk(
    objects: NDArray[np.int32], edges: NDArray[np.int32], entry: int, most: int
) -> tuple[int, int]:
    """Bytes and tuple hashes of an entry and all in it, as often as it is there; up to ``most``."""
    if entry < 0:
        return _SLOT, 1
    total, hashes = _own(objects, entry)
    edge = objects[entry, _HEAD]
    while edge >= 0 and total <= most:
        item = edges[edge, 0]
        if objects[item, _HEAD] >= 0:
            return _walk_deep(objects, edges, entry, most)
        size, steps = _own(objects, item)
        total += _SLOT + size
        hashes += steps
        edge = edges[edge, 1]
    return total, hashes


@borrowing_kernel
def _items_alike(objects: NDArray[np.int32], edges: NDArray[np.int32], row: int, pairs: int) -> int:
    """How many items of a list, or keys of its pairs, may have the same hash."""
    count = wide(objects[row, _HARD])
    edge = objects[row, _HEAD]
    while edge >= 0:
        item = edges[edge, 0]
        if not pairs or objects[item, _HARD] > 0 or objects[item, _HEAD] >= 0:
            count += 1
        edge = edges[edge, 1]
    return count


@borrowing_kernel
def _first(objects: NDArray[np.int32], edges: NDArray[np.int32], row: int) -> int:
    """The first object in an object, -1 where there is none."""
    edge, item = objects[row, _HEAD], -1
    while edge >= 0:
        item, edge = edges[edge, 0], edges[edge, 1]
    return item


@borrowing_kernel
def call(
    data: NDArray[np.uint8],
    objects: NDArray[np.int32],
    edges: NDArray[np.int32],
    row: int,
    function: int,
    args: int,
    most: int,
) -> tuple[int, int, bool]:
    """Make the object ``row`` that a call gives: (steps of hashing, bytes, whether boundless)."""
    new(objects, row, OBJECT)
    costs = ORDINARY if function < 0 else max((objects[function, FLAGS] & _KIND) - NAME, ORDINARY)
    size, hashes = walk(objects, edges, args, most)
    objects[row, PAYLOAD], objects[row, HASH] = units(size), min(hashes, _FULL)
    if args < 0:
        return 0, size, False
    objects[row, DEPTH] = objects[args, DEPTH]
    hashed, boundless = 0, False
    if costs == RESERVES:
        boundless = objects[args, FLAGS] & _WIDE > 0
    elif costs == ENCODES:
        # Python's punycode takes the square of a text's length.
        several = objects[args, _ATOMS] + int(objects[args, _HEAD] >= 0) > 1
        boundless = several and objects[args, FLAGS] & _LATIN1 == 0
    elif costs == CALLS:
        inner = _first(objects, edges, args)
        boundless = inner >= 0 and objects[inner, FLAGS] & _KIND > NAME
    elif costs == MAKES_SET or costs == MAKES_DICT:
        objects[row, HASH], objects[row, DEPTH] = 1, 0
        items = _first(objects, edges, args)
        if items >= 0:
            alike = _items_alike(objects, edges, items, costs == MAKES_DICT)
            hashed = plus(hashes, _times(alike, alike) // 2)
            # What it holds is what the list held.
            objects[row, _ATOMS], objects[row, _HARD] = (
                objects[items, _ATOMS],
                objects[items, _HARD],
            )
            objects[row, PAYLOAD], objects[row, _HEAD] = (
                objects[items, PAYLOAD],
                objects[items, _HEAD],
            )
    return hashed, size, boundless


@borrowing_kernel
def fill(
    data: NDArray[np.uint8],
    objects: NDArray[np.int32],
    edges: NDArray[np.int32],
    count: int,
    into: int,
    stack: NDArray[np.int64],
    first: int,
    top: int,
    step: int,
) -> tuple[int, int]:
    """Put ``stack[first:top]`` into a list (``step`` 0), set (1) or dict (2): (edges, steps of
    hashing).

    Texts have random hashes. Of large integers, and tuples of anything, a file can hold thousands
    whose hashes are alike: each is then compared with all before it.
    """
    hashed, total, atoms = 0, 0, 0
    hard = wide(objects[into, _HARD])
    for place in range(first, top):
        entry = stack[place]
        if entry >= 0:
            count = _link(objects, edges, count, into, entry)
            steps = wide(objects[entry, HASH])
            alike = int(objects[entry, FLAGS] & _KIND != TEXT)
        else:
            size, steps, alike, _ = atom(data, -1 - entry)
            total += size
            atoms += 1
        if step == 0:
            hard += alike if entry < 0 else 0
        elif step == 1 or (place - first) & 1 == 0:
            if alike:
                steps = plus(steps, _times(steps, hard))
                hard += 1
            hashed = plus(hashed, steps)
    objects[into, _HARD] = hard
    objects[into, _ATOMS] += atoms
    objects[into, PAYLOAD] = min(objects[into, PAYLOAD] + units(total), _FULL)
    return count, hashed


@kernel
def expanded(objects: NDArray[np.int32], edges: NDArray[np.int32], rows: int, root: int) -> int:
    """How many objects there are in ``root``, each as often as it is there; infinite in cycles.

    Uses up the table's lists.
    """
    if root < 0:
        return 1
    # 0: not begun; below: begun, the sum so far taken from -1; above: finished.
    totals = np.zeros(rows, np.int64)
    path = np.empty(64, np.int64)
    path[0], length = root, 1
    totals[root] = -1
    while length:
        row = path[length - 1]
        edge = objects[row, _HEAD]
        if edge < 0:
            totals[row] = plus(wide(objects[row, _ATOMS]), -totals[row])
            length -= 1
            continue
        inner = edges[edge, 0]
        if totals[inner] > 0:
            totals[row] = -plus(-totals[row], totals[inner])
            objects[row, _HEAD] = edges[edge, 1]
        elif totals[inner] < 0:
            return INFINITE
        else:
            totals[inner] = -1
            path = room(path, length + 1)
            path[length] = inner
            length += 1
    return int(totals[root])

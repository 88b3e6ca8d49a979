"""What a pickle would cost, found by walking its opcodes without building anything.

An abstract machine with the stack, the marks and the memo of ``pickle``'s, for protocols 0 to 5.
"""

# ruff: noqa: SIM109 - each test for a member of a tuple takes long to compile

from __future__ import annotations

import pickle

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import borrowing_kernel, kernel
from fastcam_kernels.pickle_objects import (
    COLUMNS,
    DEPTH,
    HASH,
    INFINITE,
    NAME,
    OBJECT,
    PAYLOAD,
    TEXT,
    call,
    expanded,
    fill,
    hashing_of,
    make_tuple,
    new,
    plus,
    room,
    table_room,
    units,
    walk,
)  # fmt: skip
from fastcam_kernels.pickle_opcodes import (
    ACTION,
    ADDITEMS,
    APPEND,
    APPENDS,
    ARGUMENT,
    BAD,
    BINPERSID,
    BUILD,
    DICT,
    DUP,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_SET,
    FROZENSET,
    GET,
    GLOBAL,
    INST,
    LINE,
    LIST,
    MARK,
    MEMOIZE,
    NEEDS,
    NEWOBJ_EX,
    OBJ,
    ORDINARY,
    POP,
    POPMARK,
    PUSH,
    PUT,
    REDUCE,
    SETITEM,
    SETITEMS,
    SKIP,
    STACK_GLOBAL,
    STOP,
    TUPLE,
    TUPLE0,
    end_of,
    index_of,
    is_text_line,
    name_code,
    number,
    wide,
)  # fmt: skip

# Results: whole; cut short or no pickle; hashing, calls cost more than allowed; a call that can
# cost anything.
DONE, DAMAGED, HASHING, BUILDING, UNBOUNDED = range(5)
# Lines longer than this become objects, so that their ends are looked for once.
_LONG_LINE = 64
# Rows that int32 counts.
_MOST_ROWS = (1 << 31) - 16
# Entries that a memo may have whatever the size of the file.
_SMALL_MEMO = 1 << 20


# Opcodes that are done at once: the size of fixed ones, which are pushed, or one of these.
_SHORT, _REMEMBER, _RECALL = -1, -2, -3
_QUICK = np.where((ACTION == PUSH) & (ARGUMENT >= 0) & (ARGUMENT < LINE), 1 + ARGUMENT, 0)
_QUICK[(ACTION == PUSH) & (ARGUMENT == -1)] = _SHORT
_QUICK[pickle.MEMOIZE[0]], _QUICK[pickle.BINGET[0]] = _REMEMBER, _RECALL


@borrowing_kernel
def _act(
    data: NDArray[np.uint8],
    offset: int,
    action: int,
    objects: NDArray[np.int32],
    edges: NDArray[np.int32],
    stack: NDArray[np.int64],
    first: int,
    top: int,
    rows: int,
    links: int,
    most: int,
) -> tuple[int, int, int, int, bool]:
    """Do what replaces ``stack[first:top]`` by one entry.

    Gives (that entry, edges, steps of hashing, bytes that calls copy, whether a call is boundless).
    New objects are ``rows`` and following, the entry last. An entry below zero is an error: only
    objects can be filled.
    """
    hashed, size, boundless = 0, 0, False
    result = rows
    if TUPLE0 <= action <= TUPLE:
        links = make_tuple(data, objects, edges, links, rows, stack, first, top)
    elif action == EMPTY_LIST or action == EMPTY_DICT or action == EMPTY_SET:
        new(objects, rows, OBJECT)
    elif action == LIST:
        new(objects, rows, OBJECT)
        links, _ = fill(data, objects, edges, links, rows, stack, first, top, 0)
    elif action == DICT or action == FROZENSET:
        new(objects, rows, OBJECT)
        step = 2 if action == DICT else 1
        links, hashed = fill(data, objects, edges, links, rows, stack, first, top, step)
    elif action == APPEND or action == APPENDS:
        result = stack[first]
        if result >= 0:
            links, _ = fill(data, objects, edges, links, result, stack, first + 1, top, 0)
    elif action == SETITEM or action == SETITEMS or action == ADDITEMS:
        result = stack[first]
        if result >= 0:
            step = 1 if action == ADDITEMS else 2
            links, hashed = fill(data, objects, edges, links, result, stack, first + 1, top, step)
    elif action == GLOBAL:
        new(objects, rows, NAME + name_code(data, offset))
    elif action == STACK_GLOBAL:
        has_name = stack[first + 1] < 0
        new(
            objects, rows, NAME + (name_code(data, -1 - stack[first + 1]) if has_name else ORDINARY)
        )
    elif action == REDUCE:
        hashed, size, boundless = call(
            data, objects, edges, rows, stack[first], stack[first + 1], most
        )
    elif action == INST or action == OBJ:
        # Three objects: the function, its arguments, and what it gives.
        begin = 0 if action == INST else 1
        function = rows
        if action == INST:
            new(objects, rows, NAME + name_code(data, offset))
        elif top == first:
            return -1, links, 0, 0, False
        else:
            new(objects, rows, OBJECT)
            function = stack[first]
        links = make_tuple(data, objects, edges, links, rows + 1, stack, first + begin, top)
        result = rows + 2
        hashed, size, boundless = call(data, objects, edges, result, function, rows + 1, most)
    elif action == NEWOBJ_EX:
        hashed, size, boundless = call(
            data, objects, edges, rows, stack[first], stack[first + 1], most
        )
        size = plus(size, walk(objects, edges, stack[first + 2], most)[0])
    elif action == BUILD:
        result = stack[first]
        size = walk(objects, edges, stack[first + 1], most)[0]
    elif action == BINPERSID:
        hashed = hashing_of(data, objects, stack[first])
        new(objects, rows, OBJECT)
    else:
        new(objects, rows, OBJECT)
    return result, links, hashed, size, boundless


@borrowing_kernel
def _begins(action: int, top: int, fence: int) -> int:
    """Where on the stack the entries begin that an action replaces by one."""
    needs = NEEDS[action]
    if needs >= 0:
        return top - needs  # type: ignore[no-any-return]
    # The object that is filled lies below the mark.
    return fence - int(action == APPENDS or action == SETITEMS or action == ADDITEMS)


@kernel
def cost(
    data: NDArray[np.uint8], start: int, most_hashing: int, most_building: int
) -> tuple[int, int, int, int, int, int, int]:
    """Walk the pickle in ``data`` (n,) from ``start`` to its STOP, or until it costs too much.

    Gives (result, offset behind it, opcodes, steps of hashing, bytes that calls copy, objects when
    each is counted as often as it is there, tuples inside each other). ``result`` is ``DONE`` or
    why it stopped at that offset. Sums end at ``INFINITE``, which cycles have.
    """
    # About what files of positions need; what isn't used takes no memory.
    objects = np.empty((1024 + (len(data) - start) // 30, COLUMNS), np.int32)
    edges = np.empty((1024 + (len(data) - start) // 30, 2), np.int32)
    stack, marks = np.empty(1024, np.int64), np.empty(64, np.int64)
    memo = np.full(256, INFINITE, np.int64)
    rows = links = top = marked = memoized = opcodes = hashed = built = depth = 0
    offset = start
    limit = len(data)
    while True:
        # Most of a file: atoms that are pushed and memoized, one after the other.
        fence = marks[marked - 1] if marked else 0
        room_left = min(len(stack) - top - 1, len(memo) - memoized)
        while room_left > 0 and offset + 10 < limit:
            code = data[offset]
            quick = _QUICK[code]
            if quick > 0:
                stack[top] = -1 - offset
                top += 1
                offset += quick
            elif quick == _SHORT and offset + 2 + data[offset + 1] <= limit:
                stack[top] = -1 - offset
                top += 1
                offset += 2 + wide(data[offset + 1])
            elif quick == _REMEMBER and top > fence and memo[memoized] == INFINITE:
                memo[memoized] = stack[top - 1]
                memoized += 1
                offset += 1
            elif quick == _RECALL and memo[data[offset + 1]] != INFINITE:
                stack[top] = memo[data[offset + 1]]
                top += 1
                offset += 2
            else:
                break
            opcodes += 1
            room_left -= 1
        code = data[offset] if offset < limit else np.uint8(0)
        action = ACTION[code]
        argument = ARGUMENT[code]
        end = offset + 1 + argument if 0 <= argument < LINE else end_of(data, offset)
        needs = NEEDS[action]
        if (
            not offset < end <= limit
            or action == BAD
            or (needs < 0 and not marked)
            or (needs > 0 and top - fence < needs)
        ):
            return DAMAGED, offset, opcodes, hashed, built, 0, depth
        opcodes += 1
        if top + 2 > len(stack):
            stack = room(stack, top + 2)
        if action == PUSH:
            stack[top] = -1 - offset
            if argument >= LINE and end - offset > _LONG_LINE:
                objects = table_room(objects, rows + 1)
                new(objects, rows, TEXT if is_text_line(wide(code)) else OBJECT)
                objects[rows, PAYLOAD] = units(end - offset)
                objects[rows, HASH] = 1 if is_text_line(wide(code)) else units(end - offset) * 2
                stack[top] = rows
                rows += 1
            top += 1
        elif action == GET:
            index = index_of(data, offset, end)
            if index < 0 or index >= len(memo) or memo[index] == INFINITE:
                return DAMAGED, offset, opcodes, hashed, built, 0, depth
            stack[top] = memo[index]
            top += 1
        elif action == PUT or action == MEMOIZE:
            index = memoized if action == MEMOIZE else index_of(data, offset, end)
            # Whoever stores object i has stored i before it, with two bytes each at least.
            if index < 0 or (index >= _SMALL_MEMO and 2 * index > offset):
                return DAMAGED, offset, opcodes, hashed, built, 0, depth
            if index >= len(memo):
                old_length = len(memo)
                memo = room(memo, index + 1)
                for empty in range(old_length, len(memo)):
                    memo[empty] = INFINITE
            memoized += int(memo[index] == INFINITE)
            memo[index] = stack[top - 1]
        elif action == SKIP:
            if argument == 8 and number(data, offset + 1, 8) > limit - end:
                return DAMAGED, offset, opcodes, hashed, built, 0, depth
        elif action == MARK:
            if marked == len(marks):
                marks = room(marks, marked + 1)
            marks[marked] = top
            marked += 1
        elif action == DUP:
            stack[top] = stack[top - 1]
            top += 1
        elif action == POPMARK or (action == POP and marked and top == fence):
            marked -= 1
            top = fence
        elif action == POP:
            if top == fence:
                return DAMAGED, offset, opcodes, hashed, built, 0, depth
            top -= 1
        elif action == STOP:
            total = expanded(objects, edges, rows, stack[top - 1])
            return DONE, end, opcodes, hashed, built, total, depth
        else:
            begin = _begins(action, top, fence)
            if begin < (marks[marked - 2] if marked > 1 and needs < 0 else 0):
                return DAMAGED, offset, opcodes, hashed, built, 0, depth
            if max(rows, links + top - begin) > _MOST_ROWS:
                return BUILDING, offset, opcodes, hashed, built, 0, depth
            if rows + 3 > len(objects):
                objects = table_room(objects, rows + 3)
            if links + top - begin + 1 > len(edges):
                edges = table_room(edges, links + top - begin + 1)
            result, links, steps, size, boundless = _act(
                data, offset, action, objects, edges, stack, begin, top, rows, links,
                most_building - built,
            )  # fmt: skip
            if result < 0:
                return DAMAGED, offset, opcodes, hashed, built, 0, depth
            hashed, built = plus(hashed, steps), plus(built, size)
            if boundless or hashed > most_hashing or built > most_building:
                reason = HASHING if hashed > most_hashing else BUILDING
                return (
                    UNBOUNDED if boundless else reason, offset, opcodes, hashed, built, 0, depth,
                )  # fmt: skip
            marked -= int(needs < 0)
            stack[begin] = result
            top = begin + 1
            if result >= rows:
                depth = max(depth, objects[result, DEPTH])
                rows = result + 1
        offset = end

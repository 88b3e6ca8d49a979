"""The opcodes of pickle's protocols 0 to 5 in raw bytes: what each does, and how long it is."""

# ruff: noqa: SIM109 - each test for a member of a tuple takes long to compile

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcam_kernels._jit import borrowing_kernel

# What opcodes do to the stack. BAD is no opcode.
(
    BAD, PUSH, SKIP, MARK, POP, POPMARK, DUP, PUT, MEMOIZE, GET, STOP, TUPLE0, TUPLE1, TUPLE2,
    TUPLE3, TUPLE, EMPTY_LIST, EMPTY_DICT, EMPTY_SET, LIST, DICT, FROZENSET, APPEND, APPENDS,
    SETITEM, SETITEMS, ADDITEMS, GLOBAL, STACK_GLOBAL, INST, OBJ, REDUCE, NEWOBJ_EX, BUILD, OPAQUE,
    BINPERSID,
) = range(36)  # fmt: skip

_ATOMS = b"NIJKMLFGSTUVXBC\x88\x89\x8a\x8b\x8c\x8d\x8e\x96"
_DOES = {
    **dict.fromkeys(_ATOMS, PUSH),
    **dict.fromkeys(b"\x80\x95\x98", SKIP),  # PROTO, FRAME, READONLY_BUFFER
    **dict.fromkeys(b"pqr", PUT),
    **dict.fromkeys(b"ghj", GET),
    **dict.fromkeys(b"R\x81", REDUCE),  # NEWOBJ, too
    **dict.fromkeys(b"P\x82\x83\x84\x97", OPAQUE),  # PERSID, EXT1 to EXT4, NEXT_BUFFER
    **dict(
        zip(
            b"(012.\x94)\x85\x86\x87t]}\x8fld\x91aesu\x90c\x93io\x92bQ",
            (
                MARK, POP, POPMARK, DUP, STOP, MEMOIZE, TUPLE0, TUPLE1, TUPLE2, TUPLE3, TUPLE,
                EMPTY_LIST, EMPTY_DICT, EMPTY_SET, LIST, DICT, FROZENSET, APPEND, APPENDS, SETITEM,
                SETITEMS, ADDITEMS, GLOBAL, STACK_GLOBAL, INST, OBJ, NEWOBJ_EX, BUILD, BINPERSID,
            ),
            strict=True,
        )
    ),
}  # fmt: skip
ACTION = np.zeros(256, np.int64)
ACTION[list(_DOES)] = list(_DOES.values())

# Entries an action needs above the last mark; -1: the mark itself, which it takes away.
NEEDS = np.zeros(36, np.int64)
NEEDS[[POPMARK, TUPLE, LIST, DICT, FROZENSET, APPENDS, SETITEMS, ADDITEMS, INST, OBJ]] = -1
NEEDS[[DUP, PUT, MEMOIZE, STOP, TUPLE1, BINPERSID]] = 1
NEEDS[[TUPLE2, APPEND, STACK_GLOBAL, REDUCE, BUILD]] = 2
NEEDS[[TUPLE3, SETITEM, NEWOBJ_EX]] = 3

# Bytes of an opcode's argument; below zero: of the length in front of it; a line; two lines.
LINE, _LINES = 16, 17
ARGUMENT = np.zeros(256, np.int64)
for _codes, _length in (
    (b"Khq\x80\x82", 1),
    (b"M\x83", 2),
    (b"Jjr\x84", 4),
    (b"G\x95", 8),
    (b"UC\x8c\x8a", -1),
    (b"TBX\x8b", -4),
    (b"\x8d\x8e\x96", -8),
    (b"FILSVPpg", LINE),
    (b"ci", _LINES),
):
    ARGUMENT[list(_codes)] = _length

# Names of functions by what calling them costs: sets and dicts hash what they are given, others
# reserve as much as a number says, encode, or call what they are given.
ORDINARY, MAKES_SET, MAKES_DICT, RESERVES, ENCODES, CALLS = range(6)
_NAMES = (
    ("set", MAKES_SET), ("frozenset", MAKES_SET), ("Counter", MAKES_SET),
    ("OrderedDict", MAKES_DICT), ("dict", MAKES_DICT), ("bytearray", RESERVES),
    ("Tensor", RESERVES), ("encode", ENCODES), ("_rebuild_from_type_v2", CALLS),
)  # fmt: skip
_LONGEST_NAME = 24
_NAME_BYTES = np.zeros((len(_NAMES), _LONGEST_NAME), np.uint8)
for _row, (_name, _) in enumerate(_NAMES):
    _NAME_BYTES[_row, : len(_name)] = list(_name.encode())
_NAME_CODES = np.array([code for _, code in _NAMES])
_STORAGE = np.frombuffer(b"Storage", np.uint8)
_LATIN1 = np.frombuffer(b"latin1latin-1", np.uint8)

_NEWLINE, _INT, _LONG = 0x0A, pickle.INT[0], pickle.LONG[0]
_BININT, _BININT2 = pickle.BININT[0], pickle.BININT2[0]
_LONG1, _LONG4 = pickle.LONG1[0], pickle.LONG4[0]
_STRING, _UNICODE = pickle.STRING[0], pickle.UNICODE[0]
# Stands for every integer that a file may make as large as it likes.
LARGE = 1 << 60
# A digit of Python's integers is 30 bits.
_DIGIT = 4
# Integers of so many bytes can have the same hash, the remainder by 2**61 - 1.
_ALIKE = 8


@borrowing_kernel
def wide(value: Any) -> int:
    """An integer of any type as one that can be calculated with: those of tables are small."""
    return np.int64(value)  # type: ignore[return-value]


@borrowing_kernel
def number(data: NDArray[np.uint8], offset: int, length: int) -> int:
    """The little-endian number of ``length`` <= 8 bytes; ``LARGE`` where it is larger."""
    value = 0
    for i in range(length - 1, -1, -1):
        if value >= LARGE >> 8:
            return LARGE
        value = (value << 8) | wide(data[offset + i])
    return value


@borrowing_kernel
def end_of(data: NDArray[np.uint8], offset: int) -> int:
    """The offset behind the opcode at ``offset`` and its argument; -1 where the data end before."""
    size = len(data)
    if offset >= size:
        return -1
    length = ARGUMENT[data[offset]]
    if 0 <= length < LINE:
        end = offset + 1 + length
    elif length < 0:
        end = offset + 1 - length
        if end > size:
            return -1
        end += number(data, offset + 1, -length)
    else:
        end = offset + 1
        for _ in range(length - LINE + 1):
            while end < size and data[end] != _NEWLINE:
                end += 1
            end += 1
    return end if end <= size else -1


@borrowing_kernel
def _decimal(data: NDArray[np.uint8], start: int, end: int) -> int:
    """The number of decimal digits between two offsets; -1 for anything else."""
    value, digits = 0, 0
    for i in range(start, end):
        digit = wide(data[i]) - 0x30
        if 0 <= digit <= 9:
            value = min(value * 10 + digit, LARGE // 16)
            digits += 1
        elif not (data[i] == 0x20 or 9 <= data[i] <= 13 or data[i] == 0x4C):
            return -1
    return value if digits else -1


@borrowing_kernel
def index_of(data: NDArray[np.uint8], offset: int, end: int) -> int:
    """The number of the memo's entry in a PUT or GET; -1 where there is none."""
    length = ARGUMENT[data[offset]]
    if length == LINE:
        return _decimal(data, offset + 1, end)
    return number(data, offset + 1, length)


@borrowing_kernel
def is_text_line(code: int) -> bool:
    """Whether it is STRING or UNICODE, whose ends have to be looked for."""
    return code == _STRING or code == _UNICODE


@borrowing_kernel
def is_number_line(code: int) -> bool:
    """Whether it is INT or LONG, integers in decimal."""
    return code == _INT or code == _LONG


@borrowing_kernel
def atom(data: NDArray[np.uint8], offset: int) -> tuple[int, int, int, int]:
    """Of a number, text or bytes: (bytes in it, steps of hashing it, whether a file can make many
    of the same hash, whether it is an integer of more than one byte).

    Texts and bytes are hashed once. INT and LONG have at most 64 bytes here.
    """
    code = data[offset]
    length = ARGUMENT[code]
    if code == _LONG1 or code == _LONG4:
        size = number(data, offset + 1, -length)
        return size, 1 + size // _DIGIT, int(size >= _ALIKE), 1
    if length == -1:
        return wide(data[offset + 1]), 1, 0, 0
    if length < 0:
        return number(data, offset + 1, -length), 1, 0, 0
    if length < LINE:
        return 0, 1, 0, int(code == _BININT or code == _BININT2)
    if is_number_line(code):
        return 0, 8, int(end_of(data, offset) - offset > 16), 1
    return 0, 1, 0, 0


@borrowing_kernel
def text_span(data: NDArray[np.uint8], offset: int) -> tuple[int, int]:
    """Where the text of an opcode begins and ends: of GLOBAL and INST the name's, without the
    module's. Empty where it has none."""
    length = ARGUMENT[data[offset]]
    end = end_of(data, offset)
    if length < 0:
        return offset + 1 - length, end
    start = offset + 1
    if length == _LINES:
        while data[start] != _NEWLINE:
            start += 1
        return start + 1, end - 1
    return (start, end - 1) if length == LINE else (start, start)


@borrowing_kernel
def name_code(data: NDArray[np.uint8], offset: int) -> int:
    """What calling the function costs whose name the opcode at ``offset`` holds."""
    start, end = text_span(data, offset)
    length = end - start
    for row in range(len(_NAME_CODES)):
        name = _NAME_BYTES[row]
        if 0 < length < _LONGEST_NAME and name[length] == 0 and name[length - 1] != 0:
            same = True
            for i in range(length):
                same &= name[i] == data[start + i]
            if same:
                return _NAME_CODES[row]  # type: ignore[no-any-return]
    if length >= len(_STORAGE):
        same = True
        for i in range(len(_STORAGE)):
            same &= data[end - len(_STORAGE) + i] == _STORAGE[i]
        if same:
            return RESERVES
    return ORDINARY


@borrowing_kernel
def is_latin1(data: NDArray[np.uint8], offset: int) -> bool:
    """Whether the text at ``offset`` is ``latin1`` or ``latin-1``."""
    start, end = text_span(data, offset)
    length = end - start
    if length != 6 and length != 7:
        return False
    same = True
    for i in range(length):
        same &= data[start + i] == _LATIN1[(0 if length == 6 else 6) + i]
    return same

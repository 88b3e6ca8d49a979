"""Walk the opcodes of a pickle without running them.

``pickle`` believes the sizes a file declares: a dozen bytes can make it reserve a terabyte or
fill a memo of billions. This walk goes first and lets nothing through whose declared sizes
don't fit the file. Seven million opcodes (100 cases of 2400 patches) take 0.17 s because runs of
opcodes of fixed length are skipped by one regular expression; ``pickletools.genops`` takes 12 s.
"""

from __future__ import annotations

import itertools
import mmap
import pickletools
import re
from collections.abc import Callable

import numpy as np

Data = bytes | mmap.mmap


class ScanError(ValueError):
    """The bytes are no whole pickle, or declare sizes that they don't have."""


# A LONG_BINPUT below 2**20 reserves at most 16 MiB and passes here; others are looked at.
# Opcodes without arguments, and behind those with some: together 0.17 s instead of 0.24.
_BARE = rb"[()\]}012NQRabdelostu\x81\x85-\x89\x8f-\x94\x97\x98]"
_FIXED = re.compile(
    rb"(?s:[Khq\x80\x82].%b*+|[M\x83]..%b*+|C\x08.{8}%b*+|%b++"
    rb"|[Jj\x84].{4}|G.{8}|r..[\x00-\x0f]\x00|C\x04.{4}){0,4000}+" % ((_BARE,) * 4)
)
_SIZED = {  # opcode: bytes of the little-endian length that follows it
    **dict.fromkeys(b"UC\x8c\x8a", 1),
    **dict.fromkeys(b"TBX\x8b", 4),
    **dict.fromkeys(b"\x8e\x8d\x96", 8),
}
_LINES = {**dict.fromkeys(b"FILSVPpg", 1), **dict.fromkeys(b"ci", 2)}
_STOP, _FRAME, _LONG_BINPUT, _PUT = b".\x95rp"
# Opcodes that make tuples, and what hashing one takes of the C stack for each tuple inside another:
# 56 bytes measured (Python 3.11, x86-64). No more than a gigabyte is reserved, as small machines
# refuse it; a file needs 19 million tuples inside each other to come to its end.
_TUPLES = b"\x85\x86\x87t"
STACK = 128
MOST_STACK = 1 << 30


def check(data: Data) -> None:
    """Raise ScanError unless ``data`` starts with one whole pickle whose sizes fit in it."""
    size = len(data)
    at = 0
    skip: Callable[[Data, int], re.Match[bytes] | None] = _FIXED.match
    while True:
        match = skip(data, at)
        if match is not None and match.end() > at:
            at = match.end()
            continue
        if at >= size:
            raise ScanError(f"it ends after {size} bytes, before the end of its data")
        at = _after(data, at, size)
        if at < 0:
            return


def _after(data: Data, at: int, size: int) -> int:
    """Offset behind the opcode at ``at``; -1 for STOP."""
    code = data[at]
    if code == _STOP:
        return -1
    if code in _SIZED:
        body = at + 1 + _SIZED[code]
        end = body + int.from_bytes(data[at + 1 : body], "little")
    elif code in _LINES:
        end = _behind_lines(data, at, size)
    elif code == _FRAME:
        end = at + 9
        length = int.from_bytes(data[at + 1 : end], "little")
        if end + length > size:
            raise ScanError(f"it ends after {size} bytes, before the end of its data")
    elif code == _LONG_BINPUT:
        end = at + 5
        _check_memo(int.from_bytes(data[at + 1 : end], "little"), at)
    elif size - at < 9 and _FIXED.match(data[at:size] + bytes(8), 0).end():  # type: ignore[union-attr]
        end = size + 1
    else:
        raise ScanError(f"byte {at} is 0x{code:02x}, which is no pickle opcode")
    if end > size:
        raise ScanError(f"it ends after {size} bytes, before the end of its data")
    return end


def _behind_lines(data: Data, at: int, size: int) -> int:
    end = at + 1
    for _ in range(_LINES[data[at]]):
        newline = data.find(b"\n", end)
        if newline < 0:
            return size + 1
        end = newline + 1
    if data[at] == _PUT:
        digits = data[at + 1 : end - 1].strip()
        if not digits.isdigit():
            raise ScanError(f"byte {at} is a PUT without a number")
        _check_memo(int(digits[:20]), at)
    return end


def _check_memo(index: int, at: int) -> None:
    # Whoever stores object i has stored i before it, with two bytes each at least.
    if 2 * index > at:
        raise ScanError(f"byte {at} stores memo entry {index}, more than a file this size can have")


def stack_for(data: Data) -> int:
    """Bytes of C stack that are enough to hash what a pickle holds: a key may be a tuple in a tuple
    in a tuple ..., and hashing it goes all the way down."""
    block, found = 1 << 20, 0
    for start in range(0, len(data), block):
        part = np.frombuffer(data[start : start + block], np.uint8)
        found += sum(int(np.count_nonzero(part == code)) for code in _TUPLES)
    return min(STACK * found, MOST_STACK)


def globals_of(data: bytes, most: int = 2_000_000) -> list[str]:
    """The ``module.name`` of everything a pickle would call or look up, in order, each once.

    Only the first ``most`` opcodes are looked at; a name that is put together at run time shows
    as "?".
    """
    names: dict[str, None] = {}
    memo: dict[int, str] = {}
    words: list[str] = ["?", "?"]
    top, memoized = "?", 0
    try:
        for op, arg, _ in itertools.islice(pickletools.genops(data), most):
            if op.name in ("GLOBAL", "INST"):
                names[".".join(str(arg).split(" ", 1))] = None
            elif op.name == "STACK_GLOBAL":
                names[".".join(words[-2:])] = None
            if op.name == "MEMOIZE" or op.name.endswith("PUT"):
                memo[memoized if arg is None else int(arg)] = top
                memoized += 1
                continue
            if arg is not None and op.name.endswith("GET"):
                top = memo.get(int(arg), "?")
            else:
                top = arg if isinstance(arg, str) and op.name != "GLOBAL" else "?"
            words = [words[-1], top]
    except (ValueError, UnicodeDecodeError):
        pass  # damaged from here on; what was named before still counts
    return list(names)

"""Small files that ask for work or memory without end, each made where it is needed."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

WIDTH, LEVELS = 10, 40


def _get(place: int) -> bytes:
    return b"j" + place.to_bytes(4, "little")


def levels(begin: bytes, end: bytes, first: bytes = b"K\x01") -> bytes:
    """A container with ten times the one before it, forty times over; the last on the stack."""
    data = first + b"r" + bytes(4) + b"0"
    for level in range(1, LEVELS + 1):
        data += begin + _get(level - 1) * WIDTH + end + b"r" + level.to_bytes(4, "little") + b"0"
    return data + _get(LEVELS)


TUPLES = levels(b"(", b"t")
LISTS = levels(b"](", b"e")
# Keys of a dict must differ: each level is the value of ten of them.
_TEN_DICTS = b"".join(
    b"}(" + b"".join(b"K" + bytes([key]) + _get(level - 1) for key in range(WIDTH)) + b"u"
    b"r" + level.to_bytes(4, "little") + b"0"
    for level in range(1, LEVELS + 1)
)
# Ten keys of a dict, each with the dict before it.
DICTS = b"}r" + bytes(4) + b"0" + _TEN_DICTS + _get(LEVELS)
_SAME_HASH = b"".join(
    pickle.dumps(place * (2**61 - 1), 2)[2:-1] + b"N"
    for place in range(1 << 30, (1 << 30) + 60_000)
)
_LARGE_NUMBER = b"\x8b" + struct.pack("<i", 500_000) + b"\x01" * 500_000
_ARRAY_TIMES = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)

# Bodies without PROTO and STOP.
PICKLES: dict[str, bytes] = {
    "a tuple of tuples in a set": b"\x8f(" + TUPLES + b"\x90",
    "a tuple of tuples as a key": b"}" + TUPLES + b"Ns",
    "a tuple of tuples in a frozenset": b"(" + TUPLES + b"\x91",
    "a tuple of tuples as a dict": b"(" + TUPLES + b"Nd",
    "a set that is called": b"c__builtin__\nset\n](" + TUPLES + b"e\x85R",
    "a dict that is called": b"ccollections\nOrderedDict\n](" + TUPLES + b"N\x86e\x85R",
    "a set by INST": b"(](" + TUPLES + b"ei__builtin__\nset\n",
    "lists of lists": b"]" + LISTS + b"a",
    "lists of lists as a name": b"](}X\x0c\x00\x00\x00patient_name" + LISTS + b"se",
    "dicts of dicts": b"]" + DICTS + b"a",
    "a list in itself": b"]q\x00(" + b"h\x00" * 10 + b"e",
    "numbers of one hash": b"}(" + _SAME_HASH + b"u",
    "a large number again and again": _LARGE_NUMBER + b"q\x000}(" + b"h\x00N" * 100_000 + b"u",
    "a text encoded again and again": b"c_codecs\nencode\nq\x000X\x06\x00\x00\x00latin1q\x010"
    + _ARRAY_TIMES
    + b"q\x020](" + b"h\x00h\x02h\x01\x86R" * 20_000 + b"e",
    "a list made a set again and again": b"c__builtin__\nset\nq\x000](" + b"K\x01" * 100_000
    + b"eq\x010](" + b"h\x00h\x01\x85R" * 20_000 + b"e",
    "a shape of a million axes": b"cnumpy.core.numeric\n_frombuffer\n(C\x04aaaacnumpy\ndtype\n"
    b"X\x02\x00\x00\x00f4\x85R(" + b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f" * 200_000
    + b"tX\x01\x00\x00\x00CtR",
    "tuples two million deep": b"]N" + b"\x85" * 2_000_000 + b"a",
}  # fmt: skip


def pickled(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


def torch_zip(body: bytes, compress: bool = False) -> bytes:
    """A file as ``torch.save`` lays it out, whose pickle is ``body``."""
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def torch_legacy(body: bytes) -> bytes:
    """A file as ``torch.save`` wrote it before it used zip, whose pickle is ``body``."""
    front = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return (
        b"".join(pickle.dumps(part, 2) for part in front)
        + b"\x80\x02"
        + body
        + b"."
        + (pickle.dumps([], 2))
    )


def inflating_torch(path: Path, size: int) -> None:
    """A checkpoint whose pickle has ``size`` bytes when it is unpacked, few when packed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("archive/data.pkl", "w", force_zip64=True) as member:
            member.write(b"\x80\x02]")
            for _ in range(size >> 20):
                member.write(b"N0" * (1 << 19))
            member.write(b".")
        archive.writestr("archive/version", "3\n")

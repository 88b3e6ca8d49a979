"""Pickles of every opcode, in results files and checkpoints: nothing in them runs, and none costs
more than a file of its size may."""

from __future__ import annotations

import pickletools
import random
import struct
from collections.abc import Iterator
from pathlib import Path

from tests.campaign.forked import run_forked
from tests.campaign.material import Material, fresh_results, numbered_folders
from tests.campaign.tally import Tally
from tests.faults.hostile_files import torch_legacy, torch_zip

_SECONDS, _BYTES = 2.0, 512 << 20
_MARK, _STACK = "mark", "stack"
# Functions that would write the canary, and some that are allowed.
_HOSTILE = (
    *("os system", "posix system", "builtins eval", "builtins exec", "subprocess Popen"),
    *("subprocess check_output", "builtins __import__", "nt system", "pty spawn", "shutil rmtree"),
    *("builtins getattr", "operator attrgetter", "functools partial", "runpy run_path"),
    *("torch load", "torch.storage _load_from_bytes", "numpy load", "pickle loads", "codecs open"),
    *("numpy.f2py.crackfortran myeval", "torch._dynamo.guards exec", "os.path join"),
)
_ALLOWED = (
    *("numpy ndarray", "numpy dtype", "numpy.core.multiarray _reconstruct"),
    *("numpy._core.multiarray scalar", "numpy._core.numeric _frombuffer", "_codecs encode"),
    *("collections OrderedDict", "builtins set", "torch._utils _rebuild_tensor_v2"),
    *("torch FloatStorage", "torch._utils _rebuild_parameter"),
)
_NUMBERS = (0, 1, 2, 4, 5, 127, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)


class Generator:
    """Random pickles; it keeps account of the stack, so that most go far before they fail."""

    def __init__(self, rng: random.Random, canary: Path) -> None:
        self.rng = rng
        self.canary = canary

    def pickle(self, length: int) -> bytes:
        """A pickle of about ``length`` opcodes."""
        rng, body = self.rng, bytearray()
        stack: list[str] = []
        for _ in range(length):
            body += self._step(stack)
        while _MARK in stack:
            body += b"t"
            del stack[len(stack) - 1 - stack[::-1].index(_MARK) :]
            stack.append(_STACK)
        body += b"N" if not stack else b""
        head = b"\x80" + bytes([rng.choice((2, 2, 3, 4, 5))]) if rng.random() < 0.9 else b""
        return head + bytes(body) + (b"." if rng.random() < 0.95 else b"")

    def _step(self, stack: list[str]) -> bytes:
        rng = self.rng
        if rng.random() < 0.12:
            return self._call(stack)
        for _ in range(30):
            opcode = rng.choice(pickletools.opcodes)
            if opcode.name in ("STOP", "PROTO", "FRAME") and rng.random() < 0.9:
                continue
            if self._applies(opcode, stack) or rng.random() < 0.02:
                return opcode.code.encode("latin-1") + self._argument(opcode)
        stack.append(_STACK)
        return b"N"

    def _applies(self, opcode: pickletools.OpcodeInfo, stack: list[str]) -> bool:
        """Whether the stack has what an opcode takes; if so it is taken, and what it gives put."""
        before = opcode.stack_before
        takes_mark = pickletools.markobject in before
        if takes_mark:
            if _MARK not in stack:
                return False
            index = len(stack) - 1 - stack[::-1].index(_MARK)
            below = before.index(pickletools.markobject)
            if index < below or _MARK in stack[index - below : index]:
                return False
            del stack[index - below :]
        else:
            count = len(before)
            if len(stack) < count or _MARK in stack[len(stack) - count :]:
                return False
            del stack[len(stack) - count :]
        stack += [
            _MARK if kind is pickletools.markobject else _STACK for kind in opcode.stack_after
        ]
        return True

    def _call(self, stack: list[str]) -> bytes:
        """A function with arguments that would leave the canary behind."""
        rng = self.rng
        name = rng.choice(_HOSTILE if rng.random() < 0.7 else _ALLOWED)
        module, _, function = name.partition(" ")
        command = rng.choice(
            (f"touch {self.canary}", f"open({str(self.canary)!r}, 'w')", str(self.canary))
        )
        if rng.random() < 0.5:
            found = f"c{module}\n{function}\n".encode()
        else:
            found = _text(module) + _text(function) + b"\x93"
        stack.append(_STACK)
        ending = rng.choice((b"\x85R", b"\x85\x81", b"\x85R}b", b"\x85}\x92"))
        if rng.random() < 0.1:
            return b"(" + _text(command) + f"i{module}\n{function}\n".encode()
        return found + _text(command) + ending

    def _argument(self, opcode: pickletools.OpcodeInfo) -> bytes:
        """A value of the kind that follows an opcode, often right and sometimes absurd."""
        rng, argument = self.rng, opcode.arg
        if argument is None:
            return b""
        name, count = argument.name, rng.choice(_NUMBERS)
        if name == "stringnl_noescape_pair":
            return rng.choice(_HOSTILE + _ALLOWED).replace(" ", "\n").encode() + b"\n"
        if name in ("stringnl", "stringnl_noescape", "unicodestringnl"):
            return rng.choice((b"'text'\n", b"text\n", b"\\u0041\n", b"\n", b"'\n"))
        if name in ("decimalnl_short", "decimalnl_long", "floatnl"):
            return rng.choice((b"1\n", b"00\n", b"-7\n", b"1e9\n", b"9" * 5000 + b"\n", b"L\n"))
        if name == "float8":
            return struct.pack(">d", rng.choice((0.0, 1.5, float("nan"), float("inf"))))
        sizes = {"uint1": 1, "uint2": 2, "int4": 4, "uint4": 4, "uint8": 8}
        if name in sizes:
            small = rng.randint(0, 12) if rng.random() < 0.8 else count
            return (small % 256 ** sizes[name]).to_bytes(sizes[name], "little")
        lengths = {"1": 1, "4": 4, "8": 8}
        size = lengths.get(name[-1], 4)
        content = b"text" * rng.randint(0, 4)
        length = len(content) if rng.random() < 0.95 else count % 256**size
        return (length % 256**size).to_bytes(size, "little") + content


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def run(material: Material, folder: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """One hostile file after the other, for ever."""
    new_folder = numbered_folders(folder)
    work = new_folder()
    canary = work / "canary"
    generator = Generator(rng, canary)
    good = material.results.read_bytes()
    assert len(fresh_results(material)) == 3
    while True:
        body = generator.pickle(rng.choice((3, 10, 40, 200, 2000)))
        if rng.random() < 0.3:
            # Large ones are checked by the compiled kernel, others by Python.
            body = body[:2] + b"N0" * 40_000 + body[2:]
        kind = rng.choice(("results", "results", "spliced results", "zip", "legacy"))
        if kind == "results":
            path, data = work / "file.pkl", body
        elif kind == "spliced results":
            at = rng.randrange(2, len(good) - 1)
            path, data = work / "file.pkl", good[:at] + body[2:-1] + good[at:]
        else:
            inner = body.removesuffix(b".")[2:]
            path = work / "file.pth"
            data = torch_zip(inner) if kind == "zip" else torch_legacy(inner)
        path.write_bytes(data)
        ended = run_forked(["inspect", path], work)
        fault = ended.fault((0, 2))
        if not fault and canary.exists():
            fault = f"something in it ran: {data[:4000]!r}"
        if not fault and ended.seconds > _SECONDS:
            fault = f"took {ended.seconds:.1f} s: {data[:2000]!r}"
        if not fault and ended.memory > _BYTES:
            fault = f"took {ended.memory >> 20} MiB: {data[:2000]!r}"
        tally.add("hostile checkpoint" if path.suffix == ".pth" else "hostile pickle", fault, kind)
        canary.unlink(missing_ok=True)
        path.unlink()
        yield

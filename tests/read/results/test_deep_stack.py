"""Tuples nested without end: what hashes them has room on the stack to come back."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fastcam.read.results.deep_stack import call_deep

NESTED = {
    "tuples of one": b"N" + b"\x85" * 300_000,
    "tuples of two": b"N" + b"N\x86" * 300_000,
    "marked tuples": b"(" * 300_000 + b"N" + b"t" * 300_000,
    "by the memo": b")q\x00" + b"0h\x00\x85q\x00" * 300_000,
}


BODIES = {
    "the file's key": (b"}", b"Ns"),
    "a case's key": (b"]}", b"Nsa"),
    "a name": (b"]}" + b"\x8c\x0cpatient_name", b"sa"),
}
REASONS = {
    "the file's key": "holds a dict with the keys a list too large to print",
    "a case's key": "case 1: the key 'patient_name' is missing",
    "a name": "patient_name is a tuple too large to print",
}
READ = """
import sys
from pathlib import Path
from fastcam.errors import InputError
from fastcam.read.results.results import read_results
for path in sys.argv[1:]:
    try:
        print(read_results(Path(path)).rejected[0].reason, flush=True)
    except InputError as error:
        print(error, flush=True)
"""


def test_a_tuple_nested_without_end_ends_nothing(tmp_path: Path) -> None:
    # Hashing it takes 60 bytes of the C stack a level; there are 8 MiB. One process reads all of
    # them: it ends with the first that it can't bear.
    kinds = [(kind, where) for kind in NESTED for where in BODIES]
    files = []
    for number, (kind, where) in enumerate(kinds):
        before, after = BODIES[where]
        files.append(tmp_path / f"{number}.pkl")
        files[-1].write_bytes(b"\x80\x04" + before + NESTED[kind] + after + b".")
    done = subprocess.run(
        [sys.executable, "-c", READ, *files], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(kinds), (kinds[len(lines)], done.returncode, done.stderr[-300:])
    for line, (_, where) in zip(lines, kinds, strict=True):
        assert REASONS[where] in line


def test_a_deep_stack_gives_back_what_came_of_it() -> None:
    before = threading.stack_size()
    nested: tuple[object, ...] = ()
    for _ in range(300_000):
        nested = (nested,)
    assert call_deep(lambda: hash(nested) is not None, 300_000 * 256)
    with pytest.raises(ZeroDivisionError):
        call_deep(lambda: 1 // 0, 2**26)
    assert threading.stack_size() == before

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


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED.keys())
@pytest.mark.parametrize("where", ["the file's key", "a case's key", "a name"])
def test_a_tuple_nested_without_end_ends_nothing(tmp_path: Path, nested: bytes, where: str) -> None:
    # Hashing it takes 60 bytes of the C stack a level; there are 8 MiB.
    body = {
        "the file's key": b"}" + nested + b"Ns",
        "a case's key": b"]}" + nested + b"Nsa",
        "a name": b"]}" + b"\x8c\x0cpatient_name" + nested + b"sa",
    }[where]
    path = tmp_path / "results.pkl"
    path.write_bytes(b"\x80\x04" + body + b".")
    code = "import sys; from pathlib import Path\n"
    code += "from fastcam.read.results.results import read_results\n"
    code += "found = read_results(Path(sys.argv[1])); print(found.rejected[0].reason)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).strip().splitlines()[-1]
    expected = {
        "the file's key": "holds a dict with the keys a list too large to print",
        "a case's key": "case 1: the key 'patient_name' is missing",
        "a name": "patient_name is a tuple too large to print",
    }[where]
    assert expected in said


def test_a_deep_stack_gives_back_what_came_of_it() -> None:
    before = threading.stack_size()
    nested: tuple[object, ...] = ()
    for _ in range(300_000):
        nested = (nested,)
    assert call_deep(lambda: hash(nested) is not None, 300_000 * 256)
    with pytest.raises(ZeroDivisionError):
        call_deep(lambda: 1 // 0, 2**26)
    assert threading.stack_size() == before

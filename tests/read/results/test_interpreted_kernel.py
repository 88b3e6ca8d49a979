"""The kernel that checks pickles says the same run by Python as compiled."""

from __future__ import annotations

import pickle
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
from fastcam_kernels import pickle_cost
from fastcam_kernels.pickle_objects import INFINITE

from fastcam.demo.neck_set import SyntheticSet
from fastcam.read.results.interpreted_kernel import interpreted
from tests.campaign.hostile_pickles import Generator
from tests.campaign.mutations import mutated

LIMITS = 200_000_000, 1 << 22


@pytest.fixture(autouse=True)
def no_overflow() -> None:
    warnings.simplefilter("error")


def both(data: bytes, start: int = 0) -> tuple[list[int], list[int]]:
    by_python = interpreted(pickle_cost.cost)(data, start, *LIMITS)
    compiled = pickle_cost.cost(np.frombuffer(data, np.uint8), start, *LIMITS)
    return list(map(int, by_python)), list(map(int, compiled))


def same(data: bytes, start: int = 0) -> int:
    """The result that both give; AssertionError where they differ."""
    by_python, compiled = both(data, start)
    assert by_python == compiled, data
    return compiled[0]


def test_random_pickles_cost_the_same() -> None:
    rng = random.Random(0)
    generator = Generator(rng, Path("/nowhere"))
    seen = {same(generator.pickle(rng.choice((3, 10, 40, 200)))) for _ in range(400)}
    assert {pickle_cost.DONE, pickle_cost.DAMAGED, pickle_cost.BUILDING} <= seen


def test_damaged_results_cost_the_same(neck: SyntheticSet) -> None:
    rng = random.Random(1)
    good = neck.results.read_bytes()[:6000]
    for _ in range(60):
        same(mutated(good, rng))


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol(protocol: int) -> None:
    value = [1, -7, 2**40, 2**900, 1.5, "a", "图" * 90, b"b" * 300, {(1, 2): {3, 4}}, None, True]
    assert same(b"...." + pickle.dumps(value * 3, protocol), 4) == pickle_cost.DONE


def test_sums_are_of_64_bits() -> None:
    # Texts of 2 GB and more in one list: the opcodes say so, and the table has 32 bits.
    long = b"x" * 60_000
    text = b"X" + len(long).to_bytes(4, "little") + long + b"q\x00"
    items = b"](" + text + b"h\x00" * 2000 + b"e" + b"q\x01"
    lists = b"(" + b"h\x01" * 2000 + b"t"
    assert same(b"\x80\x02" + items + lists + b".") == pickle_cost.DONE


def test_nested_tuples_as_keys() -> None:
    def get(number: int) -> bytes:
        return b"h" + bytes([number])

    levels = [b"(" + get(n) * 10 + b"tq" + bytes([n + 1]) for n in range(40)]
    tuples = b"N\x85q\x00" + b"".join(levels)
    assert same(b"\x80\x02" + tuples + b"}h\x28Ns.") == pickle_cost.HASHING


def test_a_list_in_itself() -> None:
    data = b"\x80\x02]q\x00h\x00a."
    by_python, compiled = both(data)
    assert by_python == compiled
    assert compiled[5] == INFINITE

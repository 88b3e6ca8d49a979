"""What a pickle would cost, against pickletools and slow functions on the objects themselves."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from fastcam_kernels import pickle_cost
from fastcam_kernels.pickle_objects import INFINITE
from hypothesis import given, settings
from hypothesis import strategies as st

MANY = 1 << 50


def cost(data: bytes, hashing: int = MANY, building: int = MANY) -> tuple[int, ...]:
    return pickle_cost.cost(np.frombuffer(data, np.uint8), 0, hashing, building)


def expanded(value: Any) -> int:
    """How many objects there are in ``value``, each as often as it is there."""
    if isinstance(value, dict):
        return 1 + sum(expanded(k) + expanded(v) for k, v in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 1 + sum(map(expanded, value))
    return 1


def tuple_depth(value: Any) -> int:
    """Tuples inside each other, directly, anywhere in ``value``."""

    def chain(inner: Any) -> int:
        return 1 + max(map(chain, inner), default=0) if isinstance(inner, tuple) else 0

    parts: list[Any] = []
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    return max([chain(value), *map(tuple_depth, parts)])


def hash_steps(key: Any) -> int:
    """Calls of ``hash`` that hashing ``key`` makes."""
    return 1 + sum(map(hash_steps, key)) if isinstance(key, tuple) else 1


def key_steps(value: Any) -> int:
    """Calls of ``hash`` for all the keys in ``value``, where each object is there once."""
    if isinstance(value, dict):
        return sum(hash_steps(k) + key_steps(k) + key_steps(v) for k, v in value.items())
    if isinstance(value, set | frozenset):
        return sum(hash_steps(item) + key_steps(item) for item in value)
    return sum(map(key_steps, value)) if isinstance(value, list | tuple) else 0


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=300)
    | st.binary(max_size=300)
    | st.binary(max_size=20).map(bytearray)
)
KEYS = st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda k: st.lists(k, max_size=4).map(tuple),
)
OBJECTS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
        # The same objects again and again.
        | inner.map(lambda x: [x, (x, x), [x, x]])
    ),
    max_leaves=30,
)
PROTOCOLS = st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1))


@settings(deadline=None, max_examples=400)
@given(OBJECTS, PROTOCOLS)
def test_it_agrees_with_the_objects_themselves(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol) + b"what follows"
    result, end, opcodes, hashed, _, objects, depth = cost(data)
    assert result == pickle_cost.DONE
    assert end == len(data) - len(b"what follows")
    assert opcodes == sum(1 for _ in pickletools.genops(data[:end]))
    assert objects == expanded(value)
    # Old protocols write bytes and sets as calls with tuples of arguments.
    assert tuple_depth(value) <= depth <= tuple_depth(value) + (2 if protocol < 5 else 0)
    if protocol < 4:
        return
    assert hashed >= key_steps_once(value)


def key_steps_once(value: Any) -> int:
    """As ``key_steps``, with what a pickle stores once counted once."""
    seen: set[int] = set()

    def steps(inner: Any) -> int:
        if isinstance(inner, dict | set | frozenset | list | tuple):
            if id(inner) in seen:
                return 0
            seen.add(id(inner))
        if isinstance(inner, dict):
            return sum(hash_steps(k) + steps(k) + steps(v) for k, v in inner.items())
        if isinstance(inner, set | frozenset):
            return sum(hash_steps(item) + steps(item) for item in inner)
        return sum(map(steps, inner)) if isinstance(inner, list | tuple) else 0

    return steps(value)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.text(), st.sets(st.text()), max_size=5))
def test_texts_as_keys_cost_one_step_each(value: Any) -> None:
    assert cost(pickle.dumps(value, 4))[3] == key_steps(value)


@settings(deadline=None, max_examples=500)
@given(OBJECTS, PROTOCOLS, st.data())
def test_garbage_ends_with_an_answer(value: Any, protocol: int, draw: st.DataObject) -> None:
    data = bytearray(pickle.dumps(value, protocol))
    for _ in range(draw.draw(st.integers(1, 8))):
        place = draw.draw(st.integers(0, len(data) - 1))
        data[place] = draw.draw(st.integers(0, 255))
    data = data[: draw.draw(st.integers(0, len(data)))]
    result, end, *_ = cost(bytes(data), 10**6, 10**8)
    assert 0 <= result <= pickle_cost.UNBOUNDED
    assert 0 <= end <= len(data)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_bytes_that_pickle_reads_are_whole(data: bytes) -> None:
    try:
        pickle.loads(b"\x80\x04" + data)
    except Exception:  # noqa: BLE001 - pickle raises anything on bytes without sense
        return
    assert cost(b"\x80\x04" + data)[0] == pickle_cost.DONE


def nested(kind: bytes, levels: int, width: int = 10) -> bytes:
    """A number in a container ``width`` times, that in another, and so on; memo 0 to levels."""
    begin, end = {b"tuple": (b"(", b"t"), b"list": (b"](", b"e")}[kind]
    inside = [begin + (b"j" + level.to_bytes(4, "little")) * width + end for level in range(levels)]
    return b"\x80\x04K\x01\x94" + b"\x94".join(inside)


def test_sums_are_those_of_a_case_worked_by_hand() -> None:
    # A set of 1 and tuples of 10, 110 and 1110 objects. Of the tuples each is compared with those
    # before it, should its hash be the same.
    data = b"\x80\x04\x8f(" + nested(b"tuple", 3)[2:] + b"\x90."
    _, _, _, hashed, _, objects, depth = cost(data)
    assert objects == 1 + 1 + 11 + 111 + 1111
    assert hashed == 1 + 11 + 2 * 111 + 3 * 1111
    assert depth == 3
    assert cost(nested(b"list", 3) + b".")[5] == 1111
    # Sums stop where they mean nothing any more.
    assert cost(nested(b"list", 40) + b".")[5] == INFINITE
    assert cost(b"]\x94h\x00a.")[5] == INFINITE  # a list in itself


CALLS: dict[str, tuple[bytes, int]] = {
    "a set of tuples": (
        b"c__builtin__\nset\n(]" + nested(b"tuple", 40)[2:] + b"atR.",
        pickle_cost.HASHING,
    ),
    "bytes of any size": (b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.", pickle_cost.UNBOUNDED),
    "a slow codec": (b"c_codecs\nencode\n(U\x03abcU\x08punycodetR.", pickle_cost.UNBOUNDED),
    "a call by a call": (
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cbuiltins\nbytearray\nNtR.",
        pickle_cost.UNBOUNDED,
    ),
    "lists within lists": (
        b"ctorch\nTensor\n(" + nested(b"list", 40)[2:] + b"tR.",
        pickle_cost.BUILDING,
    ),
}


@pytest.mark.parametrize(("data", "expected"), CALLS.values(), ids=CALLS.keys())
def test_what_calls_cost_is_counted(data: bytes, expected: int) -> None:
    assert cost(data, 2 * 10**8, 2**28)[0] == expected


def test_numbers_of_one_hash_cost_the_square_of_their_count() -> None:
    keys = {place * (2**61 - 1): None for place in range(100, 1100)}
    assert len({hash(key) for key in keys}) == 1
    steps = cost(pickle.dumps(keys, 4))[3]
    assert 1000 * 999 / 2 <= steps <= 10 * 1000 * 1000


def test_what_training_scripts_write_costs_what_it_holds() -> None:
    arrays = OrderedDict((f"a{place}", np.zeros(1000, np.float32)) for place in range(50))
    for protocol in range(6):
        file = io.BytesIO()
        pickle.dump(arrays, file, protocol)
        result, _, _, hashed, built, _, _ = cost(file.getvalue())
        assert result == pickle_cost.DONE
        assert hashed < 10_000
        assert built < 20 * len(file.getvalue())

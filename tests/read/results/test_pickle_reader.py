"""Pickles: what NumPy and torch write comes back; what is foreign or damaged never runs."""

# ruff: noqa: E501  (one hand-made pickle a line reads best)
from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.read.results import pickle_scan
from fastcam.read.results.pickle_reader import load

OBJECTS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(24).reshape(2, 3, 4).transpose(1, 2, 0),
    np.arange(3, dtype=">i4"),
    np.array([True, False]),
    np.array(5, np.uint8),
    np.float16(0.5),
    np.float64(-1.25),
    np.int64(7),
    np.bool_(True),
    np.str_("颈a"),
    {1, 2},
    [{"a": (1, 2.5, None, "x")}],
    2**70,
]


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "results.pkl"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_what_numpy_writes_comes_back(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps(OBJECTS, protocol)
    loaded = load(saved(tmp_path, data))
    assert isinstance(loaded, list)
    for expected, found in zip(pickle.loads(data), loaded, strict=True):
        if isinstance(expected, np.ndarray):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        else:
            assert found == expected


@pytest.mark.parametrize("protocol", range(4))
def test_numpy_1_spelling_is_read(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps([np.arange(3.0), np.float32(2)], protocol)
    old = data.replace(b"numpy._core.", b"numpy.core.")
    assert old != data
    first, second = load(saved(tmp_path, old))  # type: ignore[misc]
    np.testing.assert_array_equal(first, np.arange(3.0))
    assert second == np.float32(2)


def test_ordered_dict_keeps_its_order(tmp_path: Path) -> None:
    from collections import OrderedDict

    value = OrderedDict([("b", 1), ("a", 2)])
    loaded = load(saved(tmp_path, pickle.dumps(value)))
    assert isinstance(loaded, dict)
    assert list(loaded.items()) == [("b", 1), ("a", 2)]


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


def call(module: str, name: str, arguments: bytes) -> bytes:
    """A protocol 4 pickle that calls module.name(*arguments)."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + arguments + b"R."


FOREIGN = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "getattr"),
    ("builtins", "exec"),
    ("builtins", "bytes"),
    ("numpy", "ndarray.tofile"),
    ("numpy", "load"),
    ("numpy", "save"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.f2py.crackfortran", "getlincoef"),
    ("numpy._core.multiarray", "scalar.__class__"),
    ("numpy._core.multiarray", "fromfile"),
    ("numpy._core.multiarray.scalar", "__call__"),
    ("numpy.core", "multiarray"),
    ("collections", "OrderedDict.fromkeys"),
    ("_codecs", "decode"),
    ("torch", "load"),
    ("torch.storage", "_load_from_bytes.__globals__"),
    ("fastcam.read.results.numpy_stand_ins", "Call"),
    ("", ""),
]


@pytest.mark.parametrize(("module", "name"), FOREIGN)
def test_a_foreign_global_is_named_and_not_run(
    tmp_path: Path, module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []
    monkeypatch.setattr(os, "system", ran.append)
    monkeypatch.setattr(builtins, "eval", ran.append)
    path = saved(tmp_path, call(module, name, text("1") + b"\x85"))
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert f"asks for {module}.{name}," in message
    assert "nothing in it was run" in message
    assert str(path) in message
    assert "\n" not in message
    assert ran == []


def test_protocol_0_spelling_is_refused_as_well(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"asks for os\.system"):
        load(saved(tmp_path, b"cos\nsystem\n(S'true'\ntR."))
    with pytest.raises(InputError, match=r"asks for os\.system"):
        load(saved(tmp_path, b"(S'true'\nios\nsystem\n."))


DTYPE = text("numpy") + text("dtype") + b"\x93"
FLOATS = DTYPE + text("f4") + b"\x85R"
NDARRAY = text("numpy") + text("ndarray") + b"\x93"
EMPTY = (
    text("numpy._core.multiarray") + text("_reconstruct") + b"\x93" + NDARRAY + b"K\x00\x85C\x01b\x87R"
)  # fmt: skip
HUGE = b"\x8a\x06\xff\xff\xff\xff\xff\x00"

ABUSE = {
    "object dtype": DTYPE + text("O") + b"\x85R",
    "void dtype": DTYPE + text("V8") + b"\x85R",
    "datetime dtype": DTYPE + text("M8[ns]") + b"\x85R",
    "comma dtype": DTYPE + text("f4,O") + b"\x85R",
    # flags taken from the state would turn bytes into object pointers
    "dtype with fields": FLOATS + b"(K\x03" + text("|") + b"N" + text("a") + b"\x85}K\x08K\x01K\x3ftb",
    "dtype with a subarray": FLOATS + b"(K\x03" + text("|") + FLOATS + b"NNK\x08K\x01K\x3ftb",
    "dtype state no tuple": FLOATS + b"]b",
    "call ndarray": NDARRAY + HUGE + b"\x85R",
    "new ndarray": NDARRAY + HUGE + b"\x85\x81",
    "state for ndarray": NDARRAY + b"}b",
    "state for a function": text("numpy") + text("dtype") + b"\x93N}" + text("x") + b"K\x01s\x86b",
    "huge reconstruct": text("numpy._core.multiarray") + text("_reconstruct") + b"\x93" + NDARRAY
    + HUGE + b"\x85C\x01b\x87R",
    "subclass": text("numpy._core.multiarray") + text("_reconstruct") + b"\x93" + DTYPE
    + b"K\x00\x85C\x01b\x87R",
    "array shorter than its shape": EMPTY + b"(K\x01K\x05\x85" + FLOATS + b"\x89C\x04abcdtb",
    "array with a negative shape": EMPTY + b"(K\x01J\xff\xff\xff\xff\x85" + FLOATS + b"\x89C\x04abcdtb",
    "array of a list": EMPTY + b"(K\x01K\x01\x85" + FLOATS + b"\x89]tb",
    "array state no tuple": EMPTY + b"}b",
    "scalar too short": text("numpy._core.multiarray") + text("scalar") + b"\x93" + FLOATS
    + b"C\x02ab\x86R",
    "scalar of a string": text("numpy._core.multiarray") + text("scalar") + b"\x93" + text("f4")
    + b"C\x04abcd\x86R",
    "scalar of bad code points": text("numpy._core.multiarray") + text("scalar") + b"\x93" + DTYPE
    + text("U1") + b"\x85RC\x04\xff\xff\xff\xff\x86R",
    "buffer too short": text("numpy._core.numeric") + text("_frombuffer") + b"\x93(C\x04abcd" + FLOATS
    + b"K\x09\x85" + text("C") + b"tR",
    "encode to something else": text("_codecs") + text("encode") + b"\x93" + text("a") + text("rot13")
    + b"\x86R",
    "set of a string": text("builtins") + text("set") + b"\x93" + text("ab") + b"\x85R",
    "unhashable": text("builtins") + text("set") + b"\x93]]a\x85R",
    "storage of junk": text("torch.storage") + text("_load_from_bytes") + b"\x93C\x04junk\x85R",
    "tensor without storage": text("torch._utils") + text("_rebuild_tensor_v2") + b"\x93(NK\x00))\x89NtR",
    "extension": b"\x82\x01",
    "persistent id": text("x") + b"Q",
    "missing memo": b"h\x07",
    "empty stack": b"R",
    "out-of-band buffer": b"\x97",
}  # fmt: skip


@pytest.mark.parametrize("body", ABUSE.values(), ids=ABUSE.keys())
def test_allowed_names_can_not_be_abused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(InputError) as caught:
        load(saved(tmp_path, b"\x80\x05" + body + b"."))
    assert "damaged" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    for protocol in (2, 4, 5):
        with pytest.raises(InputError, match="only numbers"):
            load(saved(tmp_path, pickle.dumps(np.array([{}], object), protocol)))


def test_declared_sizes_must_fit_the_file(tmp_path: Path) -> None:
    for body in (
        b"\x80\x02Nr" + struct.pack("<I", 2**31 - 1) + b".",  # memo of two billion entries
        b"Np4000000000\n.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**42) + b"abc.",  # bytes of four terabytes
        b"\x80\x05\x96" + struct.pack("<Q", 2**42) + b"abc.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**42) + b"N.",  # frame
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
    ):
        with pytest.raises(InputError, match="not a whole pickle"):
            load(saved(tmp_path, body))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_truncation_is_an_input_error(tmp_path: Path, protocol: int) -> None:
    value = [
        {"a": np.arange(3.0), "b": [np.float64(1), "颈", 300, 2**40, -5, 1.5, None, b"x" * 300]}
    ]
    data = pickle.dumps(value, protocol)
    for length in range(len(data)):
        with pytest.raises(InputError):
            load(saved(tmp_path, data[:length]))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        load(tmp_path / "none.pkl")
    with pytest.raises(InputError, match="can't be read"):
        load(tmp_path)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(value=plain, protocol=st.integers(3, 5))
def test_any_plain_value_survives_and_scans(value: object, protocol: int) -> None:
    pickle_scan.check(pickle.dumps(value, protocol))
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"fastcam-test-{os.getpid()}.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    try:
        assert load(path) == value
    finally:
        path.unlink()


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
def test_damage_is_an_input_error_or_harmless(flips: list[tuple[int, int]]) -> None:
    data = bytearray(pickle.dumps([{"w": np.arange(4, dtype=np.float32), "s": np.float64(1)}], 4))
    for at, value in flips:
        data[at % len(data)] = value
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"fastcam-test-{os.getpid()}.pkl"
    path.write_bytes(data)
    try:
        load(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        path.unlink()


def test_globals_are_listed_without_running(tmp_path: Path) -> None:
    data = call("os", "system", text("x") + b"\x85")
    assert pickle_scan.globals_of(data) == ["os.system"]
    assert pickle_scan.globals_of(b"cos\nsystem\n(S'true'\ntR.") == ["os.system"]
    names = pickle_scan.globals_of(pickle.dumps([np.arange(3.0), np.float64(1)], 4))
    assert names == [
        "numpy._core.multiarray._reconstruct",
        "numpy.ndarray",
        "numpy.dtype",
        "numpy._core.multiarray.scalar",
    ]
    assert pickle_scan.globals_of(b"cos\nsystem\n\xff\xff") == ["os.system"]


def test_tensors_come_back_as_arrays(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values = [torch.arange(6.0).reshape(2, 3).T, torch.tensor(3), torch.zeros(0), np.float64(2)]
    for protocol in (2, 4):
        loaded = load(saved(tmp_path, pickle.dumps(values, protocol)))
        for expected, found in zip(values, loaded, strict=True):
            np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
            assert type(found).__module__ != "torch"
    buffer = io.BytesIO()
    torch.save([{"w": torch.arange(3.0), "n": np.arange(2), "s": np.float64(2)}], buffer)
    (case,) = load(saved(tmp_path, buffer.getvalue()))  # type: ignore[misc]
    np.testing.assert_array_equal(case["w"], np.arange(3.0))
    np.testing.assert_array_equal(case["n"], np.arange(2))
    assert case["s"] == 2


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    data = pickle.dumps(torch.arange(3.0), 4)
    shape = b"K\x03\x85"
    assert data.count(shape) == 1
    with pytest.raises(InputError, match="in a storage of 3 numbers"):
        load(saved(tmp_path, data.replace(shape, b"K\x63\x85")))


def test_torch_zip_with_something_foreign_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("true",)

    buffer = io.BytesIO()
    torch.save([Evil()], buffer)
    ran: list[object] = []
    monkeypatch.setattr(os, "system", ran.append)
    with pytest.raises(InputError, match=r"posix\.system"):
        load(saved(tmp_path, buffer.getvalue()))
    with pytest.raises(InputError, match="refuses it"):
        load(saved(tmp_path, buffer.getvalue()[:200]))
    assert ran == []


def test_a_global_with_a_line_end_in_its_name_is_told_on_one_line(tmp_path: Path) -> None:
    data = bytearray(pickle.dumps([{"w": np.arange(4, dtype=np.float32), "s": np.float64(1)}], 4))
    data[22] = 10
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(InputError) as caught:
        load(tmp_path / "a.pkl")
    assert "\n" not in str(caught.value)

"""Large results files are read in parts: the same cases as whole ones, in a fraction of the
memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcam.errors import InputError
from fastcam.read.results import json_file, large_files, pickle_parts, pickle_reader
from fastcam.read.results.pickle_parts import parts_of
from fastcam.read.results.results import read_results
from tests.read.results.records import record, same


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_files, "LARGE", 1)
    monkeypatch.setattr(json_file, "_LARGE", 1)
    monkeypatch.setattr(json_file, "_WINDOW", 7)
    monkeypatch.setattr(pickle_parts, "_PART", 100)
    # What small parts share is many times their size.
    monkeypatch.setattr(pickle_parts, "_MOST_BYTES", 1000)


class Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module.replace("__builtin__", "builtins"), name)


def in_parts(data: bytes) -> list[Any] | None:
    """The list in a pickle, each part by pickle's own reader; None where it isn't taken apart."""
    parts = parts_of(data)
    if parts is None:
        return None
    return [item for pickled in parts.pickles() for item in Reader(io.BytesIO(pickled)).load()]


ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
ATOMS |= st.binary(max_size=300)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.sets(st.text(), max_size=1)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), protocol=st.integers(0, 5), optimized=st.booleans())
def test_parts_together_are_the_list(data: st.DataObject, protocol: int, optimized: bool) -> None:
    shared = data.draw(st.lists(VALUES, min_size=1, max_size=4))
    reference = st.sampled_from(shared)
    item = VALUES | reference | st.tuples(reference, VALUES) | st.lists(reference, max_size=3)
    value = data.draw(st.lists(item, min_size=2, max_size=40))
    value.append({"shared": shared, "array": np.arange(3.0), "number": np.int64(5)})
    value.append({"number": np.float64(2), "array": np.arange(3.0), "again": value[0]})
    pickled = pickle.dumps(value, protocol)
    pickled = pickletools.optimize(pickled) if optimized else pickled
    found = in_parts(pickled)
    assert repr(found) == repr(value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("count", [2, 999, 1000, 1001, 2500])
def test_real_lists_are_taken_apart(count: int, protocol: int) -> None:
    value = [record(str(number), 2) for number in range(count)]
    found = in_parts(pickle.dumps(value, protocol))
    assert repr(found) == repr(value)


def test_more_than_a_byte_numbers_shared_things() -> None:
    words = [f"word {number}" for number in range(400)]
    value = [{"words": words}, *({word: [word]} for word in words)]
    assert in_parts(pickle.dumps(value)) == value


@pytest.mark.parametrize(
    "value",
    [{"a": 1}, (1, 2, 3, 4), 5, [], [1], "text"],
    ids=["dict", "tuple", "number", "empty", "one", "text"],
)
def test_what_is_no_list_of_several_is_read_whole(value: object) -> None:
    assert parts_of(pickle.dumps(value)) is None


def test_lists_in_themselves_are_read_whole() -> None:
    value: list[Any] = [[1], [2]]
    value[0].append(value)
    assert parts_of(pickle.dumps(value)) is None
    # Fills what an earlier item made.
    assert parts_of(b"\x80\x04](]\x94]h\x00K\x01ae.") is None


def test_everything_in_everything_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_parts, "_MOST_BYTES", 2)
    long = [str(number) for number in range(2000)]
    value = [{"patches": long, "name": str(number)} for number in range(100)]
    parts = parts_of(pickle.dumps(value))
    assert parts is not None
    assert list(parts.pickles())[-1] == b""


def written(folder: Path, suffix: str, records: list[dict[str, Any]]) -> Path:
    path = folder / f"results{suffix}"
    if suffix == ".json":
        plain = json.dumps(records, default=lambda value: value.tolist())
        path.write_text(f" \n{plain} \n", encoding="utf-8")
    elif suffix == ".pt":
        tensors = [r | {"attention_weights": torch.tensor(r["attention_weights"])} for r in records]
        torch.save(tensors, path)
    else:
        path.write_bytes(pickle.dumps(records))
    return path


@pytest.mark.parametrize("suffix", [".pkl", ".json", ".pt"])
def test_cases_are_those_of_the_whole_file(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [record(f"颈{number}", 1 + number % 5) for number in range(60)]
    records[7]["positions"] = 5
    path = written(tmp_path, suffix, records)
    found = read_results(path)
    monkeypatch.setattr(large_files, "LARGE", 1 << 40)
    monkeypatch.setattr(json_file, "_LARGE", 1 << 40)
    whole = read_results(path)
    assert len(found.cases) == 59
    assert all(same(left, right) for left, right in zip(found.cases, whole.cases, strict=True))
    assert [entry.place for entry in found.rejected] == [8]
    assert found.rejected == whole.rejected


def test_shared_positions_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_parts, "_MOST_BYTES", 2)
    positions = record("A", 50)["positions"]
    records = [record(str(n), 50, positions=positions) for n in range(80)]
    path = written(tmp_path, ".pkl", records)
    assert len(read_results(path).cases) == 80


@pytest.mark.parametrize("suffix", [".pkl", ".json", ".pt"])
def test_a_cut_file_is_refused_as_a_whole_one_is(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, suffix, [record(str(number)) for number in range(20)])
    path.write_bytes(path.read_bytes()[:-300])
    messages = []
    for least in (1, 1 << 40):
        monkeypatch.setattr(large_files, "LARGE", least)
        monkeypatch.setattr(json_file, "_LARGE", least)
        with pytest.raises(InputError) as caught:
            read_results(path)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert str(path) in messages[0]


class Foreign:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("torch_file", [False, True])
def test_foreign_names_are_refused_in_any_part(
    tmp_path: Path, torch_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    records = [record(str(number)) for number in range(20)]
    records[15]["extra"] = Foreign()
    path = tmp_path / ("r.pt" if torch_file else "r.pkl")
    if torch_file:
        torch.save(records, path)
    else:
        path.write_bytes(pickle.dumps(records))
    with pytest.raises(InputError, match="mkdir"):
        read_results(path)
    assert not (tmp_path / "ran").exists()


def test_torch_tensors_of_every_kind(tmp_path: Path) -> None:
    names = ("float16", "float32", "float64", "bfloat16", "int64", "int32", "uint8")
    strided = torch.arange(12.0).reshape(3, 4).t()[1]
    weights = [torch.tensor([1, 0, 2]).to(getattr(torch, name)) for name in names] + [strided]
    records = [record(str(n), attention_weights=w) for n, w in enumerate(weights)]
    path = tmp_path / "results.pt"
    torch.save(records, path)
    found = read_results(path)
    assert found.rejected == ()
    for case, expected in zip(found.cases, weights, strict=True):
        np.testing.assert_array_equal(case.weights, expected.float().numpy())


def test_large_json_that_is_no_list_of_cases(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text, message in (
        ("[]", "is empty"),
        ("[1, 2.5, 12345678901234567890]", "is a list of int"),
        ('{"a": [1]}', "holds a dict"),
        ('[{"a": 1}, {"a": 2}] x', "not a complete JSON file: Extra data"),
        ('[{"a": 1} {"a": 2}]', "not a complete JSON file: Expecting ',' delimiter"),
        ("", "not a complete JSON file"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_results(path)


def test_a_part_holds_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All the dicts of the list are never there at the same time."""
    alive: list[int] = []
    real = pickle_reader.unpickle

    def counting(file: io.BytesIO, cost: Any, **options: Any) -> object:
        loaded = real(file, cost, **options)
        assert isinstance(loaded, list)
        alive.append(sum(len(entry["positions"]) for entry in loaded))
        return loaded

    monkeypatch.setattr(large_files, "unpickle", counting)
    path = written(tmp_path, ".pkl", [record(str(number), 20) for number in range(50)])
    assert len(read_results(path).cases) == 50
    assert sum(alive) == 1000
    assert max(alive) <= 40

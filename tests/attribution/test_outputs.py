"""The answer in what a model returns: found where one tensor can be it, else asked for."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fastcam.attribution.batch_maps import logits_of
from fastcam.attribution.outputs import find_answer, output_tensors
from fastcam.errors import InputError

N = 4
LOGITS, EMBEDDING = torch.randn(N, 2), torch.randn(N, 512)
FEATURES, TOKENS = torch.randn(N, 8, 3, 3), torch.randn(N, 5, 8)
VALUE = torch.randn(N)


@dataclass
class Answer:
    loss: Tensor | None
    class_logits: Tensor
    embedding: Tensor


Pair = namedtuple("Pair", "features scores")


@pytest.mark.parametrize(
    ("returned", "name"),
    [
        (LOGITS, ""),
        ((LOGITS,), "0"),
        ([FEATURES, LOGITS, TOKENS], "1"),
        ({"features": FEATURES, "anything": LOGITS}, "anything"),
        ({"embedding": EMBEDDING, "logits": LOGITS}, "logits"),
        ({"embedding": EMBEDDING, "prediction": VALUE}, "prediction"),
        (OrderedDict(out=LOGITS, aux=EMBEDDING), "out"),
        (Answer(None, LOGITS, EMBEDDING), "class_logits"),
        (Answer(torch.tensor(0.5), LOGITS, EMBEDDING), "class_logits"),
        (Pair(FEATURES, LOGITS), "scores"),
        (SimpleNamespace(hidden=EMBEDDING, pred=LOGITS), "pred"),
        ((FEATURES, {"head": {"output": LOGITS, "pooled": EMBEDDING}}), "1.head.output"),
        ({"logits": [LOGITS], "pooled": EMBEDDING}, "logits.0"),
        # Whole numbers, a loss, text and None are no answers.
        ((torch.arange(N), LOGITS, torch.tensor(1.0), "text", None), "1"),
        # The same tensor under two names is one.
        ({"logits": LOGITS, "out": LOGITS}, "logits"),
        # Of another number of rows than there are images.
        ((LOGITS, torch.ones(512), torch.ones(1)), "0"),
    ],
)
def test_the_one_answer_is_found(returned: Any, name: str) -> None:
    answer = find_answer(returned, count=N)
    assert answer.name == name
    assert answer.tensor is LOGITS or answer.tensor is VALUE
    # By its name it is found, too.
    assert not name or find_answer(returned, name).tensor is answer.tensor


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        ((EMBEDDING, LOGITS), ("0 (4, 512)", "1 (4, 2)")),
        ((LOGITS, EMBEDDING), ("0 (4, 2)", "1 (4, 512)")),
        ({"a": EMBEDDING, "b": VALUE}, ("a (4, 512)", "b (4,)")),
        ({"logits": LOGITS, "prediction": VALUE}, ("logits (4, 2)", "prediction (4,)")),
        ({"logits": [LOGITS, EMBEDDING]}, ("logits.0", "logits.1")),
        ((FEATURES, [EMBEDDING, LOGITS]), ("0 (4, 8, 3, 3)", "1.0 (4, 512)", "1.1 (4, 2)")),
    ],
)
def test_of_several_none_is_taken_because_it_stands_in_front(
    returned: Any, names: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match="could be the answer: say which with --output") as error:
        find_answer(returned, count=N)
    assert all(name in str(error.value) for name in names)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "NoneType, in which there is no tensor of logits"),
        ((FEATURES, TOKENS), r"0 \(4, 8, 3, 3\), 1 \(4, 5, 8\), in which there is no tensor"),
        # What is called the answer is not one: what has no such name is not taken in its place.
        ({"out": FEATURES, "aux": LOGITS}, r"out is not \(images, outputs\)"),
    ],
)
def test_where_there_is_none(returned: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_answer(returned, count=N)


@pytest.mark.parametrize(
    ("returned", "choice", "message"),
    [
        ((EMBEDDING, LOGITS), "2", r"--output 2: is not among .* 0 \(4, 512\), 1 \(4, 2\)"),
        ({"x": FEATURES}, "x", r"--output x: is \(4, 8, 3, 3\) of float32, no floating-point"),
        ((torch.arange(8).reshape(4, 2),), "0", r"--output 0: is \(4, 2\) of int64"),
        ({"heads": [LOGITS, EMBEDDING]}, "heads", "heads.0 and heads.1 are in it"),
        (LOGITS, "logits", "the model returns one tensor"),
    ],
)
def test_a_choice_that_names_none(returned: Any, choice: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_answer(returned, choice)


def test_a_choice_may_name_what_holds_one_tensor() -> None:
    assert find_answer({"heads": [LOGITS], "x": EMBEDDING}, "heads").tensor is LOGITS
    assert find_answer((EMBEDDING, LOGITS), "0").tensor is EMBEDDING


def test_containers_that_hold_themselves_end() -> None:
    loop: list[Any] = [FEATURES]
    loop.append(loop)
    assert [entry.name for entry in output_tensors(loop)] == ["0"]


def test_one_number_an_image_becomes_a_column() -> None:
    torch.testing.assert_close(logits_of({"age": VALUE, "map": FEATURES}, N), VALUE[:, None])


_SHAPES = st.sampled_from([(N, 8, 3, 3), (N, 5, 8), (), (N + 1, 2), (1,)])
_LEAVES = st.one_of(st.none(), st.text(max_size=2), _SHAPES.map(torch.zeros), st.integers())
_KEYS = st.text("abxyz", min_size=1, max_size=3)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None)
@given(before=st.lists(_TREES, max_size=3), after=st.lists(_TREES, max_size=3), deep=st.booleans())
def test_whatever_lies_around_the_one_that_can_be_is_found(
    before: list[Any], after: list[Any], deep: bool
) -> None:
    target = torch.randn(N, 3)
    returned = (*before, {"head": [target]} if deep else target, *after)
    answer = find_answer(returned, count=N)
    assert answer.tensor is target
    assert answer.name == f"{len(before)}" + ".head.0" * deep


@settings(deadline=None)
@given(
    trees=st.lists(_TREES, max_size=4), places=st.sets(st.integers(0, 5), min_size=2, max_size=3)
)
def test_two_are_never_told_apart_by_their_place(trees: list[Any], places: set[int]) -> None:
    returned = list(trees)
    for place in sorted(places):
        returned.insert(place, torch.randn(N, place + 1))
    with pytest.raises(InputError, match="--output"):
        find_answer(returned, count=N)

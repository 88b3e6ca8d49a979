"""The first check of a large pickle, which compiles for seconds, says so; later ones are silent.
Small ones need no compiling."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace

import pytest
from fastcam_kernels import pickle_cost as kernels

from fastcam.cli.main import _show_warning
from fastcam.read.results import pickle_cost

_PICKLE = pickle.dumps(list(range(40_000)))


def test_compiling_is_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Uncompiled:
        signatures = ()

    kernel = Uncompiled()
    monkeypatch.setattr(kernels, "cost", kernel)
    monkeypatch.setattr(pickle_cost, "is_cached", lambda function: function is not kernel)
    with pytest.warns(UserWarning, match="once for this installation") as seen:
        pickle_cost.announce_compiling()
    (warning,) = seen
    _show_warning(warning.message, warning.category, warning.filename)
    assert capsys.readouterr().err.startswith("fastcam: warning: first use: compiling")


def test_once_compiled_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pickle_cost.measure(_PICKLE)
    # Compiled in this process, though nothing can be kept.
    monkeypatch.setattr(pickle_cost, "is_cached", lambda _: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickle_cost.measure(_PICKLE).size == len(_PICKLE)


def test_the_announcement_is_the_first_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = kernels.cost
    monkeypatch.setattr(pickle_cost, "announce_compiling", lambda: order.append("notice"))
    monkeypatch.setattr(kernels, "cost", lambda *args: order.append("kernel") or real(*args))
    pickle_cost.measure(_PICKLE)
    assert order == ["notice", "kernel"]


def test_small_ones_need_no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    small = pickle.dumps([1, "a", {2: (3, 4)}] * 20)
    expected = pickle_cost.measure(small)

    def fail(*_: object) -> None:
        raise AssertionError("the kernel is called")

    monkeypatch.setattr(kernels, "cost", fail)
    assert pickle_cost.measure(small) == expected
    assert pickle_cost.measure(b"...." + small, 4) == replace(expected, end=4 + expected.end)
    monkeypatch.setattr(pickle_cost, "announce_compiling", lambda: None)
    with pytest.raises(AssertionError, match="the kernel is called"):
        pickle_cost.measure(_PICKLE)

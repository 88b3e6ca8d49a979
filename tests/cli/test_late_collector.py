"""The garbage collector of a command: off while it is loaded, on from its first step."""

from __future__ import annotations

import gc
import weakref

import pytest

from fastcam.cli.late_collector import LateCollector


class _Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()
    assert gc.isenabled()


@pytest.mark.parametrize("step", ["begin", "note"])
def test_garbage_is_collected_from_the_first_step(step: str) -> None:
    with LateCollector() as collector:
        assert not gc.isenabled()
        collector.begin("figures", 3) if step == "begin" else collector.note("compiling")
        assert gc.isenabled()
        frozen = gc.get_freeze_count()
        assert frozen > 1000
        collector.advance(1)
        collector.end()
        collector.begin("cases measured", 1)  # a second stage freezes nothing
        assert gc.get_freeze_count() == frozen
        gone = weakref.ref(_Cycle())
        gc.collect()
        assert gone() is None


def test_it_is_on_again_when_the_command_fails() -> None:
    with pytest.raises(ValueError, match="spoilt"), LateCollector():
        raise ValueError("spoilt")
    assert gc.isenabled()

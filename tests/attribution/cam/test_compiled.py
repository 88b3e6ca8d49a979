"""Compiled and split go together: the same maps as without compiling, the model untouched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fastcam.attribution.cam.compiled import CompiledSplit
from fastcam.attribution.cam.engine import CamEngine
from fastcam.errors import InputError

from ..nets import Branches, Small, Wrapped

METHODS = ("gradcam", "eigencam")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize(("backend", "targets"), [("eager", None), ("aot_eager", [[0, 3, 4]])])
def test_maps_are_those_of_the_plain_model(backend: str, targets: list[list[int]] | None) -> None:
    torch.manual_seed(0)
    model = Small()
    layers = ["one", "two", "relu"]
    plain = CamEngine(model, layers, METHODS, targets=targets)
    compiled = CamEngine(model, layers, METHODS, targets=targets, compile=backend)
    for count in (3, 2):
        x = torch.randn(count, 3, 12, 12)
        expected, found = plain(x), compiled(x)
        torch.testing.assert_close(found.output, expected.output)
        assert list(found.maps) == list(expected.maps)
        for name, values in expected.maps.items():
            torch.testing.assert_close(found.maps[name], values, rtol=1e-4, atol=1e-5)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_weights_are_shared_and_changes_are_seen() -> None:
    model = Small()
    engine = CamEngine(model, ["two"], compile="eager")
    x = torch.randn(2, 3, 8, 8)
    engine(x)
    with torch.no_grad():
        model.head.weight.mul_(2)
    torch.testing.assert_close(engine(x).output, CamEngine(model, ["two"])(x).output)


def test_inference_mode_autocast_and_no_gradients() -> None:
    model = Small()
    x = torch.randn(2, 3, 8, 8)
    engine = CamEngine(model, ["two"], ["eigencam"], compile="eager")
    with torch.inference_mode():
        found = engine(x).maps["eigencam/two"]
    torch.testing.assert_close(
        found, CamEngine(model, ["two"], ["eigencam"])(x).maps["eigencam/two"]
    )
    graded = CamEngine(model, ["two"], compile="aot_eager")
    with torch.autocast("cpu", torch.bfloat16):
        half = graded(x).maps["gradcam/two"]
    assert half.dtype == torch.float32


def test_layers_that_are_not_run_and_models_that_can_not_be_copied() -> None:
    x = torch.randn(2, 3, 8, 8)
    with pytest.raises(InputError, match="'unused' is part of the model but"):
        CamEngine(Branches(), ["left", "unused"], compile="eager")(x)
    model = Small()
    model.lock = (step for step in ())  # type: ignore[assignment]
    with pytest.raises(InputError, match="Small can't be copied, which compiling needs"):
        CompiledSplit(model, {"two": model.two}, "eager")


def test_tuples() -> None:
    torch.manual_seed(0)
    model, x = Wrapped(), torch.randn(2, 3, 6, 6)
    expected = CamEngine(model, ["conv", "pair"])(x)
    found = CamEngine(model, ["conv", "pair"], compile="eager")(x)
    for name, values in expected.maps.items():
        torch.testing.assert_close(found.maps[name], values)

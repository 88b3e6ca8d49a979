"""Wrapped, exported and traced models, other number types, and models left in training mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
import torch.fx
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import fastcam
from fastcam.attribution.attention.engine import AttentionEngine
from fastcam.attribution.attention.rollout import RolloutEngine
from fastcam.attribution.batch_maps import BatchMaps
from fastcam.attribution.cam.engine import CamEngine
from fastcam.attribution.engines import fingerprint
from fastcam.attribution.layer_names import (
    call_names,
    named_layers,
    open_module,
    split_call,
)
from fastcam.attribution.modules import as_input, frozen_forward
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing

from .nets import Small
from .repeated import Block, Halves, TinyVit

HALF = [torch.float16, torch.bfloat16, torch.float64]
CLOSE = {torch.float16: 2e-2, torch.bfloat16: 1e-1, torch.float64: 1e-5}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


class Outer(nn.Module):
    """A wrapped part in a plain model."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.part(x)
        return answer


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "parallel": nn.DataParallel,
    "compiled": lambda m: torch.compile(m, backend="eager"),
    "in place": in_place,
    "compiled parallel": lambda m: torch.compile(nn.DataParallel(m), backend="eager"),
    "parallel compiled": lambda m: nn.DataParallel(torch.compile(m, backend="eager")),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_layers_are_called_by_the_names_inside(wrapper: str) -> None:
    torch.manual_seed(0)
    plain = Halves().eval()
    x = torch.randn(2, 3, 16, 32)
    expected = CamEngine(plain, ["backbone.layer2"], ["gradcam", "scorecam"])(x)
    wrapped = WRAPPERS[wrapper](copy.deepcopy(plain))
    found = CamEngine(wrapped, ["backbone.layer2"], ["gradcam", "scorecam"])(x)
    assert_same(found, expected)
    nested = Outer(WRAPPERS[wrapper](copy.deepcopy(plain)))
    inside = CamEngine(nested, ["part.backbone.layer2"], ["gradcam"])(x)
    torch.testing.assert_close(
        inside.maps["gradcam/part.backbone.layer2#1"],
        expected.maps["gradcam/backbone.layer2#1"],
    )
    assert [n for n, _ in named_layers(nested)] == [
        "",
        "part",
        *(f"part.{n}" for n in names(plain)),
    ]


def assert_same(found: BatchMaps, expected: BatchMaps) -> None:
    assert list(found.maps) == list(expected.maps)
    torch.testing.assert_close(found.output, expected.output)
    for name, values in expected.maps.items():
        torch.testing.assert_close(found.maps[name], values)


def names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_modules() if name]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_attention_of_wrapped_models(wrapper: str) -> None:
    torch.manual_seed(0)
    plain = TinyVit().eval()
    x = torch.randn(2, 3, 16, 24)
    wrapped = WRAPPERS[wrapper](copy.deepcopy(plain))
    for engine in (AttentionEngine, RolloutEngine):
        found, expected = engine(wrapped)(x), engine(plain)(x)
        assert_same(found, expected)
        assert found.layer_names == expected.layer_names


def test_distributed(one_process: None) -> None:
    torch.manual_seed(0)
    plain = Halves().eval()
    x = torch.randn(2, 3, 16, 32)
    found = CamEngine(DistributedDataParallel(copy.deepcopy(plain)), ["backbone.layer2"])(x)
    assert_same(found, CamEngine(plain, ["backbone.layer2"])(x))


def test_exported_programs_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = Halves().eval()
    x = torch.randn(2, 3, 16, 32)
    program = torch.export.export(plain, (x,), dynamic_shapes={"x": {0: torch.export.Dim("n")}})
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2")
    found = fastcam.explain(loaded, x, "gradcam", ["backbone.layer2"], sign="both").maps
    expected = fastcam.explain(plain, x, "gradcam", ["backbone.layer2"], sign="both").maps
    assert list(found) == ["backbone.layer2#0", "backbone.layer2#1"]
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-6)
    assert list(fastcam.explain(loaded, x).maps) == ["backbone#0", "backbone#1"]
    with pytest.raises(InputError, match=r"exported graph.*give the ExportedProgram itself"):
        fastcam.explain(loaded.module(), x)


def test_scripted_and_traced_models_are_one_line() -> None:
    x = torch.randn(1, 3, 16, 32)
    model = Halves().eval()
    for closed in (torch.jit.trace(model, x), torch.jit.script(TinyScript().eval())):
        for run in (
            lambda m: fastcam.explain(m, x, "gradcam", ["backbone"]),
            lambda m: fastcam.explain(m, x),
            lambda m: AttentionEngine(m),
            lambda m: RolloutEngine(m),
        ):
            with pytest.raises(InputError, match=r"scripted or traced model \(TorchScript\)") as e:
                run(closed)
            assert "\n" not in str(e.value)
            assert "hooks do not fire" in str(e.value)
    part = Outer(torch.jit.trace(model, x))
    for layer in ("part", "part.backbone"):
        with pytest.raises(InputError, match=f"layer '{layer}' is in 'part', a scripted or traced"):
            CamEngine(part, [layer])(x)


class TinyScript(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x).mean((2, 3))


def test_layers_of_a_traced_graph() -> None:
    """torch.fx takes containers apart: what the graph calls has maps, others say why not."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Flatten(1, -1)).eval()
    graph = torch.fx.symbolic_trace(model)
    x = torch.randn(2, 3, 8, 8)
    with pytest.raises(InputError, match=r"layer '0' was taken apart when .* traced .*'0\.1'"):
        CamEngine(graph, ["0"])(x)
    assert_same(CamEngine(graph, ["0.1"])(x), CamEngine(model, ["0.1"])(x))


def test_names_of_calls() -> None:
    assert split_call("a.b#12") == ("a.b", 12)
    for name in ("a.b", "a#", "#1", "a#b", "a#1.b"):
        assert split_call(name) == (name, None)
    assert call_names(["a", "b", "a", "c", "a"]) == ["a#0", "b", "a#1", "c", "a#2"]


# -- number types


@pytest.mark.parametrize("dtype", HALF)
def test_weights_run_in_their_own_type(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = Small().eval()
    x = torch.randn(2, 3, 16, 16)
    methods = ["gradcam", "hirescam", "layercam", "gradcam++", "eigencam", "scorecam"]
    expected = CamEngine(model, ["two"], methods, targets=1)(x)
    other = copy.deepcopy(model).to(dtype)
    seen: list[torch.dtype] = []
    other.one.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    found = CamEngine(other, ["two"], methods, targets=1)(x)
    assert set(seen) == {dtype}
    assert found.output.dtype == torch.float32
    for name, values in expected.maps.items():
        assert found.maps[name].dtype == torch.float32
        scale = float(values.abs().max())
        torch.testing.assert_close(
            found.maps[name] / scale, values / scale, rtol=0, atol=CLOSE[dtype]
        )


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("engine", [AttentionEngine, RolloutEngine])
def test_attention_in_other_types(engine: type, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    vit = TinyVit().eval()
    x = torch.randn(2, 3, 16, 24)
    found, expected = engine(copy.deepcopy(vit).to(dtype))(x), engine(vit)(x)
    for name, values in expected.maps.items():
        assert found.maps[name].dtype == torch.float32
        torch.testing.assert_close(found.maps[name], values, rtol=0, atol=CLOSE[dtype])


def test_the_type_of_an_input() -> None:
    x = torch.zeros(1, 3, 4, 4)
    assert as_input(nn.Flatten(), x) is x
    assert as_input(nn.Conv2d(3, 1, 1), x) is x
    # Norms that were left in float32, in front of a convolution in half precision.
    mixed = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1).half())
    assert as_input(mixed, x).dtype == torch.float16
    assert as_input(nn.BatchNorm2d(3).double(), x).dtype == torch.float64
    assert as_input(nn.Conv2d(3, 1, 1), x.half()).dtype == torch.float32


def test_autocast_has_its_own_rules() -> None:
    model = Small().eval()
    seen: list[torch.dtype] = []
    model.one.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        CamEngine(model, ["two"])(torch.randn(1, 3, 8, 8))
    assert set(seen) == {torch.bfloat16}


# -- modes


class Watched(nn.Module):
    """A part that notes in which mode it runs, and fails where it is told to."""

    def __init__(self, part: nn.Module, fail: bool = False) -> None:
        super().__init__()
        self.part, self.drop, self.fail = part, nn.Dropout(0.5), fail
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training or self.drop.training)
        if self.fail:
            raise RuntimeError("broken")
        answer: Tensor = self.drop(self.part(x))
        return answer


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda m: CamEngine(m, ["part.patches"], ["gradcam", "scorecam"]),
        AttentionEngine,
        RolloutEngine,
        lambda m: lambda x: frozen_forward(m, x),
        lambda m: lambda x: fastcam.explain(m, x, ["attention", "rollout", "gradcam"]),
    ],
)
def test_training_mode_is_put_back(make: Callable[[nn.Module], object], fail: bool) -> None:
    torch.manual_seed(0)
    model = Watched(TinyVit(), fail).train()
    # Parts that somebody froze stay so.
    model.part.eval()
    model.part.blocks[1].train()
    before = [module.training for module in model.modules()]
    run = make(model)
    assert callable(run)
    if fail:
        with pytest.raises((RuntimeError, InputError)):
            run(torch.randn(2, 3, 16, 24))
    else:
        run(torch.randn(2, 3, 16, 24))
    assert [module.training for module in model.modules()] == before
    assert model.modes
    assert not any(model.modes)


def test_a_part_of_a_model_in_eval_mode() -> None:
    """Dropout would change the maps, and batch norm its own statistics."""
    torch.manual_seed(0)
    model = Small().train()
    x = torch.randn(4, 3, 16, 16)
    before = copy.deepcopy(model.state_dict())
    found = fastcam.explain(model, x, "gradcam", ["two"]).maps["two"]
    assert model.training
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    expected = fastcam.explain(copy.deepcopy(model).eval(), x, "gradcam", ["two"]).maps["two"]
    assert (found == expected).all()


def test_open_module() -> None:
    block = Block()
    assert open_module(nn.DataParallel(nn.DataParallel(block))) is block
    assert open_module(block) is block


def test_wrapped_models_see_images_as_the_model_inside() -> None:
    model = Small()
    vars(model)["pretrained_cfg"] = {
        "mean": (0.1, 0.2, 0.3),
        "std": (1, 2, 3),
        "crop_mode": "border",
    }
    inside = resolve_preprocessing(model, 32)
    assert inside.mean == (0.1, 0.2, 0.3)
    assert resolve_preprocessing(nn.DataParallel(model), 32) == inside
    assert fingerprint(nn.DataParallel(model)) == fingerprint(model)

"""One pass on made-up images says what a run will be, and what would go wrong in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fastcam.attribution.engines import build_engine
from fastcam.attribution.model_call import ModelCall
from fastcam.attribution.request import MapRequest
from fastcam.errors import InputError, OutputError
from fastcam.inference.dry_run import DryRun, check_space, dry_run, noise_batch, resolve_call
from fastcam.read.inputs.named_inputs import ModelInput
from fastcam.read.inputs.preprocessing import Preprocessing
from tests.attribution.two_inputs import Encoder, Siamese, TwoEncoders

CPU, FLOAT = torch.device("cpu"), torch.float32
SMALL = Preprocessing(size=(16, 16))
SIAMESE = (
    ModelInput("age", "age", "number"),
    ModelInput("image", "scan", "image"),
    ModelInput("prior", "old", "image"),
)


class Answers(nn.Module):
    """An encoder, and what is made of its pooled features."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.encoder, self.answer = Encoder(), answer

    def forward(self, x: Tensor) -> Any:
        return self.answer(self.encoder(x).mean((2, 3)))


def call(model: nn.Module, **options: Any) -> ModelCall:
    return resolve_call(model.eval(), SMALL, CPU, FLOAT, **options)


def dry(model: nn.Module, maps: MapRequest, **options: Any) -> DryRun:
    return dry_run(model, maps, call(model, **options), build_engine, SMALL, CPU, FLOAT)


def test_the_answer_is_found_once_for_all_batches() -> None:
    # With one image a learnt temperature (1,) can't be told from an answer; with two it can.
    model = Answers(lambda x: {"t": torch.ones(1), "y": x[:, :3], "map": x[:, :, None]})
    assert call(model) == ModelCall("y", None, 3)
    assert call(Answers(lambda x: x)) == ModelCall("", None, 8)
    assert call(Answers(lambda x: (x, x[:, :2])), output="1").outputs == 2
    with pytest.raises(InputError, match=r"0 \(2, 8\), 1 \(2, 2\).*--output"):
        call(Answers(lambda x: (x, x[:, :2])))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_normalizations_are_looked_for_in_low_precision_alone(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), Answers(lambda x: x)).eval()
    model[2].encoder = nn.Identity()
    found = resolve_call(model, SMALL, CPU, dtype)
    assert found.norms == ((("0", "1"),) if dtype == torch.bfloat16 else ())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x[:1], r"the model gives 1 answers \(1, 8\) for 2 images"),
        (lambda x: x @ torch.zeros(9, 1), r"fails on a batch of shape \(2, 3, 16, 16\): mat1"),
        (lambda x: x.nothing, r"fails on .*has no attribute 'nothing'; check --image-size"),
        (lambda x: None, "no tensor of logits"),
    ],
)
def test_a_model_that_fails_is_one_line(answer: Callable[[Tensor], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        call(Answers(answer))
    assert "\n" not in str(error.value)


def test_noise_has_the_shape_of_all_inputs() -> None:
    found = call(Siamese(), inputs=SIAMESE, output="scores")
    batch = noise_batch(SMALL, found.packed, CPU)
    assert batch.shape == (2, 7, 16, 16)
    # A number is the same all over its plane, and another one in each row.
    numbers = batch[:, 6].flatten(1)
    assert (numbers == numbers[:, :1]).all()
    assert numbers[0, 0] != numbers[1, 0]
    assert not torch.equal(batch[:, :3], batch[:, 3:6])


@pytest.mark.parametrize(
    ("methods", "classes", "maps"),
    [
        (("gradcam",), (), 1),
        (("gradcam", "layercam"), (0, 2), 4),
        (("gradcam", "scorecam"), (0, 2), 4),
        (("eigencam", "scorecam"), (0, 2), 3),
        (("scorecam",), (), 1),
    ],
)
def test_bytes_are_those_of_the_maps(
    methods: tuple[str, ...], classes: tuple[int, ...], maps: int
) -> None:
    """A map has 8 x 8 numbers; the answer and its probabilities have 8 each."""
    found = dry(Answers(lambda x: x), MapRequest(methods, ("encoder",), classes))
    assert found.image_bytes == 4 * (maps * 8 * 8 + 2 * 8)


def test_every_image_has_its_maps() -> None:
    images = (ModelInput("image", "a", "image"), ModelInput("prior", "b", "image"))
    apart = dry(TwoEncoders(), MapRequest(("gradcam", "scorecam")), inputs=images)
    assert apart.maps.layers == ("of_image", "of_prior")
    assert apart.map_images == {
        f"{method}/of_{name}": [name]
        for method in ("gradcam", "scorecam")
        for name in ("image", "prior")
    }
    together = dry(TwoEncoders(fused=True), MapRequest(("gradcam",)), inputs=images)
    assert together.map_images == {"gradcam/fusion": ["image", "prior"]}
    shared = dry(Siamese(), MapRequest(("gradcam",)), inputs=SIAMESE, output="scores")
    assert shared.map_images == {"gradcam/backbone#0": ["image"], "gradcam/backbone#1": ["prior"]}


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (MapRequest(layers=("encoder.lost",)), "--layer 'encoder.lost' does not exist"),
        (MapRequest(classes=(8,)), "--target 8: the model has 8 outputs, 0 to 7"),
        (MapRequest(("attention",), classes=(9,)), "--target 9"),
        (MapRequest(("rollout",)), "attention"),
    ],
)
def test_what_an_engine_refuses_is_known_before(maps: MapRequest, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dry(Answers(lambda x: x), maps)


def test_a_full_disk_names_both_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=3_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    folder = tmp_path / "not" / "yet"
    with pytest.raises(OutputError, match="1000 images take about 4 MB, and 3 MB are free there"):
        check_space(folder, 4000, 1000)
    assert asked == [tmp_path]
    check_space(folder, 3000, 1000)
    # A store that is replaced makes room.
    check_space(folder, 4000, 1000, freed=1_000_000)

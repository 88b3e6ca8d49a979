"""Models with several inputs and outputs, from a table to a store and its figures."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.api import view
from fastcam.api.infer import infer
from fastcam.errors import CaseError, InputError, OutputError
from fastcam.options import MapChoice
from fastcam.store.map_rows import choose_rows
from fastcam.store.maps import MapStore
from tests.attribution.two_inputs import Encoder, Paired, Siamese, TwoEncoders

SIZE = 16
INPUTS = {"image": "scan", "prior": "old", "age": "age"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["id,scan,old,age,label"]
    for number in range(5):
        for name in ("new", "old"):
            pixels = rng.integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{name}{number}.png")
        age = "" if number == 3 else str(40 + number)
        lines.append(f"p{number},new{number}.png,old{number}.png,{age},{number % 3}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def sized(model: nn.Module) -> nn.Module:
    setattr(model, "image_size", SIZE)  # noqa: B010
    return model.eval()


@pytest.fixture
def siamese() -> nn.Module:
    torch.manual_seed(0)
    return sized(Siamese())


def run(model: nn.Module, images: Path, output_dir: Path, **options: Any) -> Any:
    given: dict[str, Any] = {"workers": 0, "batch_size": 2, "image_size": SIZE, "device": "cpu"}
    return infer(model, images, output_dir, **given | options)


def seen(path: Path) -> Tensor:
    """An image as the model is given it: stretched, normalized by ImageNet's numbers."""
    picture = Image.open(path).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels - mean[:, None, None]) / std[:, None, None]


def test_columns_go_in_by_name_and_each_image_has_its_map(
    siamese: Siamese, table: Path, tmp_path: Path
) -> None:
    report = run(siamese, table, tmp_path / "out", inputs=INPUTS, output="scores")
    assert (report.done, report.failed, report.exit_code) == (4, 1, 3)
    assert report.failures[0].reason == "row 5: age is empty, which is not a number"
    store = MapStore.open(report.store)
    for number in (0, 1, 2, 4):
        pair = [seen(tmp_path / f"{name}{number}.png")[None] for name in ("new", "old")]
        activations = [siamese.backbone(x).detach().requires_grad_() for x in pair]
        age = torch.tensor([[(40.0 + number) / 100]])
        answer = siamese.head(torch.cat([*(a.mean((2, 3)) for a in activations), age], 1))
        gradients = torch.autograd.grad(answer.max(), activations)
        header = store.headers[number]
        np.testing.assert_allclose(header.output, answer[0].detach(), rtol=1e-4, atol=1e-6)
        assert header.inputs == (header.source, tmp_path / f"old{number}.png", 40.0 + number)
        for place, (a, g) in enumerate(zip(activations, gradients, strict=True)):
            expected = (g.mean((2, 3), keepdim=True) * a).sum(1)[0].detach()
            found = store.map(f"gradcam/backbone#{place}", number)
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    rows = choose_rows(store, MapChoice())
    assert [(row.input_name, row.over_source) for row in rows] == [
        ("image", True),
        ("prior", False),
    ]


def test_the_viewer_shows_each_image_under_its_map(
    siamese: nn.Module, table: Path, tmp_path: Path
) -> None:
    for number in range(5):
        size = (30, 24 if number else 20)
        Image.new("RGB", (30, 20), (200, 0, 0)).save(tmp_path / f"new{number}.png")
        Image.new("RGB", size, (0, 0, 200)).save(tmp_path / f"old{number}.png")
    report = run(siamese, table, tmp_path / "out", inputs=INPUTS, output="scores")
    case = MapStore.open(report.store).headers[0].id
    for number, color in enumerate([(200, 0, 0), (0, 0, 200)]):
        drawn = view.picture(report.store, case, map=number, panel="image").pixels
        assert tuple(drawn[5, 5]) == color
    case = MapStore.open(report.store).headers[1].id
    with pytest.raises(CaseError, match="prior lies otherwise than the case's first image"):
        view.picture(report.store, case, map=1)


def test_figures_show_each_image_under_its_map(
    siamese: nn.Module, table: Path, tmp_path: Path
) -> None:
    report = run(siamese, table, tmp_path / "out", inputs=INPUTS, output="scores")
    for number in range(5):
        Image.new("RGB", (30, 20 + number), (200, 0, 0)).save(tmp_path / f"new{number}.png")
        Image.new("RGB", (30, 20 + number), (0, 0, 200)).save(tmp_path / f"old{number}.png")
    options: dict[str, Any] = {"panel_size": 64, "workers": 1}
    drawn = fastcam.render(report.store, output_dir=tmp_path / "changed", **options)
    assert (drawn.drawn, drawn.failed) == (0, 5)
    assert sum("png: changed since the model saw it" in f.reason for f in drawn.failures) == 4
    options["trust_inputs"] = True
    drawn = fastcam.render(report.store, output_dir=tmp_path / "figures", **options)
    assert drawn.drawn == 4
    pixels = np.asarray(Image.open(tmp_path / "figures" / "001_p0.png").convert("RGB"))
    red = (pixels == (200, 0, 0)).all(2).nonzero()[0]
    blue = (pixels == (0, 0, 200)).all(2).nonzero()[0]
    # The first row of panels is the image's, the second the prior's.
    assert len(red) > 500
    assert len(blue) > 500
    assert red.max() < blue.min()


def test_the_second_image_of_a_case_was_replaced(
    siamese: nn.Module, table: Path, tmp_path: Path
) -> None:
    report = run(siamese, table, tmp_path / "out", inputs=INPUTS, output="scores")
    Image.new("RGB", (30, 20), (0, 0, 200)).save(tmp_path / "old0.png")
    drawn = fastcam.render(report.store, output_dir=tmp_path / "figures", panel_size=64, workers=1)
    assert drawn.drawn == 3
    assert any(f"{tmp_path}/old0.png: changed" in failure.reason for failure in drawn.failures)


def test_a_layer_over_both_images_is_drawn_over_both(table: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs = {"image": "scan", "prior": "old"}
    report = run(sized(TwoEncoders(fused=True)), table, tmp_path / "out", inputs=inputs)
    rows = choose_rows(MapStore.open(report.store), MapChoice())
    assert [(row.array, row.input_name) for row in rows] == [
        ("gradcam/fusion", "image"),
        ("gradcam/fusion", "prior"),
    ]


def test_an_image_that_cannot_be_read_is_named(
    siamese: nn.Module, table: Path, tmp_path: Path
) -> None:
    (tmp_path / "old1.png").write_bytes(b"nothing")
    report = run(siamese, table, tmp_path / "out", inputs=INPUTS, output="scores")
    assert [failure.case for failure in report.failures] == ["p1", "p3"]
    assert "old1.png" in report.failures[0].reason


def test_the_same_run_again_does_nothing(siamese: nn.Module, table: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"inputs": INPUTS, "output": "scores"}
    run(siamese, table, tmp_path / "out", **options)
    calls: list[int] = []
    handle = siamese.register_forward_hook(lambda *_: calls.append(1))
    assert run(siamese, table, tmp_path / "out", **options).already == 4
    handle.remove()
    assert not calls
    with pytest.raises(InputError, match="output scores, now embedding"):
        run(siamese, table, tmp_path / "out", inputs=INPUTS, output="embedding")


class Tuple(Paired):
    """A wide tensor in front of the answer."""

    def __init__(self) -> None:
        inner = nn.Sequential(Encoder(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
        super().__init__(inner)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Tuple(), {}, r"0 \(2, 64\), 1\.second \(2, 3\).*output"),
        (Tuple(), {"output": 7}, "output 7: is not among"),
        (Tuple(), {"output": "1.second", "target": [3]}, "target 3: the model has 3 outputs"),
        (Tuple(), {"output": "1.second", "layers": ["lost"]}, "'lost' does not exist"),
        (Siamese(), {}, "takes image, prior, age"),
        (Siamese(), {"inputs": {"image": "scan"}}, "also takes prior, age"),
        (Siamese(), {"inputs": {**INPUTS, "sex": "age"}}, "no argument 'sex'"),
        (Siamese(), {"inputs": {**INPUTS, "age": "old"}, "output": "scores"}, "fails on a batch"),
        (
            Siamese(),
            {"inputs": INPUTS, "output": "scores", "mask_dir": "masks"},
            "mask_dir masks: with inputs the table names all files",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    model: nn.Module, options: dict[str, Any], message: str, table: Path, tmp_path: Path
) -> None:
    images = table if "inputs" in options else tmp_path
    with pytest.raises(InputError, match=message):
        run(sized(model), images, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_label_out_of_range_is_said_before(table: Path, tmp_path: Path) -> None:
    text = table.read_text(encoding="utf-8").replace(",44,1", ",44,9")
    table.write_text(text.replace("scan", "image"), encoding="utf-8")
    model = sized(Tuple())
    with pytest.raises(InputError, match=r"new4\.png has the label 9; the model has 3 outputs"):
        run(model, table, tmp_path / "out", output="1.second", target="label")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_too_small_is_said_before(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(OutputError, match=r"the maps of 10 images take about .* and 100 bytes"):
        run(sized(Tuple()), tmp_path, tmp_path / "out", output="1.second")
    assert not (tmp_path / "out").exists()


def test_awkward_layers_are_stored_and_drawn(table: Path, tmp_path: Path) -> None:
    class Awkward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict({"c": Encoder(), "a/b": nn.Conv2d(8, 8, 1)})
            self.c = nn.Conv2d(8, 8, 1)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.c(self.parts["a/b"](self.parts["c"](x)))
            found: Tensor = self.head(x.mean((2, 3)))
            return found

    layers = ["c", "parts.a/b", "parts.c"]
    report = run(sized(Awkward()), tmp_path, tmp_path / "out", layers=layers)
    assert MapStore.open(report.store).map_names == tuple(f"gradcam/{name}" for name in layers)
    drawn = fastcam.render(report.store, output_dir=tmp_path / "figures", panel_size=64, workers=1)
    assert drawn.drawn == 10

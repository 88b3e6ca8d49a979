"""Images through a model into a store: against the same model called by hand."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.api.infer import infer
from fastcam.errors import InputError
from fastcam.inference.images import resolve_preprocessing
from fastcam.read.inputs.model_input import prepare
from fastcam.store.maps import MapStore

from .stopping_progress import StoppingProgress

SIZE = 32


class Small(nn.Module):
    """Two convolutions and a head; fails to order."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.head = nn.Linear(6, classes)
        self.image_size = SIZE
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        x = torch.relu(self.second(torch.relu(self.first(x))))
        found: Tensor = self.head(x.mean((2, 3)))
        return found


@pytest.fixture
def model() -> Small:
    torch.manual_seed(1)
    return Small().eval()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(7):
        pixels = rng.integers(0, 256, (40 + index, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"im{index}.png")
    return folder


def run(model: nn.Module, images: Path, output: Path, **options: Any) -> Any:
    given = {"method": "gradcam", "layers": ["second"], "batch_size": 3, "workers": 0}
    return infer(model, images, output, **{**given, **options})


def by_hand(model: Small, path: Path) -> tuple[Tensor, Tensor]:
    """Grad-CAM and output of one image, by its formula."""
    pixels = prepare(np.asarray(Image.open(path)), resolve_preprocessing(model))
    x = torch.from_numpy(pixels)[None]
    activations = model.second(torch.relu(model.first(x))).detach().requires_grad_()
    output = model.head(torch.relu(activations).mean((2, 3)))
    (gradient,) = torch.autograd.grad(output.max(), activations)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * activations).sum(1)[0].detach(), output[0].detach()


def test_maps_and_answers_are_those_of_the_model(
    model: Small, images: Path, tmp_path: Path
) -> None:
    report = run(model, images, tmp_path)
    assert (report.images, report.done, report.failed, report.exit_code) == (7, 7, 0, 0)
    store = fastcam.open_store(tmp_path / "run.zarr")
    assert isinstance(store, MapStore)
    assert store.map_names == ("gradcam/second",)
    for index, header in enumerate(store.headers):
        wanted, output = by_hand(model, header.source)
        np.testing.assert_allclose(store.map("gradcam/second", index), wanted, atol=1e-6)
        np.testing.assert_allclose(header.output, output, atol=1e-5)
        np.testing.assert_allclose(header.probabilities, output.softmax(0), atol=1e-6)
        assert header.prediction == int(output.argmax())
        assert tuple(header.targets) == (header.prediction,)
        assert header.shape[1:] == Image.open(header.source).size[::-1]


def test_readers_in_other_processes_change_nothing(
    model: Small, images: Path, tmp_path: Path
) -> None:
    run(model, images, tmp_path / "a")
    run(model, images, tmp_path / "b", workers=2, batch_size=2)
    a, b = (MapStore.open(tmp_path / name / "run.zarr") for name in "ab")
    for index in range(7):
        np.testing.assert_allclose(
            a.map("gradcam/second", index), b.map("gradcam/second", index), atol=1e-6
        )


def test_a_second_run_does_nothing(model: Small, images: Path, tmp_path: Path) -> None:
    run(model, images, tmp_path)
    seen = model.seen
    report = run(model, images, tmp_path)
    assert (report.already, report.done, model.seen) == (7, 0, seen)


def test_a_run_that_was_stopped_goes_on_with_the_first_unfinished_batch(
    model: Small, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(model, images, tmp_path / "a", progress=StoppingProgress(3))
    store = MapStore.open(tmp_path / "a" / "run.zarr")
    assert store.unfinished() == [1, 2]
    assert [h.status for h in store.headers] == ["done"] * 3 + ["open"] * 4
    report = run(model, images, tmp_path / "a")
    assert (report.already, report.done) == (3, 4)
    run(model, images, tmp_path / "b")
    whole = MapStore.open(tmp_path / "b" / "run.zarr")
    finished = MapStore.open(tmp_path / "a" / "run.zarr")
    for index in range(7):
        assert np.array_equal(
            whole.map("gradcam/second", index), finished.map("gradcam/second", index)
        )


def test_other_weights_are_another_run(model: Small, images: Path, tmp_path: Path) -> None:
    run(model, images, tmp_path)
    with torch.no_grad():
        model.head.bias += 1  # type: ignore[misc]
    with pytest.raises(InputError, match=r"made with other images, weights or settings \(weights"):
        run(model, images, tmp_path)
    assert run(model, images, tmp_path, overwrite=True).done == 7


def test_a_bad_image_costs_only_itself(model: Small, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(images, folder)
    (folder / "im3.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    report = run(model, folder, tmp_path / "out")
    assert (report.done, report.failed, report.exit_code) == (6, 1, 3)
    store = MapStore.open(tmp_path / "out" / "run.zarr")
    assert [h.status for h in store.headers] == ["done"] * 3 + ["failed"] + ["done"] * 3
    assert "im3.png" in store.headers[3].reason
    with (tmp_path / "out" / "failures.csv").open() as lines:
        (row,) = csv.DictReader(lines)
    assert (row["case"], row["place"]) == ("im3", "4")
    wanted, _ = by_hand(model, folder / "im4.png")
    np.testing.assert_allclose(store.map("gradcam/second", 4), wanted, atol=1e-6)


def test_an_image_that_vanishes_during_the_run(model: Small, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(images, folder)

    class Removing(StoppingProgress):
        def begin(self, what: str, total: int) -> None:
            (folder / "im5.png").unlink()

        def advance(self, count: int) -> None: ...

    report = run(model, folder, tmp_path / "out", progress=Removing(0))
    assert (report.done, report.failed) == (6, 1)
    assert "im5.png" in report.failures[0].reason


def test_the_layer_that_gives_nan_is_named(model: Small, images: Path, tmp_path: Path) -> None:
    class Breaking(Small):
        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.first(x))
            # One image of the batch of three, by its content: the third's.
            x = self.second(x)
            return self.head(torch.relu(x).mean((2, 3)))

    broken = Breaking().eval()
    broken.load_state_dict(model.state_dict())
    limit = torch.stack(
        [
            torch.from_numpy(prepare(np.asarray(Image.open(p)), resolve_preprocessing(model)))
            for p in sorted(images.iterdir())
        ]
    ).amax((1, 2, 3))
    top = int(limit.argmax())

    def spoil(_m: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        big = (spoil.batch.amax((1, 2, 3)) >= limit.max()).reshape(-1, 1, 1, 1)  # type: ignore[attr-defined]
        return output.masked_fill(big, torch.nan)

    broken.register_forward_pre_hook(lambda _m, inputs: setattr(spoil, "batch", inputs[0]))
    broken.second.register_forward_hook(spoil)
    report = run(broken, images, tmp_path)
    assert report.failed == int((limit >= limit.max()).sum())
    store = MapStore.open(tmp_path / "run.zarr")
    assert store.headers[top].status == "failed"
    assert "layer 'second' is the first to give NaN or Inf" in store.headers[top].reason


def test_out_of_memory_is_told_and_the_run_goes_on(
    model: Small, images: Path, tmp_path: Path
) -> None:
    def greedy(_m: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    handle = model.register_forward_pre_hook(greedy)
    report = run(model, images, tmp_path)
    handle.remove()
    assert report.done == 7
    assert report.notes == ["out of memory with 3 images at once: going on with 1"]


def test_several_classes_and_methods(model: Small, images: Path, tmp_path: Path) -> None:
    run(model, images, tmp_path, method=["gradcam", "eigencam"], target=[0, 2])
    store = MapStore.open(tmp_path / "run.zarr")
    assert store.map_names == ("gradcam/second", "eigencam/second")
    assert store.map("gradcam/second", 0).shape == (2, 16, 16)
    assert store.axes("gradcam/second") == ("target", "y", "x")
    assert store.map("eigencam/second", 0).shape == (16, 16)
    assert tuple(store.headers[0].targets) == (0, 2)


def test_a_regression(images: Path, tmp_path: Path) -> None:
    torch.manual_seed(2)
    run(Small(classes=1).eval(), images, tmp_path, sign="both")
    header = MapStore.open(tmp_path / "run.zarr").headers[0]
    assert header.prediction is None
    assert len(header.probabilities) == 0
    assert len(header.output) == 1


def test_bf16_is_the_models_precision_and_maps_stay_float32(
    model: Small, images: Path, tmp_path: Path
) -> None:
    report = run(model, images, tmp_path, precision="bf16")
    assert report.precision == "bfloat16"
    store = MapStore.open(tmp_path / "run.zarr")
    found = store.map("gradcam/second", 0)
    assert found.dtype == np.float32
    wanted, _ = by_hand(model, store.headers[0].source)
    np.testing.assert_allclose(found, wanted, atol=0.05 * float(wanted.max()))


def test_two_runs_into_one_folder(model: Small, images: Path, tmp_path: Path) -> None:
    class Second(StoppingProgress):
        def begin(self, what: str, total: int) -> None:
            with pytest.raises(InputError, match="another fastcam run is writing"):
                run(model, images, tmp_path)

        def advance(self, count: int) -> None: ...

    assert run(model, images, tmp_path, progress=Second(0)).done == 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": ["secnd"]}, "did you mean second"),
        ({"method": "gradcm"}, "did you mean gradcam"),
        ({"device": "gpu"}, "device 'gpu' is not known"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"target": [9]}, "9"),
        ({"mean": [0.5]}, "mean"),
        ({"pattern": "*.bmp"}, "matches"),
    ],
)
def test_wrong_settings_are_told_and_nothing_is_left(
    model: Small, images: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(model, images, tmp_path, **options)


def test_the_label_of_the_table_is_explained(model: Small, images: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"im{index}.png,{index % 3}" for index in range(7)]
    table.write_text("\n".join(["image,label", *rows]))
    run(model, images, tmp_path / "a", table=table, target="label")
    store = MapStore.open(tmp_path / "a" / "run.zarr")
    assert [h.targets.tolist() for h in store.headers] == [[index % 3] for index in range(7)]
    for target in range(3):
        run(model, images, tmp_path / f"c{target}", target=[target])
        same = MapStore.open(tmp_path / f"c{target}" / "run.zarr")
        for index in range(target, 7, 3):
            np.testing.assert_allclose(
                store.map("gradcam/second", index), same.map("gradcam/second", index), atol=1e-6
            )
    with pytest.raises(InputError, match="has the label ''; the table must give"):
        run(model, images, tmp_path / "b", target="label")

"""``fastcam.load_model`` and ``fastcam.explain``: the three lines, against the formula by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import fastcam
from fastcam.errors import InputError

SIDE = 24


class Net(nn.Module):
    """A convolution and a head; ``image_size`` is where fastcam finds it."""

    def __init__(self, channels: int = 3, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 5, 3, stride=2, padding=1)
        self.head = nn.Linear(5, classes)
        self.image_size = SIDE

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(torch.relu(self.conv(x)).mean((2, 3)))
        return found


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def batch() -> Tensor:
    return torch.randn(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def grad_cam(net: Net, image: Tensor, target: int) -> Tensor:
    """Selvaraju et al. 2017, eqs. 1 and 2, written out."""
    activations = net.conv(image[None]).detach().requires_grad_()
    score = net.head(torch.relu(activations).mean((2, 3)))[0, target]
    (gradient,) = torch.autograd.grad(score, activations)
    total = torch.zeros(activations.shape[2:])
    for k in range(activations.shape[1]):
        total += gradient[0, k].mean() * activations[0, k].detach()
    return total.clamp(min=0)


def test_predicted_classes_of_a_tensor(net: Net, batch: Tensor) -> None:
    result = fastcam.explain(net, batch, method="gradcam", layers=["conv"], batch_size=2)
    output = net(batch)
    assert result.maps.keys() == {"conv"}
    assert result.maps["conv"].dtype == np.float32
    assert np.array_equal(result.prediction, output.argmax(1))
    np.testing.assert_allclose(result.probability, output.softmax(1).detach(), atol=1e-6)  # type: ignore[arg-type]
    for index, image in enumerate(batch):
        wanted = grad_cam(net, image, int(result.prediction[index]))
        np.testing.assert_allclose(result.maps["conv"][index], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("targets", "wanted"),
    [
        (2, [[2]] * 5),
        ([0, 1, 2, 3, 0], [[0], [1], [2], [3], [0]]),
        ([[0, 3]], [[0, 3]] * 5),
        ([[0, 3], [1, 2], [0, 1], [3, 2], [2, 0]], [[0, 3], [1, 2], [0, 1], [3, 2], [2, 0]]),
    ],
)
def test_targets(net: Net, batch: Tensor, targets: Any, wanted: list[list[int]]) -> None:
    """Batches of two: the targets of an image stay with it."""
    result = fastcam.explain(net, batch, "gradcam", ["conv"], targets, batch_size=2)
    assert result.targets is not None
    assert result.targets.tolist() == wanted
    maps = result.maps["conv"].reshape(5, len(wanted[0]), SIDE // 2, SIDE // 2)
    for index, row in enumerate(wanted):
        for place, target in enumerate(row):
            np.testing.assert_allclose(
                maps[index, place], grad_cam(net, batch[index], target), atol=1e-6
            )


def test_targets_of_another_length(net: Net, batch: Tensor) -> None:
    with pytest.raises(InputError, match="3 targets for 5 images"):
        fastcam.explain(net, batch, "gradcam", ["conv"], [0, 1, 2])


def test_a_callable_target(net: Net, batch: Tensor) -> None:
    result = fastcam.explain(net, batch, "gradcam", ["conv"], lambda output: output[:, 1])
    for index in range(5):
        np.testing.assert_allclose(
            result.maps["conv"][index], grad_cam(net, batch[index], 1), atol=1e-6
        )


def test_several_methods_are_named(net: Net, batch: Tensor) -> None:
    result = fastcam.explain(net, batch, ["gradcam", "layercam"], ["conv"])
    assert result.maps.keys() == {"gradcam/conv", "layercam/conv"}


def test_paths_pictures_and_arrays_are_alike(net: Net, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ways: list[Any] = [tmp_path / "a.png", str(tmp_path / "a.png"), Image.open(tmp_path / "a.png")]
    results = [fastcam.explain(net, way, "gradcam", ["conv"]) for way in [*ways, pixels, [pixels]]]
    for result in results:
        assert np.array_equal(result.maps["conv"], results[0].maps["conv"])
        assert np.array_equal(result.images[0], pixels)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    small = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    x = torch.from_numpy(((small / 255 - mean) / std).transpose(2, 0, 1)).float()
    np.testing.assert_allclose(results[0].output, net(x[None]).detach(), atol=1e-5)


def test_figures_save_themselves_and_show(net: Net, batch: Tensor, tmp_path: Path) -> None:
    result = fastcam.explain(net, batch, "gradcam", ["conv"], [[0, 1]])
    figure = result.figure(0, colormap="viridis", panel_size=64)
    path = figure.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(path)), figure.pixels)
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="figure 5: there are 5 images"):
        result.figure(5)


def test_a_transformer_shows_attention_by_default() -> None:
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="weights are random"):
        vit = fastcam.load_model("vit_tiny", image_size=32, num_classes=3)
    result = fastcam.explain(vit, torch.randn(2, 3, 32, 32))
    assert result.maps["attention"].shape == (2, 12, 3, 2, 2)
    assert result.targets is None
    rows = result.maps["attention"].sum((3, 4))
    assert ((rows > 0) & (rows < 1)).all()  # a CLS row without what it gives to itself


def test_the_model_is_left_as_it_was(net: Net, batch: Tensor) -> None:
    net.train()
    net.conv.weight.requires_grad_(False)
    fastcam.explain(net, batch, "gradcam", ["conv"])
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    assert [p.requires_grad for p in net.parameters()] == [False, True, True, True]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_layers_by_method(net: Net, batch: Tensor) -> None:
    steps: list[str] = []
    result = fastcam.explain(
        net, batch, ["gradcam", "eigencam"], {"gradcam": "conv"}, on_progress=steps.append
    )
    assert list(result.facts) == list(result.maps)
    assert next(iter(result.facts.values())).layer == "conv"
    assert steps == ["gradcam at conv", "eigencam"]
    other_name: list[str] = []
    fastcam.explain(net, batch, "gradcam", "conv", told=other_name.append)
    assert other_name == ["gradcam at conv"]
    assert result.methods == ("gradcam", "eigencam")


def test_files_of_one_image(net: Net, batch: Tensor, tmp_path: Path) -> None:
    result = fastcam.explain(net, batch, "gradcam", ["conv"])
    written = result.save(tmp_path / "out", 4, panel_size=32)
    assert [path.name for path in written] == [
        "image 4_explained.png",
        "gradcam_heatmap.png",
        "gradcam_overlay.png",
    ]
    beside = fastcam.compare({"one": result, "two": result})
    assert (
        beside.figure(4, panel_size=32).pixels.shape[1] > 1.5 * np.shape(Image.open(written[0]))[1]
    )


def test_patch_attention_is_for_volumes() -> None:
    with pytest.warns(UserWarning, match="weights are random"):
        model = fastcam.load_model("patch_attention")
    with pytest.raises(InputError, match="use `fastcam infer` with --mask-dir"):
        fastcam.explain(model, np.zeros((30, 30), np.uint8))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (7, "images is int"),
        ([], "images is empty"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "must be float"),
        (["missing.png"], "missing.png"),
        ([object()], "give a path, a PIL image or a uint8 array"),
    ],
)
def test_images_that_are_none(net: Net, images: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        fastcam.explain(net, images, "gradcam", ["conv"])


def test_volumes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()
    result = fastcam.explain(
        model, torch.randn(2, 1, 6, 8, 10), "gradcam", ["0"], image_size=(6, 8, 10)
    )
    assert result.maps["0"].shape == (2, 6, 8, 10)
    assert result.figure(1).pixels.ndim == 3


def test_a_notebook_shows_the_first_figures(net: Net, batch: Tensor) -> None:
    shown = fastcam.explain(net, batch, "gradcam", ["conv"])._repr_html_()
    assert shown.count("data:image/png;base64,iVBOR") == 4
    assert "and 1 more" in shown

"""Maps averaged over changed images, against a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fastcam
from fastcam.attribution.augmented import transforms_of
from fastcam.attribution.engines import build_engine
from fastcam.attribution.request import MapRequest
from fastcam.attribution.segment_target import SegmentTarget
from fastcam.errors import InputError

from .nets import Small


def _images(*size: int) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))


def _model(dims: int) -> nn.Module:
    torch.manual_seed(0)
    return Small(dims).eval()


@pytest.mark.parametrize("kind", ["flips", "rotations", "shifts"])
@pytest.mark.parametrize("size", [(32, 32), (16, 32, 32)])
def test_transforms_are_undone(kind: Any, size: tuple[int, ...]) -> None:
    images = _images(*size)
    for transform in transforms_of(kind, size):
        changed = transform.change(images)
        assert not torch.equal(changed, images)
        torch.testing.assert_close(transform.undo(changed), images)


def test_shifts_of_coarse_maps_are_undone_between_cells() -> None:
    """Of cells of 16 pixels a shift by 8 is half a cell: between two cells lies their mean."""
    row = torch.rand(8)
    first, second = transforms_of("shifts", (128, 128))[2:]
    maps = row.expand(1, 8, 8)
    torch.testing.assert_close(first.undo(maps)[0, 3], (row + row.roll(-1)) / 2)
    torch.testing.assert_close(second.undo(maps)[0, 3], (row + row.roll(1)) / 2)


@pytest.mark.parametrize("dims", [2, 3])
def test_average_and_deviation_are_a_plain_loop(dims: int) -> None:
    model, images = _model(dims), _images(*(8, 10, 12)[:dims])
    request = MapRequest(("gradcam", "saliency"), ("two",), sign="both", augmentation="flips")
    result = build_engine(model, request)(images)
    plain = build_engine(model, MapRequest(("gradcam", "saliency"), ("two",), sign="both"))
    classes = model(images).argmax(1)
    axes = [(), *[(axis,) for axis in range(-dims, 0)], *([(-2, -1)] if dims == 2 else [])]
    for name in ("gradcam/two", "saliency"):
        maps = [plain(images.flip(group), classes).maps[name].flip(group).numpy() for group in axes]
        np.testing.assert_allclose(result.maps[name].numpy(), np.mean(maps, 0), atol=1e-6)
        method, slash, layer = name.partition("/")
        deviation = result.maps[f"{method}-deviation{slash}{layer}"].numpy()
        np.testing.assert_allclose(deviation, np.std(maps, 0), atol=1e-6)
        number = result.measure_names.index(f"{name}: stability")
        for image in range(2):
            average = np.mean(maps, 0)[image].ravel()
            expected = np.mean([np.corrcoef(m[image].ravel(), average)[0, 1] for m in maps])
            assert result.measures is not None
            assert float(result.measures[image, number]) == pytest.approx(expected, abs=1e-4)
    assert result.targets is not None
    assert result.targets[:, 0].tolist() == classes.tolist()
    torch.testing.assert_close(result.output, model(images).detach())


@pytest.mark.parametrize("methods", ["gradcam", ["gradcam", "saliency"]])
def test_explain_gives_average_and_deviation(methods: Any) -> None:
    """Also where one method's maps are called by their layers alone."""
    model, images = _model(2), _images(8, 10)
    result = fastcam.explain(
        model, images, methods, layers=["two"], target=3, sign="both", tta="flips"
    )
    plain = [
        np.flip(
            fastcam.explain(model, images.flip(axes), layers=["two"], target=3, sign="both").maps[
                "two"
            ],
            axes,
        )
        for axes in ((), (-2,), (-1,), (-2, -1))
    ]
    average = "two" if methods == "gradcam" else "gradcam/two"
    np.testing.assert_allclose(result.maps[average], np.mean(plain, 0), atol=1e-6)
    deviation = result.maps["gradcam-deviation/two"]
    np.testing.assert_allclose(deviation, np.std(plain, 0), atol=1e-6)
    assert result.facts[average].method == "gradcam"
    assert result.facts["gradcam-deviation/two"].method == "gradcam-deviation"


def test_a_model_that_turns_with_its_image_is_stable() -> None:
    class Turning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x).square().mean((2, 3))

    images = _images(8, 8)
    for kind in ("flips", "rotations", "shifts"):
        request = MapRequest(("gradcam",), ("one",), sign="both", augmentation=kind)
        result = build_engine(Turning(), request)(images)
        assert result.measures is not None
        torch.testing.assert_close(result.measures, torch.ones(2, 1), atol=1e-4, rtol=0)
        assert float(result.maps["gradcam-deviation/one"].abs().max()) < 1e-5


def test_several_targets_have_a_stability_each() -> None:
    request = MapRequest(("gradcam",), ("two",), (0, 3), augmentation="flips")
    result = build_engine(_model(2), request)(_images(8, 8))
    assert result.maps["gradcam/two"].shape == (2, 2, 4, 4)
    assert result.measure_names == ("gradcam/two: stability",) * 2


def test_turns_need_squares() -> None:
    request = MapRequest(("gradcam",), ("two",), augmentation="rotations")
    with pytest.raises(InputError, match="--tta rotations"):
        build_engine(_model(2), request)(_images(8, 10))
    with pytest.raises(InputError, match="--tta 'blur'"):
        MapRequest(("gradcam",), augmentation="blur")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["flips", "rotations", "shifts"])
def test_pixels_of_a_segmentation_move_with_the_image(kind: Any) -> None:
    """A map made of the pixel alone lies where the pixel is, however the image is changed."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    request = MapRequest(
        ("hirescam",), ("1",), segments=(SegmentTarget.parse("seg:1@5,2"),), augmentation=kind
    )
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    result = build_engine(model, request)(images)
    values = result.maps["hirescam/1"].reshape(2, 16, 16)
    expected = torch.zeros(2, 16, 16)
    expected[:, 2, 5] = 2 * (images[:, 0, 2, 5] + 1)
    torch.testing.assert_close(values, expected)
    assert float(result.maps["hirescam-deviation/1"].abs().max()) < 1e-6

"""Models with several inputs and outputs explained at once: each image has its own row."""

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
from fastcam.jobs.explain.rows import rows_of
from tests.attribution.two_inputs import Encoder, Paired, Siamese, TwoEncoders
from tests.stored_volumes import save_turned

AGES = [40.0, 50.5, 60.0]


@pytest.fixture
def images() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(3, 3, 16, 16, generator=generator) for name in ("image", "prior")}


@pytest.fixture
def siamese() -> Siamese:
    torch.manual_seed(0)
    return Siamese().eval()


def by_hand(model: Siamese, images: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
    """Grad-CAM of both calls of the encoder, and the answer."""
    activations = [model.backbone(x).detach().requires_grad_() for x in images.values()]
    age = torch.tensor(AGES)[:, None] / 100
    answer = model.head(torch.cat([*(a.mean((2, 3)) for a in activations), age], 1))
    gradients = torch.autograd.grad(answer.amax(1).sum(), activations)
    maps = [
        torch.relu((g.mean((2, 3), keepdim=True) * a).sum(1)).detach()
        for a, g in zip(activations, gradients, strict=True)
    ]
    return maps, answer.detach()


@pytest.mark.parametrize("ages", [AGES, np.array(AGES), torch.tensor(AGES)])
def test_images_and_numbers_go_in_by_name(
    siamese: Siamese, images: dict[str, Tensor], ages: Any
) -> None:
    result = fastcam.explain(siamese, {**images, "age": ages}, output="scores", batch_size=2)
    maps, answer = by_hand(siamese, images)
    np.testing.assert_allclose(result.output, answer, rtol=1e-5)
    assert list(result.maps) == ["backbone#0", "backbone#1"]
    for number, expected in enumerate(maps):
        np.testing.assert_allclose(result.maps[f"backbone#{number}"], expected, atol=1e-6)
    rows = rows_of([result], [""], 1, "mean")
    assert [group.name for row in rows for group in row.groups] == ["image", "prior"]
    np.testing.assert_array_equal(rows[1].groups[0].picture, result.input_images["prior"][1])


def test_a_map_of_both_lies_over_both(images: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    result = fastcam.explain(TwoEncoders(fused=True), images)
    (row,) = rows_of([result], [""], 0, "mean")
    assert [group.name for group in row.groups] == ["image", "prior"]
    assert result.figure(0).pixels.shape[2] == 3


def test_files_go_in_as_columns(siamese: Siamese, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = {}
    for name in ("image", "prior"):
        paths[name] = [tmp_path / f"{name}{number}.png" for number in range(3)]
        for path in paths[name]:
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    result = fastcam.explain(siamese, {**paths, "age": AGES}, output="scores", image_size=16)
    assert result.names == ("image0.png", "image1.png", "image2.png")
    assert result.input_images["prior"][0].shape == (20, 24, 3)


def test_the_answer_is_named() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(Encoder(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    model = Paired(inner).eval()
    batch = torch.randn(2, 3, 16, 16)
    with pytest.raises(InputError, match=r"0 \(2, 64\), 1\.second \(2, 3\).*output"):
        fastcam.explain(model, batch)
    found = fastcam.explain(model, batch, output="1")
    expected = fastcam.explain(inner.eval(), batch)
    np.testing.assert_array_equal(found.output, expected.output)
    np.testing.assert_array_equal(found.maps["model.0"], expected.maps["0"])
    # A callable target gets the answer that was named, and all of it otherwise.
    one = fastcam.explain(model, batch, output=0, target=lambda wide: wide[:, 5])
    other = fastcam.explain(model, batch, target=lambda returned: returned[0][:, 5])
    np.testing.assert_array_equal(one.maps["model.0"], other.maps["model.0"])
    assert not model._forward_hooks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": [1.0]}, "equally many, and there are 3 of image, 3 of prior, 1 of age"),
        ({"age": [1.0, float("nan"), 2.0]}, "must be finite"),
        ({"prior": torch.zeros(3, 3, 8, 8)}, "must have one shape"),
        ({"sex": AGES}, "no argument 'sex' that is given by its name; it takes image, prior, age"),
        ({"prior": None}, "images is NoneType"),
    ],
)
def test_what_does_not_fit(
    siamese: Siamese, images: dict[str, Tensor], changes: dict[str, Any], message: str
) -> None:
    given = {**images, "age": AGES, **changes}
    with pytest.raises(InputError, match=message):
        fastcam.explain(siamese, given, output="scores")
    assert not siamese._forward_pre_hooks


def test_arguments_that_are_missing_are_named(siamese: Siamese, images: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="also takes age"):
        fastcam.explain(siamese, images)
    with pytest.raises(InputError, match="takes image, prior, age"):
        fastcam.explain(siamese, images["image"])


def test_each_image_is_turned_and_lettered_by_its_own_affine(
    siamese: Siamese, tmp_path: Path
) -> None:
    """Two files of one slice, stored differently, with the patient's right front corner marked."""
    array = np.full((14, 18, 1), 10, np.int16)  # x to the right, y to the front
    array[12:, 15:] = 90
    affine = np.diag([1.5, 1.0, 3.0, 1.0])
    for name, codes in (("image", "LPS"), ("prior", "ARI")):
        save_turned(tmp_path / f"{name}.nii", array, affine, codes)
    files: dict[str, Any] = {name: [tmp_path / f"{name}.nii"] for name in ("image", "prior")}
    result = fastcam.explain(siamese, {**files, "age": [40.0]}, output="scores", image_size=16)
    first, second = (row.groups[0] for row in rows_of([result], [""], 0, "mean"))
    assert first.picture.shape[:2] == (18, 14)
    assert first.picture[0, 0, 0] > first.picture[-1, 0, 0] == first.picture[0, -1, 0]
    np.testing.assert_array_equal(first.picture, second.picture)
    for group in (first, second):
        assert group.left_side == "R"
        assert group.facts.pixel_aspect == pytest.approx(1 / 1.5)
    # "ARI" is read as rows along R and columns along A: shown transposed, both ways turned round.
    np.testing.assert_array_equal(second.maps[0].values, result.maps["backbone#1"][0].T[::-1, ::-1])
    np.testing.assert_array_equal(first.maps[0].values, result.maps["backbone#0"][0])


def test_tensors_that_are_not_finite_are_refused() -> None:
    """Their maps would be NaN, and nothing would say so."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = torch.zeros(3, 1, 16, 16)
    for value in (float("nan"), float("inf")):
        images[1, 0, 4, 4] = value
        with pytest.raises(InputError, match=r"^images\[1\] holds NaN or infinite values"):
            fastcam.explain(model, images)
    with pytest.raises(InputError, match=r"^images is empty: give"):
        fastcam.explain(model, [])

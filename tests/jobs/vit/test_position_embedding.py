"""View 2 against scikit-learn and scipy, and which parameters it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from torch import nn

from fastcam.errors import InputError
from fastcam.jobs.vit import position_embedding as positions
from fastcam.jobs.vit.position_embedding import (
    cosine,
    position_embedding,
    positions_of,
    two_components,
)

from ...attribution import families
from ...attribution.nets import Small
from ...report.plot_pixels import pages, texts, vit

from ...torchvision_import import torchvision  # isort: skip
import timm

assert torchvision


def random(*shape: int) -> Any:
    return np.random.default_rng(1).normal(size=shape)


@pytest.mark.parametrize("shape", [(24, 9), (5, 40), (3, 3), (2, 6)])
def test_components_like_scikit_learn(shape: tuple[int, int]) -> None:
    points = random(*shape) * np.arange(1, shape[1] + 1)
    found, share = two_components(points)
    reference = PCA(2, svd_solver="full").fit(points)
    expected = reference.transform(points)
    for axis in range(2):
        sign = np.sign(reference.components_[axis][np.abs(reference.components_[axis]).argmax()])
        np.testing.assert_allclose(found[:, axis], sign * expected[:, axis], atol=1e-9)
    np.testing.assert_allclose(share, reference.explained_variance_ratio_, atol=1e-12)


def test_components_of_equal_or_single_points() -> None:
    for points in (np.ones((4, 3)), np.ones((1, 3))):
        found, share = two_components(points)
        assert not found.any()
        assert not share.any()


def test_cosine_like_scipy() -> None:
    vectors = random(12, 5)
    np.testing.assert_allclose(cosine(vectors), 1 - cdist(vectors, vectors, "cosine"), atol=1e-12)


def test_cosine_with_nothing_is_zero() -> None:
    found = cosine(np.array([[0.0, 0], [3, 4]]))
    np.testing.assert_allclose(found, [[0, 0], [0, 1]])


@pytest.mark.parametrize(
    ("name", "left_out", "parameter"),
    [
        ("timm vit", 1, "pos_embed"),
        ("timm deit3", 0, "pos_embed"),
        ("timm deit distilled", 2, "pos_embed"),
        ("timm dinov2 with registers", 0, "pos_embed"),
        ("timm siglip", 0, "pos_embed"),
        ("torchvision vit", 1, "encoder.pos_embedding"),
        ("hf vit, sdpa", 1, "vit.embeddings.position_embeddings"),
        (
            "hf dinov2 with registers",
            1,
            "dinov2_with_registers.embeddings.position_embeddings",
        ),
    ],
)
def test_families(name: str, left_out: int, parameter: str) -> None:
    model = families.build(name)
    found = positions_of(model)
    assert (found.name, found.grid, found.left_out) == (parameter, (4, 4), left_out)
    whole = dict(model.named_parameters())[parameter][0].detach().double().numpy()
    assert np.array_equal(found.vectors, whole[left_out:])
    assert not found.rotary


def test_rotary_besides_is_said() -> None:
    found = positions_of(families.build("timm eva02"))
    assert found.rotary
    with pages(positions) as kept:
        position_embedding(families.build("timm eva02"))
    assert "also has a rotary embedding" in texts(kept[0])


def test_rotary_only_is_told() -> None:
    model = timm.create_model(
        "vit_small_patch16_dinov3", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=4
    )
    with pytest.raises(InputError, match="has a rotary position embedding: it turns queries"):
        position_embedding(model)


def test_relative_only_is_told() -> None:
    with pytest.raises(InputError, match="has relative positions only"):
        position_embedding(families.build("timm swin"))


def test_none_is_told() -> None:
    with pytest.raises(InputError, match="Small has no position embedding"):
        position_embedding(Small())


class Given(nn.Module):
    """Whatever position embedding is given, in front of patches of 8 pixels."""

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self.patch_size = 8
        self.patches = nn.Conv2d(3, 4, 8, 8)
        self.position_embedding = embedding


@pytest.mark.parametrize(
    ("embedding", "grid"),
    [
        (nn.Embedding(25, 4), (5, 5)),
        (nn.Parameter(torch.randn(1, 3, 7, 4)), (3, 7)),
        (nn.Parameter(torch.randn(49, 4)), (7, 7)),
    ],
)
def test_shapes_of_embeddings(embedding: Any, grid: tuple[int, int]) -> None:
    found = positions_of(Given(embedding))
    assert found.grid == grid
    values = embedding.weight if isinstance(embedding, nn.Embedding) else embedding
    assert np.array_equal(found.vectors, values.detach().double().numpy().reshape(-1, 4))


def test_no_grid() -> None:
    with pytest.raises(InputError, match=r"the 23 vectors .* are no grid"):
        positions_of(Given(nn.Embedding(23, 4)))


def test_not_finite() -> None:
    model = vit()
    with torch.no_grad():
        model.pos_embed[0, 3, 2] = torch.nan
    with pytest.raises(InputError, match="'pos_embed' holds NaN"):
        position_embedding(model)


def test_what_is_drawn() -> None:
    model = vit()
    found = positions_of(model)
    assert found.grid == (4, 6)
    vectors = model.pos_embed[0, 1:].detach().double().numpy()
    expected = 1 - cdist(vectors, vectors, "cosine")
    with pages(positions) as kept:
        figure = position_embedding(model)
    matrix, centre, rows, columns = kept[0].axes
    np.testing.assert_allclose(matrix.images[0].get_array(), expected, atol=1e-9)
    # The middle of 4×6 is row 2, column 3.
    np.testing.assert_allclose(
        centre.images[0].get_array(), expected[2 * 6 + 3].reshape(4, 6), atol=1e-9
    )
    assert centre.patches[0].get_xy() == (2.5, 1.5)
    assert matrix.images[0].get_clim() == centre.images[0].get_clim()
    np.testing.assert_allclose(rows.collections[0].get_array(), np.repeat(np.arange(4), 6))
    np.testing.assert_allclose(columns.collections[0].get_array(), np.tile(np.arange(6), 4))
    np.testing.assert_allclose(rows.collections[0].get_offsets(), two_components(vectors)[0])
    assert "1 of CLS or registers left out" in texts(kept[0])
    assert figure.pixels.shape[2] == 3


def test_two_models_on_one_scale() -> None:
    with pages(positions) as kept:
        position_embedding(vit(), compare=vit(seed=9), labels=("before", "after"))
    axes = kept[0].axes
    assert len(axes) == 8
    assert axes[0].images[0].get_clim() == axes[4].images[0].get_clim()
    assert axes[2].get_xlim() == axes[6].get_xlim()
    assert {"before", "after"} <= set(texts(kept[0]).split("\n"))


def test_other_grids_are_not_compared() -> None:
    with pytest.raises(InputError, match="grids of 4×6 and 4×4 patches"):
        position_embedding(vit(), compare=vit(image_size=(32, 32)))

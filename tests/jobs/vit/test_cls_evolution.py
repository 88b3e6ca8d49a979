"""View 6 against scikit-learn and numpy, and what it draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from fastcam.attribution.attention.vit_pass import run_vit
from fastcam.errors import InputError
from fastcam.jobs.vit import cls_evolution as clstrack
from fastcam.jobs.vit.cls_evolution import cls_evolution, tokens_of, tracks_of

from ...attribution import families
from ...report.plot_pixels import noise, pages, texts, vit


def cls_of(model: Any, images: torch.Tensor, index: int) -> Any:
    """CLS before the first block and after each, block by block."""
    with torch.no_grad():
        tokens = model._with_positions(model.patch_embed(images))
        steps = [tokens]
        for block in model.blocks:
            steps.append(block(steps[-1]))
    return torch.stack([step[index, 0] for step in steps]).double().numpy()


def test_numbers_of_a_track() -> None:
    model, images = vit(), noise(2)
    tokens = tokens_of(run_vit(model, images), 1)
    np.testing.assert_allclose(tokens, cls_of(model, images, 1), rtol=1e-5, atol=1e-6)
    (track,) = tracks_of([tokens])
    expected = PCA(2, svd_solver="full").fit_transform(tokens)
    for axis in range(2):
        both = track.points[:, axis], expected[:, axis]
        assert np.allclose(*both, atol=1e-9) or np.allclose(both[0], -both[1], atol=1e-9)
    np.testing.assert_allclose(track.norm, [np.sqrt((step**2).sum()) for step in tokens])
    last = tokens[-1]
    np.testing.assert_allclose(
        track.cosine,
        [step @ last / np.sqrt((step @ step) * (last @ last)) for step in tokens],
    )
    assert track.cosine[-1] == pytest.approx(1)


def test_what_is_drawn() -> None:
    model, images = vit(), noise(2)
    (track,) = tracks_of([cls_of(model, images, 1)])
    with pages(clstrack) as kept:
        figure = cls_evolution(model, images, index=1)
    way, norm, cosine = kept[0].axes
    np.testing.assert_allclose(way.lines[0].get_xydata(), track.points, atol=1e-4)
    np.testing.assert_allclose(norm.lines[0].get_ydata(), track.norm, rtol=1e-5)
    np.testing.assert_allclose(cosine.lines[0].get_ydata(), track.cosine, atol=1e-5)
    _, start, end = way.collections
    np.testing.assert_allclose(start.get_offsets()[0], track.points[0], atol=1e-4)
    np.testing.assert_allclose(end.get_offsets()[0], track.points[-1], atol=1e-4)
    flat = figure.pixels.reshape(-1, 3)
    assert (flat == (0x16, 0xA3, 0x4A)).all(1).sum() > 200
    assert (flat == (0xDC, 0x26, 0x26)).all(1).sum() > 200


def test_of_a_pass_is_that_of_its_model() -> None:
    model, images = vit(), noise(2)
    of_model = cls_evolution(model, images, index=1).pixels
    assert np.array_equal(of_model, cls_evolution(run_vit(model, images), index=1).pixels)
    assert not np.array_equal(of_model, cls_evolution(model, images, index=0).pixels)


def test_two_models_have_the_same_axes() -> None:
    first, second, images = vit(), vit(seed=9), noise(1)
    with pages(clstrack) as kept:
        cls_evolution(first, images, compare=second, labels=("before", "after"), title="case")
    axes = kept[0].axes
    assert len(axes) == 6
    for top, bottom in zip(axes[:3], axes[3:], strict=True):
        assert top.get_xlim() == bottom.get_xlim()
        assert top.get_ylim() == bottom.get_ylim()
    both = np.concatenate([cls_of(first, images, 0), cls_of(second, images, 0)])
    drawn = np.concatenate([axes[at].lines[0].get_xydata() for at in (0, 3)])
    expected = PCA(2, svd_solver="full").fit_transform(both)
    np.testing.assert_allclose(np.abs(drawn), np.abs(expected), atol=1e-4)
    assert {"before", "after"} <= set(texts(kept[0]).split("\n"))


def test_models_of_other_widths_have_components_of_their_own() -> None:
    wide, narrow = np.random.default_rng(0).normal(size=(5, 9)), np.eye(5)
    tracks = tracks_of([wide, narrow])
    np.testing.assert_allclose(tracks[0].points, tracks_of([wide])[0].points)
    np.testing.assert_allclose(tracks[1].points, tracks_of([narrow])[0].points)


def test_one_block() -> None:
    assert cls_evolution(vit(depth=1), noise(1)).pixels.any()


def test_the_star_is_whole() -> None:
    with pages(clstrack) as kept:
        cls_evolution(vit(), noise(1))
    for axes in kept[0].axes[1:]:
        high = max(line.get_ydata().max() for line in axes.lines)
        assert axes.get_ylim()[1] > 1.05 * high


def test_no_cls() -> None:
    model = families.build("timm siglip")
    with pytest.raises(InputError, match="the model has no CLS token; leave out this view"):
        cls_evolution(model, families.images("timm siglip"))

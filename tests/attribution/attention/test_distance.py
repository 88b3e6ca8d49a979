"""Mean attention distance against cases worked by hand and slow float64 loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from fastcam.attribution.attention import records
from fastcam.attribution.attention.distance import mean_distance, mean_distances
from fastcam.attribution.attention.records import Scores, Weights
from fastcam.attribution.attention.vit_pass import VitLayer, VitPass
from fastcam.errors import InputError


def slow(
    weights: NDArray[np.float64], grid: tuple[int, int], patch: tuple[int, int], prefix: int
) -> float:
    """One head's distance from the formula, query by query and key by key."""
    places = list(product(range(grid[0]), range(grid[1])))
    distances = []
    for i, (y, x) in enumerate(places):
        row = weights[prefix + i, prefix:]
        mass = math.fsum(row)
        if mass == 0:
            continue
        far = [
            row[j] / mass * math.hypot((y - v) * patch[0], (x - u) * patch[1])
            for j, (v, u) in enumerate(places)
        ]
        distances.append(math.fsum(far))
    return math.fsum(distances) / len(distances) if distances else math.nan


def even(n: int) -> Tensor:
    return torch.full((1, 1, n, n), 1 / n)


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_even_attention_on_14_by_14(prefix: int) -> None:
    found = mean_distance(Weights(even(196 + prefix)), (14, 14), (16, 16), prefix)
    assert found.shape == (1, 1)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(116.49, abs=0.005)


def test_attention_on_oneself_is_no_distance() -> None:
    assert mean_distance(Weights(torch.eye(197)[None, None]), (14, 14), (16, 16), 1).item() == 0


def test_one_hot_attention() -> None:
    # 2×3 patches of 4×8 pixels, all look at the top left: 0 8 16 4 √80 √272.
    weights = torch.zeros(1, 1, 7, 7)
    weights[..., 1] = 1
    worked = (0 + 8 + 16 + 4 + math.sqrt(80) + math.sqrt(272)) / 6
    assert mean_distance(Weights(weights), (2, 3), (4, 8), 1).item() == pytest.approx(worked)


def test_renormalised_over_patches() -> None:
    weights = torch.zeros(1, 1, 3, 3)
    weights[..., 0] = 0.9
    weights[0, 0, 1, 2] = weights[0, 0, 2, 1] = 0.1
    assert mean_distance(Weights(weights), (1, 2), (16, 16), 1).item() == pytest.approx(16)


def test_queries_with_nothing_on_patches_are_left_out() -> None:
    weights = torch.zeros(1, 2, 3, 3)
    weights[..., 0] = 1
    weights[0, 0, 1] = torch.tensor([0.0, 0, 1])
    found = mean_distance(Weights(weights), (1, 2), (16, 16), 1)[0]
    assert found[0] == 16
    assert found[1].isnan()


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 5),
    patch=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    prefix=st.integers(0, 3),
    steep=st.floats(0, 8),
    block=st.sampled_from([1, 60, 1 << 22]),
    seed=st.integers(0, 9),
)
def test_like_slow_loops(
    rows: int,
    columns: int,
    patch: tuple[int, int],
    prefix: int,
    steep: float,
    block: int,
    seed: int,
) -> None:
    n = prefix + rows * columns
    random = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(2, 3, n, 4, generator=random) * steep for _ in range(2))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(records, "_BLOCK", block)
        found = mean_distance(Scores(q, k, 0.5), (rows, columns), patch, prefix)
    exact = (q.double() @ k.double().transpose(-1, -2) * 0.5).softmax(-1).numpy()
    for image, head in product(range(2), range(3)):
        expected = slow(exact[image, head], (rows, columns), patch, prefix)
        # 1e-5 of the longest distance: float32 weights of a nearly one-hot row.
        limit = 1e-5 * math.hypot(rows * patch[0], columns * patch[1])
        assert found[image, head].item() == pytest.approx(expected, rel=1e-4, abs=limit)


@pytest.mark.parametrize("added", ["keys", "pairs", "heads", "causal"])
def test_masks_are_cut_with_the_prefix(added: str) -> None:
    random = torch.Generator().manual_seed(1)
    q, k = (torch.randn(2, 3, 8, 4, generator=random) for _ in range(2))
    shape = {"keys": (8,), "pairs": (8, 8), "heads": (2, 1, 1, 8), "causal": (8, 8)}[added]
    mask = torch.randn(shape, generator=random)
    causal = torch.full((8, 8), -torch.inf).triu(1) if added == "causal" else torch.zeros(8, 8)
    given = Scores(q, k, 0.5, None if added == "causal" else mask, added == "causal")
    found = mean_distance(given, (2, 3), (4, 4), 2)
    scores = q.double() @ k.double().transpose(-1, -2) * 0.5 + causal
    exact = (scores if added == "causal" else scores + mask).softmax(-1).numpy()
    for image, head in product(range(2), range(3)):
        expected = slow(exact[image, head], (2, 3), (4, 4), 2)
        assert found[image, head].item() == pytest.approx(expected, rel=1e-5)


def test_masked_queries_that_see_no_patch_are_left_out() -> None:
    """Their rows are all zero, not spread: the mean is over the others alone."""
    random = torch.Generator().manual_seed(4)
    q, k = torch.randn(2, 1, 2, 7, 3, generator=random)
    mask = torch.ones(7, 7, dtype=torch.bool)
    mask[2:4, 1:] = False
    given = Scores(q, k, 0.5, mask)
    found = mean_distance(given, (2, 3), (4, 8), 1)[0]
    for head in range(2):
        expected = slow(given.full()[0, head].double().numpy(), (2, 3), (4, 8), 1)
        assert found[head].item() == pytest.approx(expected, rel=1e-5)


def test_cls_that_takes_all_weight_leaves_the_distance_of_the_rest() -> None:
    k = torch.zeros(1, 1, 5, 2)
    k[..., 0, :] = 1000
    found = mean_distance(Scores(torch.ones(1, 1, 5, 2), k, 1.0), (2, 2), (3, 4), 1)
    assert found.item() == pytest.approx((0 + 3 + 4 + 5) / 4)


def test_half_precision_is_widened() -> None:
    q, k = (torch.randn(1, 2, 17, 8, dtype=torch.bfloat16) for _ in range(2))
    wide = mean_distance(Scores(q.float(), k.float(), 0.3), (4, 4), (16, 16), 1)
    assert torch.equal(mean_distance(Scores(q, k, 0.3), (4, 4), (16, 16), 1), wide)


def test_never_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    rows = Scores.rows

    def watched(self: Scores, start: int, stop: int) -> Tensor:
        asked.append(stop - start)
        return rows(self, start, stop)

    monkeypatch.setattr(records, "_BLOCK", 2 * 64 * 10)
    monkeypatch.setattr(Scores, "rows", watched)
    q, k = torch.randn(1, 2, 65, 4), torch.randn(1, 2, 65, 4)
    mean_distance(Scores(q, k, 1), (8, 8), (4, 4), 1)
    assert sum(asked) == 64
    assert max(asked) == 10


def of_layers(*layers: Tensor) -> VitPass:
    return VitPass(
        batch=torch.zeros(len(layers[0]), 3, 8, 12),
        output=torch.zeros(len(layers[0]), 5),
        layers=tuple(VitLayer(f"blocks.{i}", Weights(w)) for i, w in enumerate(layers)),
        cls=None,
        grid=(2, 3),
        patch=(4, 4),
        prefix=1,
        query="cls",
    )


def test_every_layer_and_image_has_its_own() -> None:
    layers = [torch.rand(2, 3, 7, 7).softmax(-1) for _ in range(4)]
    found = mean_distances(of_layers(*layers))
    assert found.shape == (2, 4, 3)
    for image, layer, head in product(range(2), range(4), range(3)):
        expected = slow(layers[layer][image, head].double().numpy(), (2, 3), (4, 4), 1)
        assert found[image, layer, head].item() == pytest.approx(expected, rel=1e-5)


def test_layers_with_other_heads_are_refused() -> None:
    layers = torch.rand(1, 3, 7, 7), torch.rand(1, 2, 7, 7)
    with pytest.raises(InputError, match=r"different numbers of heads \(\[2, 3\]\)"):
        mean_distances(of_layers(*layers))


def test_another_grid_is_refused() -> None:
    with pytest.raises(InputError, match="not 1 tokens before a grid of 3×3"):
        mean_distance(Weights(even(9)), (3, 3), (16, 16), 1)

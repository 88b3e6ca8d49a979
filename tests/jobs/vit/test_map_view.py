"""Maps taken from a pass, against attention and rollout written out with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastcam.attribution.attention.records import Scores
from fastcam.errors import InputError
from fastcam.jobs.vit.map_view import head_maps, layer_map, of_image, rollout_map
from fastcam.jobs.vit.selection import Query

from .passes import pass_of_layers, random_weights

GRID = (3, 4)
PREFIX = 2
N = 12 + PREFIX
RNG = np.random.default_rng(2)
CLS = Query(0, None, "")
MEAN = Query(None, None, "")


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    ("query", "rows"), [(CLS, [0]), (Query(7, (1, 1), ""), [7]), (MEAN, list(range(PREFIX, N)))]
)
def test_attention_of_a_query(query: Query, rows: list[int], index: int) -> None:
    layers = [random_weights(RNG, 2, 3, N) for _ in range(2)]
    vit = pass_of_layers(layers, GRID, PREFIX)
    expected = np.zeros((3, *GRID))
    for head in range(3):
        for number in range(12):
            place = divmod(number, 4)
            chosen = [layers[1][index, head, row, PREFIX + number] for row in rows]
            expected[head][place] = sum(map(float, chosen)) / len(rows)
    np.testing.assert_allclose(head_maps(vit, index, 1, query), expected, rtol=1e-5)
    np.testing.assert_allclose(layer_map(vit, index, 1, 2, query), expected[2], rtol=1e-5)
    np.testing.assert_allclose(
        layer_map(vit, index, 1, "mean", query), expected.mean(axis=0), rtol=1e-5
    )


def test_attention_from_queries_and_keys() -> None:
    q, k = RNG.normal(size=(2, 4, N, 5)), RNG.normal(size=(2, 2, N, 5))
    mask = RNG.random((2, 1, N, N)) < 0.8
    mask[:, :, :, 0] = True
    scores = Scores(torch.tensor(q).float(), torch.tensor(k).float(), 0.4, torch.tensor(mask))
    vit = pass_of_layers([scores], GRID, PREFIX)
    for index in range(2):
        for head in range(4):
            row = 0.4 * (k[index, head // 2] @ q[index, head, 5])
            row = np.where(mask[index, 0, 5], np.exp(row), 0)
            expected = (row / row.sum())[PREFIX:].reshape(GRID)
            found = head_maps(vit, index, 0, Query(5, None, ""))[head]
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_part_of_the_batch_shares_its_memory() -> None:
    scores = Scores(torch.randn(3, 2, N, 4), torch.randn(3, 2, N, 4), 0.5)
    one = of_image(scores, 2)
    assert one.shape == (1, 2, N, N)
    assert one.q.data_ptr() == scores.q[2].data_ptr()  # type: ignore[attr-defined]


@pytest.mark.parametrize("query", [CLS, MEAN, Query(6, (1, 0), "")])
@pytest.mark.parametrize("start", [0, 1])
def test_rollout(query: Query, start: int) -> None:
    layers = [random_weights(RNG, 2, 3, N) for _ in range(3)]
    vit = pass_of_layers(layers, GRID, PREFIX)
    whole = np.eye(N)
    for layer in layers[start:]:
        fused = layer[1].astype(np.float64).max(axis=0) + np.eye(N)
        whole = (fused / fused.sum(axis=1, keepdims=True)) @ whole
    row = whole[PREFIX:].mean(axis=0) if query.token is None else whole[query.token]
    found = rollout_map(vit, 1, query, "max", 0.0, start)
    np.testing.assert_allclose(found, row[PREFIX:].reshape(GRID), rtol=1e-4)


def test_attention_that_is_not_finite() -> None:
    layer = random_weights(RNG, 1, 2, N)
    layer[0, 1, 0, 5] = np.nan
    vit = pass_of_layers([layer], GRID, PREFIX)
    with pytest.raises(InputError, match=r"layer 0 \(blocks\.0\.attn\) holds NaN"):
        head_maps(vit, 0, 0, CLS)

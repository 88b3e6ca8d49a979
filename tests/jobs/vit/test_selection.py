"""Layers, heads and queries, and what is said of those that don't exist."""

from __future__ import annotations

import numpy as np
import pytest

from fastcam.errors import InputError
from fastcam.jobs.vit.selection import check_fusion, check_head, layers_of, query_of
from fastcam.jobs.vit.subject import Subject

from .passes import pass_of_layers, random_weights

RNG = np.random.default_rng(0)


def pass_of(depth: int, query: str = "cls", prefix: int = 1):
    layers = [random_weights(RNG, 1, 3, 12 + prefix)] * depth
    return pass_of_layers(layers, (3, 4), prefix, query)


def subject(query: str = "cls", prefix: int = 1) -> Subject:
    return Subject(pass_of(1, query, prefix), 0, np.zeros((30, 80, 3), np.uint8))


@pytest.mark.parametrize(
    ("depth", "layers"),
    [(12, (0, 3, 6, 11)), (4, (0, 1, 2, 3)), (1, (0,)), (2, (0, 1)), (24, (0, 6, 12, 23))],
)
def test_four_layers_from_the_first_to_the_last(depth: int, layers: tuple[int, ...]) -> None:
    assert layers_of(None, pass_of(depth)) == layers


def test_layers_count_from_the_end_too() -> None:
    assert layers_of([-1, 0, -12], pass_of(12)) == (11, 0, 0)


@pytest.mark.parametrize("layer", [12, -13])
def test_a_layer_out_of_range(layer: int) -> None:
    with pytest.raises(InputError, match=f"--layers {layer}: the model has 12 .* use 0 to 11"):
        layers_of([0, layer], pass_of(12))
    with pytest.raises(InputError, match="names no layer: use 0 to 11"):
        layers_of([], pass_of(12))


def test_a_head_out_of_range() -> None:
    vit = pass_of(2)
    for head in ("mean", 0, 2):
        check_head(head, vit, [0, 1])
    for head in (3, -1):
        with pytest.raises(InputError, match=f"--head {head}: layer 1 has 3 heads; use 0 to 2"):
            check_head(head, vit, [1])


def test_whose_attention() -> None:
    assert query_of(None, subject()).token == 0
    mean = query_of(None, subject("mean", 0))
    assert mean.token is None
    assert "no CLS token" in mean.label
    assert "the head doesn't read CLS" in query_of(None, subject("mean", 1)).label


@pytest.mark.parametrize(
    ("asked", "patch"),
    [
        ((0, 0), (0, 0)),
        ((79, 29), (2, 3)),
        ((19, 9), (0, 0)),
        ((20, 9), (0, 1)),
        ((19, 10), (1, 0)),
        (0, (0, 0)),
        (11, (2, 3)),
        (6, (1, 2)),
    ],
)
def test_a_patch_by_its_pixel_or_its_number(asked, patch) -> None:
    query = query_of(asked, subject(prefix=5))
    assert query.patch == patch
    assert query.token == 5 + 4 * patch[0] + patch[1]
    assert f"patch {4 * patch[0] + patch[1]} (row {patch[0]}, column {patch[1]})" in query.label


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((80, 0), "--query 80,0 .*x is 0 to 79, y is 0 to 29"),
        ((0, 30), "--query 0,30"),
        ((-1, 3), "--query -1,3"),
        (12, "12 patches; use 0 to 11"),
        (-1, "--query -1"),
    ],
)
def test_a_patch_that_is_not_there(asked, said: str) -> None:
    with pytest.raises(InputError, match=said):
        query_of(asked, subject())


def test_rollout_has_its_own_range() -> None:
    with pytest.raises(InputError, match="use mean, max, min"):
        check_fusion("median", 0.0)
    with pytest.raises(InputError, match="below 1"):
        check_fusion("max", 1.0)

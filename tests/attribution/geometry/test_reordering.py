"""Operations that put places elsewhere: what is put back keeps its place, all else is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import fastcam
from fastcam.attribution.geometry.fields import (
    NOT_FOLLOWED,
    field_of,
    layer_grids,
    placement_note,
)

from .test_fields import Call, Dot, conv

SIDE = 16
ORDER = torch.randperm(SIDE, generator=torch.Generator().manual_seed(1))
CELLS = torch.randperm(SIDE**2, generator=torch.Generator().manual_seed(1))
BACK = CELLS.argsort()


def _patchwise(x: Tensor) -> Tensor:
    """An image as one row of features, through a matrix, and as an image again."""
    return (x.flatten(1) @ torch.eye(SIDE**2)[CELLS]).view_as(x)


def _dropped(x: Tensor) -> Tensor:
    kept = x.flatten(2).topk(SIDE**2 // 4, dim=2).indices
    return x.flatten(2).gather(2, kept).view(1, 1, SIDE // 2, SIDE // 2)


def _rolled_tokens(x: Tensor, back: int = 0) -> Tensor:
    """Swin's way: tokens, padded, moved, cut into windows and, unless ``back``, put back."""
    tokens = x.flatten(2).transpose(1, 2)
    grid = nn.functional.pad(tokens.view(1, SIDE, SIDE, 1), (0, 0, 0, 2, 0, 2))
    moved = grid.roll((-2, -3), (1, 2))
    windows = moved.view(1, 3, 6, 3, 6, 1).transpose(2, 3).reshape(9, 36, 1) * 1.0
    moved = windows.view(1, 3, 3, 6, 6, 1).transpose(2, 3).reshape(1, 18, 18, 1)
    placed = moved.roll((2 - back, 3), (1, 2))[:, :SIDE, :SIDE]
    return x + placed.permute(0, 3, 1, 2)


ELSEWHERE: dict[str, Callable[[Tensor], Tensor]] = {
    "spectrum": lambda x: torch.fft.fft2(x).abs(),
    "filtered": lambda x: torch.fft.irfft2(torch.fft.rfft2(x)),
    "along rows": lambda x: torch.fft.fft(x, dim=-1).real,
    "rolled": lambda x: x.roll(3, -1),
    "rolled and added": lambda x: x + x.roll((2, 2), (2, 3)),
    "rolled whole": lambda x: x.roll(5),
    "tokens not put back": lambda x: _rolled_tokens(x, 1),
    "rows shuffled": lambda x: x[:, :, ORDER],
    "selected": lambda x: x.index_select(3, ORDER),
    "tokens shuffled": lambda x: x.flatten(2)[:, :, CELLS].view_as(x),
    "gathered": lambda x: x.flatten(2).gather(2, CELLS[None, None]).view_as(x),
    "sorted": lambda x: x.flatten(2).sort(2).values.view_as(x),
    "tokens dropped": _dropped,
    "scattered": lambda x: (
        torch.zeros(1, 1, SIDE**2).scatter(2, CELLS[None, None], x.flatten(2)).view_as(x)
    ),
    "put": lambda x: torch.zeros_like(x).index_put((torch.tensor(0), torch.tensor(0)), x[0, 0]),
    "repeated": lambda x: x.repeat(1, 1, 2, 2),
    "one row": _patchwise,
}
IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "rolled back": lambda x: (x.roll((3, 5), (2, 3)) * 2).roll((-3, -5), (2, 3)),
    "around": lambda x: x.roll(SIDE, 2),
    "tokens put back": _rolled_tokens,
    "channels shuffled": lambda x: torch.cat([x, -x], 1)[:, [1, 0]].sum(1, True),
    "channels rolled": lambda x: torch.cat([x, -x], 1).roll(1, 1)[:, :1],
    "spectrum of channels": lambda x: torch.fft.fft(torch.cat([x, x], 1), dim=1).real[:, :1],
    "all rows": lambda x: x[:, :, torch.arange(SIDE)],
    "behind a token": lambda x: torch.cat([x[..., 0, :1], x.flatten(2)], 2)[
        :, :, torch.arange(1, SIDE**2 + 1)
    ].view_as(x),
    "gates": lambda x: x * (x.mean((2, 3), True).flatten(1) @ torch.ones(1, 1)).view(1, 1, 1, 1),
    "gates, spread": lambda x: (
        x * (x.mean((2, 3), True).flatten(1) @ torch.ones(1, 1)).view(1, 1, 1, 1).expand_as(x)
    ),
    "looked up": lambda x: torch.arange(9.0)[(x * 0).long()],
}


def grid_behind(function: Callable[[Tensor], Tensor]):
    model = Dot(conv(3, 1, 1), Call(function), conv(3, 1, 1)).eval()
    with torch.no_grad():
        cells = model.body(torch.zeros(1, 1, SIDE, SIDE)).shape[2:]
    grids = layer_grids(model, {"body": model.body}, torch.rand(1, 1, SIDE, SIDE))
    return grids["body"], cells


@pytest.mark.parametrize("name", ELSEWHERE)
def test_places_that_are_lost(name: str) -> None:
    grid, cells = grid_behind(ELSEWHERE[name])
    assert placement_note(grid, cells) == NOT_FOLLOWED
    assert field_of(grid, cells, (SIDE, SIDE)) is None


@pytest.mark.parametrize("name", IN_PLACE)
def test_places_that_stay(name: str) -> None:
    grid, cells = grid_behind(IN_PLACE[name])
    assert placement_note(grid, cells) == ""
    assert field_of(grid, cells, (SIDE, SIDE)) is None


def test_rows_taken_one_by_one_are_those_of_a_slice() -> None:
    taken, _ = grid_behind(lambda x: x[:, :, torch.arange(3, 15, 2)])
    sliced, _ = grid_behind(lambda x: x[:, :, 3:15:2])
    assert taken == sliced


@pytest.mark.parametrize("kept", [True, False])
def test_tokens_in_another_order_are_said_of_attention_and_rollout(kept: bool) -> None:
    import timm

    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=2
    ).eval()
    order = torch.arange(17) if kept else torch.cat([torch.arange(1), ORDER + 1])
    model.norm_pre = Call(lambda x: x[:, order])
    methods = ["attention", "rollout", "legrad", "gradcam"]
    result = fastcam.explain(model, torch.randn(1, 3, 32, 32), methods)
    notes = {fact.method: fact.note for fact in result.facts.values()}
    assert {method: NOT_FOLLOWED in note for method, note in notes.items()} == dict.fromkeys(
        methods, not kept
    )

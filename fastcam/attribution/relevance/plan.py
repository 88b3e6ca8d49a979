"""What the first pass with a shape of batch finds out for relevance: calls, places and blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.attention_plan import plan_maps
from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.checks import input_shapes
from fastcam.attribution.attention.first_tokens import blocks_of
from fastcam.attribution.attention.linear_attention import reweighed_sums
from fastcam.attribution.attention.places import KeyPositions, PassContext
from fastcam.attribution.attention.records import Kind, Record, nothing
from fastcam.attribution.attention.tokens import Prefix, patch_size
from fastcam.attribution.geometry.fields import layer_grids
from fastcam.attribution.layer_names import module_at
from fastcam.errors import InputError

KINDS: tuple[Kind, ...] = ("sdpa", "softmax")


@dataclass(eq=False)
class RelevancePlan:
    """What the first pass with a shape of batch says of those after it.

    - ``maps``: by name, the layers of it, as attention's
    - ``shapes``: of the calls, (b, h, n, m) each
    - ``blocks``: the paths of the modules around the calls; empty where a module runs twice
    - ``block_numbers``: by path of a call which of the blocks it is in
    - ``own_scores``: whether the head can read each block's tokens, as far as that is known
    """

    maps: dict[str, tuple[KeyPositions, ...]]
    shapes: list[tuple[int, int, int, int]]
    blocks: tuple[str, ...]
    block_numbers: dict[str, int]
    own_scores: bool = True

    def __post_init__(self) -> None:
        self.own_scores = bool(self.blocks)


def plan_relevance(
    model: nn.Module,
    batch: Tensor,
    paths: dict[int, str],
    prefix: Prefix,
    query: Literal["cls", "mean"],
    layer_ids: Sequence[int | str] | None,
    *,
    same_tokens: bool,
) -> RelevancePlan:
    """A pass of ``batch`` without a graph, by which the calls are placed.

    ``same_tokens``: all layers must attend among the same tokens of an image. InputError as for
    :func:`plan_maps`.
    """
    size = tuple(batch.shape[2:])
    with (
        torch.no_grad(),
        input_shapes(model) as shapes,
        capture(model, nothing, KINDS, paths=paths) as recording,
    ):
        model(batch)
    records = recording.records
    modules = {r.path: module_at(model, r.path) for r in records if r.path}
    grids = layer_grids(model, modules, batch[:1])
    patch = patch_size(model, len(size))
    anew = reweighed_sums(model, batch, records)
    context = PassContext(model, len(batch), size, patch, prefix, shapes, grids, anew)
    plan = plan_maps(model, records, context, query, layer_ids)
    if same_tokens:
        _check_tokens(model, records, len(batch))
    maps = {name: group for name, group in plan.maps.items() if group[0].kind != "pooling"}
    shown = {position.index for group in maps.values() for position in group}
    # A head that pools the patches by a query of its own reads what the blocks give: it is none.
    call_paths = [r.path for i, r in enumerate(records) if r.shape[2] > 1 or i in shown]
    several = len({*call_paths}) < len(call_paths)
    blocks = () if several else tuple(blocks_of(model, call_paths))
    return RelevancePlan(maps, plan.shapes, blocks, dict(_block_of(call_paths, blocks)))


def _block_of(paths: Sequence[str], blocks: Sequence[str]) -> Iterator[tuple[str, int]]:
    """For each path the number of the block that it is in."""
    for path in paths:
        for number, block in enumerate(blocks):
            if path == block or path.startswith(f"{block}."):
                yield path, number


def _check_tokens(model: nn.Module, records: Sequence[Record], batch: int) -> None:
    """InputError unless all layers attend among the same tokens of an image."""
    square = {record.shape[2] for record in records if record.shape[2] > 1}
    irregular = next(
        (
            record
            for record in records
            if record.shape[2] > 1
            and (record.shape[2] != record.shape[3] or record.shape[0] != batch)
        ),
        None,
    )
    if irregular is not None or len(square) != 1:
        description = (
            f"{irregular.path}: {irregular.shape}"
            if irregular
            else f"tokens: {', '.join(map(str, sorted(square))) or 'none'}"
        )
        raise InputError(
            f"--method chefer: {type(model).__name__} has layers that don't attend from all tokens "
            f"to all tokens, the same in each ({description}); use legrad or gradattention"
        )

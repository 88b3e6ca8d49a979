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
from fastcam.attribution.attention.key_positions import attends_channels
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
        _check_tokens(records, context)
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


def _check_tokens(records: Sequence[Record], context: PassContext) -> None:
    """InputError unless all layers attend among the same tokens of an image, but for one query
    after them: the head's own, or CLS that joins late."""
    queries = [record.shape[2] for record in records]
    among, tokens = max(queries), max(record.shape[3] for record in records)
    late = among < tokens
    first_single = queries.index(1) if 1 in queries else len(queries)
    singles = len(queries) - first_single
    wrong = "" if among > 1 and (late or singles < 2) else f"tokens: {among}, {singles} times one"
    if among not in (tokens, tokens - context.prefix.count):
        wrong = f"{among} of {tokens} tokens"
    for number, record in enumerate(records):
        b, _, n, m = record.shape
        several = n == m == among and number < first_single
        single = n == 1 and m in (tokens, tokens if late else tokens - context.prefix.count)
        if b != context.batch or not (several or single) or attends_channels(record, context):
            wrong = f"{record.path}: {record.shape}"
            break
    if wrong:
        raise InputError(
            f"--method chefer: {type(context.model).__name__} has layers that don't attend from "
            f"all tokens to all tokens, the same in each ({wrong}); use legrad or gradattention"
        )

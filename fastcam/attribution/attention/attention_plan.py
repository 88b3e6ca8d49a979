"""Which of a model's attention calls are shown, and in which maps: found once for a shape of
batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from fastcam.attribution.attention.checks import check_records
from fastcam.attribution.attention.key_positions import key_positions
from fastcam.attribution.attention.map_groups import choose_layers, group_layers
from fastcam.attribution.attention.places import KeyPositions, PassContext
from fastcam.attribution.attention.records import Record
from fastcam.attribution.layer_names import call_names, module_at
from fastcam.errors import InputError


@dataclass(frozen=True)
class AttentionPlan:
    """What to show of a run with one shape of batch.

    - ``maps``: by name, the layers along its axis
    - ``omissions``: by path, why a call is not shown
    - ``shapes``: of the calls, (b, h, n, m) each
    - ``by_name``: whether the calls can be seen without a mode
    """

    maps: dict[str, tuple[KeyPositions, ...]]
    omissions: dict[str, str]
    shapes: list[tuple[int, int, int, int]]
    by_name: bool = False

    @property
    def layer_names(self) -> dict[str, tuple[str, ...]]:
        """By map, the paths of its layers."""
        return {name: tuple(p.path for p in group) for name, group in self.maps.items()}


def plan_maps(
    model: nn.Module,
    records: Sequence[Record],
    context: PassContext,
    query: Literal["cls", "mean"],
    layer_ids: Sequence[int | str] | None,
    method: str = "attention",
) -> AttentionPlan:
    """The maps of the calls ``records``, called ``method``.

    ``query``: whose attention is shown; ``layer_ids``: the layers to show, None for all. InputError
    where attention ran unseen, where none can be placed, where layers like those shown can't be,
    and for a layer that doesn't exist.
    """
    check_records(model, records, context.shapes)
    names = call_names([record.path for record in records])
    positions: list[KeyPositions] = []
    omissions: dict[str, str] = {}
    for index, (name, record) in enumerate(zip(names, records, strict=True)):
        outcome = key_positions(index, record, context, query)
        if isinstance(outcome, KeyPositions):
            positions.append(outcome.named(name, context))
        else:
            omissions[name] = outcome
    layers = [p for p in positions if p.kind != "pooling"]
    if not layers:
        raise InputError(
            f"{type(model).__name__} has {len(records)} attention calls, but none shows places of "
            f"the image: {_first(omissions)}"
        )
    if layer_ids is None:
        _check_omissions(model, layers, omissions, records, names)
    selected = layers if layer_ids is None else choose_layers(layers, layer_ids, omissions)
    maps = group_layers(selected, method)
    pools = [p for p in positions if p.kind == "pooling"]
    if pools and layer_ids is None:
        maps |= group_layers(pools, "pooling")
    return AttentionPlan(maps, omissions, [record.shape for record in records])


def _check_omissions(
    model: nn.Module,
    layers: Sequence[KeyPositions],
    omissions: dict[str, str],
    records: Sequence[Record],
    names: Sequence[str],
) -> None:
    """A layer of the same class as one that is shown can't be left out in silence."""
    kinds = {n: type(module_at(model, r.path)) for n, r in zip(names, records, strict=True)}
    shown_kinds = {kinds[p.path] for p in layers}
    unplaced = {name: reason for name, reason in omissions.items() if kinds[name] in shown_kinds}
    if unplaced:
        raise InputError(
            f"{type(model).__name__}: {len(unplaced)} of {len(records)} attention layers can't be "
            f"placed: {_first(unplaced)}; or choose layers"
        )


def _first(omissions: dict[str, str]) -> str:
    name, reason = next(iter(omissions.items()))
    return f"{name or 'the model itself'}: {reason}"

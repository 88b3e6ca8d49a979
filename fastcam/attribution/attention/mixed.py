"""What windows, overlapping windows and channel gates of a model attend to, as maps.

Window attention (Swin, Liu et al. 2021): mass that each key receives, mean over the queries of its
window. Overlapping cross-attention (HAT, Chen et al. 2023): the same for keys of enlarged windows,
mean over the windows that reach a place. Channel attention (SE, Hu et al. 2018; CBAM, Woo et al.
2018; ECA, Wang et al. 2020): the gates s, and the gated energy Σ_c s_c·|x_c|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.checks import input_shapes
from fastcam.attribution.attention.key_positions import (
    gate_positions,
    key_positions,
    overlap_positions,
)
from fastcam.attribution.attention.map_groups import (
    fields_of,
    group_layers,
    matching_layers,
    notes_of,
    stack_maps,
)
from fastcam.attribution.attention.places import KeyPositions, PassContext
from fastcam.attribution.attention.records import AttentionCall, Kind, Record, gate
from fastcam.attribution.attention.tokens import count_prefix, image_size, patch_size
from fastcam.attribution.attention.windows import overlap_module, window_module
from fastcam.attribution.batch_maps import BatchMaps, Targets, answers_of
from fastcam.attribution.geometry.fields import layer_grids
from fastcam.attribution.layer_names import call_names, module_at, split_call
from fastcam.attribution.modules import as_input, eager_mode, eager_module, eval_mode
from fastcam.attribution.request import MIXED_METHODS
from fastcam.errors import InputError

_ATTENTION: tuple[Kind, ...] = ("sdpa", "softmax")
# What each method is made of: in one word, and what was looked for.
_PARTS = {
    "window": (
        "window attention",
        "attention in a module that states window_size and shift_size, as Swin's",
    ),
    "overlap": (
        "overlapping window attention",
        "attention whose keys come from enlarged windows, as HAT's (window_size, overlap_win_size)",
    ),
    "channel": (
        "channel gate",
        "a sigmoid of each channel that multiplies the features, as in squeeze-and-excitation",
    ),
}


@dataclass(frozen=True)
class _Plan:
    """What to show of a run with one shape of batch: layers by map, and which of them are gates."""

    maps: dict[str, tuple[KeyPositions, ...]]
    gates: tuple[KeyPositions, ...]


class MixedEngine:
    """Maps of the methods window, overlap and channel of batches of images, from one forward pass.

    engine = MixedEngine(model, ["window", "channel"])
    engine(images).maps["window"]                       # (b, layers, heads, h, w)
    engine(images).gates["stages.0.se"]                 # (b, c), 0 to 1

    ``layers``: numbers among the modules of each method (negative from the end) or dotted paths,
    of a module or of what it is in; None is all. ``prefix_tokens``: where gates multiply tokens and
    the model doesn't say how many come before the patches.

    Maps are float32, called by the method; "window/stage1", … where layers differ in heads or in
    resolution. Channel maps have one head. The model runs uncompiled. After the first batch
    ``omissions`` says what isn't shown, with reasons.

    Raises InputError for a model that has nothing for one of the methods.
    """

    def __init__(
        self,
        model: nn.Module,
        methods: Sequence[str] = MIXED_METHODS,
        layers: Sequence[int | str] | None = None,
        prefix_tokens: int | None = None,
    ) -> None:
        self._model: nn.Module = eager_module(model)
        self._methods = tuple(methods)
        self._layers = tuple(layers or ())
        self._prefix = count_prefix(self._model, prefix_tokens)
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self._windowed: dict[str, bool] = {}
        kinds: tuple[Kind, ...] = _ATTENTION if {"window", "overlap"} & {*methods} else ()
        self._kinds: tuple[Kind, ...] = (*kinds, "gate") if "channel" in methods else kinds
        self.omissions: dict[str, str] = {}

    def __call__(self, batch: Tensor, _targets: Targets = None) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w) already preprocessed; volumes have channel maps only.

        They explain no output: ``_targets`` is there for the contract of engines.
        """
        size = image_size(batch)
        batch = as_input(self._model, batch)
        plan = self._plans.get(tuple(batch.shape))
        shapes_context: Any = nullcontext({}) if plan is not None else input_shapes(self._model)
        reduce = self._reducer(len(batch))
        model = self._model
        with torch.no_grad(), eager_mode(model), eval_mode(model), shapes_context as shapes:
            with capture(self._model, reduce, self._kinds) as recording:
                output = self._model(batch)
            if plan is None:
                patch = patch_size(self._model, len(size))
                modules = {r.path: module_at(model, r.path) for r in recording.records if r.path}
                grids = layer_grids(model, modules, batch[:1])
                context = PassContext(model, len(batch), size, patch, self._prefix, shapes, grids)
                plan = self._plans[tuple(batch.shape)] = self._plan(recording.records, context)
            values = [_map_of(record) for record in recording.records]
            maps = {n: stack_maps(layers, values, len(batch)) for n, layers in plan.maps.items()}
            gates = {p.path: recording.records[p.index].value[0] for p in plan.gates}
        return BatchMaps(
            maps,
            answers_of(output, len(batch)),
            gates=gates,
            layer_names={n: tuple(p.path for p in layers) for n, layers in plan.maps.items()},
            notes=notes_of(plan.maps),
            fields=fields_of(plan.maps),
        )

    def _reducer(self, batch: int) -> Callable[[AttentionCall], Any]:
        def reduce(call: AttentionCall) -> Any:
            if call.kind == "gate":
                return gate(call)
            return call.attention.mean_row() if self._may_be_windowed(call, batch) else None

        return reduce

    def _may_be_windowed(self, call: AttentionCall, batch: int) -> bool:
        """Whether a call may be in windows: attention among all tokens needs no arithmetic."""
        if call.path not in self._windowed:
            stated = window_module(self._model, call.path) or overlap_module(self._model, call.path)
            self._windowed[call.path] = stated is not None
        return self._windowed[call.path] or call.attention.shape[0] != batch

    def _plan(self, records: Sequence[Record], context: PassContext) -> _Plan:
        names = call_names([record.path for record in records])
        positions: dict[str, list[KeyPositions]] = {method: [] for method in self._methods}
        omissions_of: dict[str, dict[str, str]] = {method: {} for method in self._methods}
        for index, (name, record) in enumerate(zip(names, records, strict=True)):
            method, result = _method_and_positions(index, record, context)
            if method not in positions:
                continue
            if isinstance(result, KeyPositions):
                positions[method].append(result.named(name, context))
            else:
                omissions_of[method][name] = result
        for method in self._methods:
            self._check(method, positions[method], omissions_of[method], records)
        selected = self._selected(positions) if self._layers else positions
        maps: dict[str, tuple[KeyPositions, ...]] = {}
        for method in self._methods:
            maps |= group_layers(selected[method], method)
        self.omissions = {
            name: reason for parts in omissions_of.values() for name, reason in parts.items()
        }
        return _Plan(maps, tuple(selected.get("channel", ())))

    def _check(
        self,
        method: str,
        positions: list[KeyPositions],
        omissions: dict[str, str],
        records: Sequence[Record],
    ) -> None:
        """InputError where nothing can be shown, or, unless layers are chosen, not all that is
        like what is shown."""
        kind, description = _PARTS[method]
        model = type(self._model).__name__
        if not positions and omissions:
            name, reason = next(iter(omissions.items()))
            raise InputError(
                f"{model}: none of its {len(omissions)} {kind}s can be placed: {name}: {reason}"
            )
        if not positions:
            other = any(record.kind in _ATTENTION for record in records)
            raise InputError(
                f"--method {method}: {model} has no {kind}; looked for {description}; found "
                f"{_summary(records)}" + "; --method attention shows all attention" * other
            )
        kinds = {self._kind_of(position.path) for position in positions}
        unplaced = {n: reason for n, reason in omissions.items() if self._kind_of(n) in kinds}
        if unplaced and not self._layers:
            name, reason = next(iter(unplaced.items()))
            total = len(unplaced) + len(positions)
            raise InputError(
                f"{model}: {len(unplaced)} of {total} {kind}s can't be placed: "
                f"{name}: {reason}; or choose layers"
            )

    def _kind_of(self, name: str) -> type[nn.Module]:
        return type(module_at(self._model, split_call(name)[0]))

    def _selected(self, positions: dict[str, list[KeyPositions]]) -> dict[str, list[KeyPositions]]:
        """The layers asked for, of every method; each name must be one's, and each method have
        one."""
        selected: dict[str, list[KeyPositions]] = {method: [] for method in positions}
        for name in self._layers:
            matches = {m: matching_layers(layers, name) for m, layers in positions.items()}
            if not any(matches.values()):
                raise InputError(
                    f"--layer {name}: no such module is shown; {_layer_list(positions)}"
                )
            for method, layers in matches.items():
                selected[method] += [layer for layer in layers if layer not in selected[method]]
        for method, layers in selected.items():
            if not layers:
                raise InputError(
                    f"--layer {', '.join(map(str, self._layers))}: nothing of --method {method} is "
                    f"in it; {_layer_list({method: positions[method]})}"
                )
        return selected


def _method_and_positions(
    index: int, record: Record, context: PassContext
) -> tuple[str, KeyPositions | str]:
    """The method that a record belongs to, "" for none, and its place or why it has none."""
    if record.kind == "gate":
        return "channel", gate_positions(index, record, context)
    if window_module(context.model, record.path) is not None:
        return "window", key_positions(index, record, context, "mean")
    overlap = overlap_positions(index, record, context)
    return ("", "") if overlap is None else ("overlap", overlap)


def _map_of(record: Record) -> Any:
    """What ``KeyPositions.map`` puts into place: of a gate its energies (b, 1, places)."""
    return record.value[1].flatten(1)[:, None] if record.kind == "gate" else record.value


def _layer_list(positions: dict[str, list[KeyPositions]]) -> str:
    parts = []
    for method, layers in positions.items():
        paths = ", ".join(p.path or "the model itself" for p in layers[:6])
        more = f", … ({len(layers)} in all)" if len(layers) > 6 else ""
        parts.append(f"{method} has, from 0: {paths}{more}")
    return "; ".join(parts)


def _summary(records: Sequence[Record]) -> str:
    """What a forward pass showed, in words."""
    calls = [r.path for r in records if r.kind != "gate"]
    gates = [r.path for r in records if r.kind == "gate"]
    parts = []
    for kind, paths in (("attention calls", calls), ("channel gates", gates)):
        if paths:
            parts.append(f"{len(paths)} {kind} ({paths[0] or 'the model itself'}, …)")
    return " and ".join(parts) or "nothing of the kind"

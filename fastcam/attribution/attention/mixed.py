"""What windows, overlapping windows and channel gates of a model attend to, as maps.

Window attention (Swin, Liu et al. 2021): mass that each key receives, mean over the queries of its
window. Overlapping cross-attention (HAT, Chen et al. 2023): the same for keys of enlarged windows,
mean over the windows that reach a place. Channel attention (SE, Hu et al. 2018; CBAM, Woo et al.
2018; ECA, Wang et al. 2020): the gates s, and the gated energy Σ_c s_c·|x_c|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture
from fastcam.attribution.attention.checks import watch_shapes
from fastcam.attribution.attention.key_positions import (
    Placed,
    Scene,
    place,
    place_gate,
    place_overlap,
)
from fastcam.attribution.attention.map_groups import grouped, notes_of, stacked, unique
from fastcam.attribution.attention.records import AttentionCall, Kind, Record, gate
from fastcam.attribution.attention.tokens import count_prefix, image_size, patch_size
from fastcam.attribution.attention.windows import overlap_module, window_module
from fastcam.attribution.batch_maps import BatchMaps, logits_of
from fastcam.attribution.request import MIXED_METHODS
from fastcam.errors import InputError

_ATTENTION: tuple[Kind, ...] = ("sdpa", "softmax")
# What each method is made of: in one word, and what was looked for.
_MADE_OF = {
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

    maps: dict[str, tuple[Placed, ...]]
    gates: tuple[Placed, ...]


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
    ``layer_names`` gives for each map the paths of its layers, ``notes`` what figures must say of
    it, and ``left_out`` what isn't shown, with reasons.

    Raises InputError for a model that has nothing for one of the methods.
    """

    def __init__(
        self,
        model: nn.Module,
        methods: Sequence[str] = MIXED_METHODS,
        layers: Sequence[int | str] | None = None,
        prefix_tokens: int | None = None,
    ) -> None:
        self._model: nn.Module = getattr(model, "_orig_mod", model)
        self._methods = tuple(methods)
        self._layers = tuple(layers or ())
        self._prefix = count_prefix(self._model, prefix_tokens)
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self._sees: dict[str, bool] = {}
        kinds: tuple[Kind, ...] = _ATTENTION if {"window", "overlap"} & {*methods} else ()
        self._kinds: tuple[Kind, ...] = (*kinds, "gate") if "channel" in methods else kinds
        self.layer_names: dict[str, tuple[str, ...]] = {}
        self.notes: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    def __call__(self, batch: Tensor) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w) already preprocessed; volumes have channel maps only."""
        size = image_size(batch)
        known = self._plans.get(tuple(batch.shape))
        watch: Any = nullcontext({}) if known is not None else watch_shapes(self._model)
        stance: Any = nullcontext()
        if any(getattr(m, "_compiled_call_impl", None) for m in self._model.modules()):
            stance = torch.compiler.set_stance("force_eager")
        reduce = self._reducer(len(batch))
        with torch.no_grad(), stance, watch as shapes:
            with capture(self._model, reduce, self._kinds) as seen:
                output = self._model(batch)
            if known is None:
                patch = patch_size(self._model, len(size))
                scene = Scene(self._model, len(batch), size, patch, self._prefix, shapes)
                known = self._plans[tuple(batch.shape)] = self._plan(seen.records, scene)
            values = [_map_of(record) for record in seen.records]
            maps = {n: stacked(layers, values, len(batch)) for n, layers in known.maps.items()}
            gates = {p.path: seen.records[p.index].value[0] for p in known.gates}
        return BatchMaps(maps, logits_of(output), gates=gates)

    def _reducer(self, batch: int) -> Callable[[AttentionCall], Any]:
        def reduce(call: AttentionCall) -> Any:
            if call.kind == "gate":
                return gate(call)
            return call.attention.mean_row() if self._shown(call, batch) else None

        return reduce

    def _shown(self, call: AttentionCall, batch: int) -> bool:
        """Whether a call may be in windows: attention among all tokens needs no arithmetic."""
        if call.path not in self._sees:
            stated = window_module(self._model, call.path) or overlap_module(self._model, call.path)
            self._sees[call.path] = stated is not None
        return self._sees[call.path] or call.attention.shape[0] != batch

    def _plan(self, records: Sequence[Record], scene: Scene) -> _Plan:
        names = unique([record.path for record in records])
        found: dict[str, list[Placed]] = {method: [] for method in self._methods}
        missed: dict[str, dict[str, str]] = {method: {} for method in self._methods}
        for index, (name, record) in enumerate(zip(names, records, strict=True)):
            method, result = _place(index, record, scene)
            if method not in found:
                continue
            if isinstance(result, Placed):
                found[method].append(replace(result, path=name))
            else:
                missed[method][name] = result
        for method in self._methods:
            self._check(method, found[method], missed[method], records)
        chosen = self._chosen(found) if self._layers else found
        maps: dict[str, tuple[Placed, ...]] = {}
        for method in self._methods:
            maps |= grouped(chosen[method], method)
        self.layer_names = {name: tuple(p.path for p in group) for name, group in maps.items()}
        self.notes = notes_of(maps)
        self.left_out = {name: why for parts in missed.values() for name, why in parts.items()}
        return _Plan(maps, tuple(chosen.get("channel", ())))

    def _check(
        self, method: str, found: list[Placed], missed: dict[str, str], records: Sequence[Record]
    ) -> None:
        """InputError where nothing can be shown, or, unless layers are chosen, not all that is
        like what is shown."""
        kind, looked = _MADE_OF[method]
        who = type(self._model).__name__
        if not found and missed:
            name, why = next(iter(missed.items()))
            raise InputError(
                f"{who}: none of its {len(missed)} {kind}s can be placed: {name}: {why}"
            )
        if not found:
            raise InputError(
                f"--method {method}: {who} has no {kind}; looked for {looked}; found "
                f"{_told(records)}"
            )
        shown = {self._kind_of(placed.path) for placed in found}
        bad = {n: why for n, why in missed.items() if self._kind_of(n) in shown}
        if bad and not self._layers:
            name, why = next(iter(bad.items()))
            raise InputError(
                f"{who}: {len(bad)} of {len(bad) + len(found)} {kind}s can't be placed: {name}: "
                f"{why}; or choose layers"
            )

    def _kind_of(self, name: str) -> type[nn.Module]:
        return type(self._model.get_submodule(name.partition(":")[0]))

    def _chosen(self, found: dict[str, list[Placed]]) -> dict[str, list[Placed]]:
        """The layers asked for, of every method; each name must be one's, and each method have
        one."""
        chosen: dict[str, list[Placed]] = {method: [] for method in found}
        for want in self._layers:
            matching = {method: _matching(layers, want) for method, layers in found.items()}
            if not any(matching.values()):
                raise InputError(f"--layer {want}: no such module is shown; {_listed(found)}")
            for method, layers in matching.items():
                chosen[method] += [layer for layer in layers if layer not in chosen[method]]
        for method, layers in chosen.items():
            if not layers:
                raise InputError(
                    f"--layer {', '.join(map(str, self._layers))}: nothing of --method {method} is "
                    f"in it; {_listed({method: found[method]})}"
                )
        return chosen


def _place(index: int, record: Record, scene: Scene) -> tuple[str, Placed | str]:
    """The method that a record belongs to, "" for none, and its place or why it has none."""
    if record.kind == "gate":
        return "channel", place_gate(index, record, scene)
    if window_module(scene.model, record.path) is not None:
        return "window", place(index, record, scene, "mean")
    overlap = place_overlap(index, record, scene)
    return ("", "") if overlap is None else ("overlap", overlap)


def _map_of(record: Record) -> Any:
    """What ``Placed.map`` puts into place: of a gate its energies (b, 1, places)."""
    return record.value[1].flatten(1)[:, None] if record.kind == "gate" else record.value


def _matching(layers: Sequence[Placed], want: int | str) -> list[Placed]:
    if isinstance(want, str) and want.lstrip("-").isdecimal():
        want = int(want)
    if isinstance(want, int):
        return [layers[want]] if -len(layers) <= want < len(layers) else []
    return [p for p in layers if p.path == want or p.path.startswith(f"{want}.")]


def _listed(found: dict[str, list[Placed]]) -> str:
    parts = []
    for method, layers in found.items():
        paths = ", ".join(p.path or "the model itself" for p in layers[:6])
        more = f", … ({len(layers)} in all)" if len(layers) > 6 else ""
        parts.append(f"{method} has, from 0: {paths}{more}")
    return "; ".join(parts)


def _told(records: Sequence[Record]) -> str:
    """What a forward pass showed, in words."""
    calls = [r.path for r in records if r.kind != "gate"]
    gates = [r.path for r in records if r.kind == "gate"]
    parts = []
    for what, paths in (("attention calls", calls), ("channel gates", gates)):
        if paths:
            parts.append(f"{len(paths)} {what} ({paths[0] or 'the model itself'}, …)")
    return " and ".join(parts) or "nothing of the kind"

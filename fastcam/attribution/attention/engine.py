"""Attention of every layer and head of a model, as maps over the image.

Models with a CLS token: what CLS attends to (one query against all keys, O(N); the forward pass
stays fused). Others: attention received, the mean over all queries. Windows are put back into the
image; windows are not comparable with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fastcam.attribution.attention.capture import capture, paths_of
from fastcam.attribution.attention.checks import check_found, watch_shapes
from fastcam.attribution.attention.key_positions import Placed, Scene, place
from fastcam.attribution.attention.map_groups import choose, grouped, notes_of, stacked, unique
from fastcam.attribution.attention.records import AttentionCall, Kind, Record, Reducer, nothing
from fastcam.attribution.attention.sdpa_patch import counted
from fastcam.attribution.attention.tokens import count_prefix, image_size, patch_size
from fastcam.attribution.attention.windows import window_module
from fastcam.attribution.batch_maps import BatchMaps, logits_of
from fastcam.errors import InputError

_KINDS: tuple[Kind, ...] = ("sdpa", "softmax", "pooling")


@dataclass(frozen=True)
class _Plan:
    """What to show of a run with one shape of batch, and what is left out, with reasons.

    ``shapes`` of its calls; ``by_name``: they can be seen without a mode."""

    maps: dict[str, tuple[Placed, ...]]
    left_out: dict[str, str]
    shapes: list[tuple[int, int, int, int]]
    by_name: bool = False


class AttentionEngine:
    """Attention maps of batches of images.

    engine = AttentionEngine(model); engine(images).maps["attention"]    # (b, layers, heads, h, w)

    ``layers``: indices among the layers shown (negative from the end) or dotted paths; None is
    all. ``prefix_tokens``: CLS and registers, where the model doesn't say how many it has.
    ``query``: "cls", which becomes "mean" for models without CLS (``engine.query`` says which), or
    "mean". ``compile``: run the model through ``torch.compile``; a compiled model may be given too.

    Maps are float32. A CLS row sums to 1 with its prefix tokens, which are left out. Where layers
    differ in heads or in resolution there are maps "attention/stage1", … in the model's order;
    "pooling" is a head that pools the patches with a query of its own. After the first batch
    ``layer_names`` gives for each map the paths of its layers, ``shows`` what a map is ("cls",
    "received", "windows", "pooling"), ``notes`` what figures must say of a map, and ``left_out``
    the calls not shown, with reasons.

    Raises InputError for a model without attention, or in which some can't be seen.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[int | str] | None = None,
        prefix_tokens: int | None = None,
        query: Literal["cls", "mean"] = "cls",
        *,
        compile: bool = False,
    ) -> None:
        if query not in ("cls", "mean"):
            raise InputError(f"query {query!r}: give 'cls' or 'mean'")
        self._eager: nn.Module = getattr(model, "_orig_mod", model)
        self._model: Any = torch.compile(model) if compile else model
        self._compiled = compile or any(_is_compiled(module) for module in model.modules())
        self._layers = layers
        self._prefix = count_prefix(self._eager, prefix_tokens)
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self._paths = paths_of(model)
        # Looked up once, not in every batch: half of what a CLS row costs.
        self._windowed: dict[str, bool] = {}
        self.query: Literal["cls", "mean"] = query if self._prefix.cls else "mean"
        self.layer_names: dict[str, tuple[str, ...]] = {}
        self.shows: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    def __call__(self, batch: Tensor) -> BatchMaps:
        """Maps of ``batch`` (b, c, h, w), or volumes (b, c, d, h, w), already preprocessed."""
        size = image_size(batch)
        known = self._plans.get(tuple(batch.shape))
        reduce = self._cls_rows() if self.query == "cls" else self._received(size)
        with torch.no_grad():
            if known is None:
                known, records, output = self._first(batch, size, reduce)
                self._plans[tuple(batch.shape)] = known
            else:
                records, output = self._again(batch, reduce, known)
            values = [record.value for record in records]
            maps = {
                name: stacked(layers, values, len(batch)) for name, layers in known.maps.items()
            }
        return BatchMaps(maps, logits_of(output))

    def _again(self, batch: Tensor, reduce: Reducer, known: _Plan) -> tuple[list[Record], Any]:
        """A run with a shape of batch that is known already."""
        if known.by_name:
            with capture(self._model, reduce, ("sdpa",), by_name=True) as seen:
                output = self._model(batch)
            if [record.shape for record in seen.records] == known.shapes:
                return seen.records, output
        with capture(self._model, reduce, _KINDS, paths=self._paths) as seen:
            output = self._model(batch)
        if [record.shape for record in seen.records] != known.shapes:
            raise InputError(
                f"{type(self._eager).__name__} made other attention calls for this batch than for "
                "the first one of its shape: its maps can't be told apart"
            )
        return seen.records, output

    def _first(
        self, batch: Tensor, size: tuple[int, ...], reduce: Reducer
    ) -> tuple[_Plan, list[Record], Any]:
        """The first run with a shape of batch, in which everything found is checked and placed."""
        plain = False
        if self._compiled:
            looked, shapes = self._look(batch)
            mixed = [r.path for r in looked if window_module(self._eager, r.path) is not None]
            if mixed and self.query == "cls":
                raise InputError(
                    f"{type(self._eager).__name__} has windows ({mixed[0]}) beside a CLS token, "
                    "which can't be told apart in a compiled model; run it with --no-compile"
                )
            with capture(self._model, reduce, _KINDS) as seen:
                output = self._model(batch)
            records = _with_paths(seen.records, looked)
        else:
            with (
                watch_shapes(self._eager) as shapes,
                counted() as named,
                capture(self._model, reduce, _KINDS) as seen,
            ):
                output = self._model(batch)
            records = seen.records
            plain = named.calls == len(records) and not any(self._windowed.values())
        patch = patch_size(self._eager, len(size))
        scene = Scene(self._eager, len(batch), size, patch, self._prefix, shapes)
        plan = replace(self._plan(records, scene), by_name=plain)
        return plan, records, output

    def _cls_rows(self) -> Reducer:
        """The CLS row; of windows beside it, in which there is no CLS, what a key receives."""
        windowed, model = self._windowed, self._eager

        def reduce(call: AttentionCall) -> Tensor:
            if call.path not in windowed:  # "" where calls are seen by name: none is windowed.
                windowed[call.path] = window_module(model, call.path) is not None
            return call.attention.mean_row(0) if windowed[call.path] else call.attention.row(0)

        return reduce

    def _received(self, size: tuple[int, ...]) -> Reducer:
        prefix = self._prefix.count

        def reduce(call: AttentionCall) -> Tensor:
            n = call.attention.shape[2]
            return call.attention.mean_row(prefix if n > prefix + 1 else 0)

        return reduce

    def _look(self, batch: Tensor) -> tuple[list[Record], dict[str, tuple[int, ...]]]:
        """One image, not compiled: compiled code doesn't know which module it is in."""
        with (
            torch.compiler.set_stance("force_eager"),
            watch_shapes(self._eager) as shapes,
            capture(self._eager, nothing, _KINDS) as seen,
        ):
            self._eager(batch[:1])
        return seen.records, shapes

    def _plan(self, records: list[Record], scene: Scene) -> _Plan:
        check_found(self._eager, records, scene.shapes)
        names = unique([record.path for record in records])
        placed: list[Placed] = []
        left_out: dict[str, str] = {}
        for index, (name, record) in enumerate(zip(names, records, strict=True)):
            found = place(index, record, scene, self.query)
            if isinstance(found, Placed):
                placed.append(replace(found, path=name))
            else:
                left_out[name] = found
        layers = [p for p in placed if p.shows != "pooling"]
        self._check_left_out(layers, left_out, records, names)
        chosen = layers if self._layers is None else choose(layers, self._layers, left_out)
        maps = grouped(chosen, "attention")
        pools = [p for p in placed if p.shows == "pooling"]
        if pools and self._layers is None:
            maps |= grouped(pools, "pooling")
        self.left_out = left_out
        self.layer_names = {name: tuple(p.path for p in group) for name, group in maps.items()}
        self.shows = {name: group[0].shows for name, group in maps.items()}
        self.notes = notes_of(maps)
        return _Plan(maps, left_out, [record.shape for record in records])

    def _check_left_out(
        self,
        layers: list[Placed],
        left_out: dict[str, str],
        records: list[Record],
        names: list[str],
    ) -> None:
        """A layer of the same class as one that is shown can't be left out in silence."""
        if not layers:
            raise InputError(
                f"{type(self._eager).__name__} has {len(records)} attention calls, but none shows "
                f"places of the image: {_first(left_out)}"
            )
        if self._layers is not None:
            return
        kinds = {
            n: type(self._eager.get_submodule(r.path)) for n, r in zip(names, records, strict=True)
        }
        shown = {kinds[p.path] for p in layers}
        bad = {name: why for name, why in left_out.items() if kinds[name] in shown}
        if bad:
            raise InputError(
                f"{type(self._eager).__name__}: {len(bad)} of {len(records)} attention layers "
                f"can't be placed: {_first(bad)}; or choose layers"
            )


def _is_compiled(module: nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def _with_paths(records: list[Record], looked: list[Record]) -> list[Record]:
    """Compiled records with the paths of the same calls made uncompiled."""
    same = [(r.kind, r.shape[1:]) for r in records] == [(r.kind, r.shape[1:]) for r in looked]
    if not same:
        raise InputError(
            f"the compiled model shows {len(records)} attention calls, the model itself "
            f"{len(looked)}, or others; run it without torch.compile"
        )
    return [replace(r, path=by.path) for r, by in zip(records, looked, strict=True)]


def _first(left_out: dict[str, str]) -> str:
    name, why = next(iter(left_out.items()))
    return f"{name or 'the model itself'}: {why}"
